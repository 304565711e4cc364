# Poplar's targets. `make help` lists them.
PYTHON ?= python3
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# uv does in half a minute what pip takes a core for two; what it can't do pip does. Neither compiles: most of it is never imported.
UV = $(PIP) --require-hashes --only-binary :all: -r tests/installer.lock && $(BIN)/uv pip install --quiet --python $(BIN)/python
# How many tests run at a time, and what else pytest is told. On two cores the third runs while others wait for something.
JOBS ?= 3
ARGS ?=
# By how much `make fuzz` multiplies what `make test` tries.
TIMES ?= 50
# For how long `make fuzz` grows the corpus of each reader, and what its chance begins with.
GROW ?= 20
SEED ?= 0
# What looks for vulnerable dependencies; it wants other releases of what Poplar needs too, so it has its own environment.
PIP_AUDIT = 2.10.1
# How long each run of `make load` is, and how many there are.
SECONDS ?= 3
RUNS ?= 5
# How long a campaign of faults goes on, and what it draws from; `make simulate` begins with this seed.
MINUTES ?= 20
SEED ?= 1
# How many schedules `make simulate` runs.
SEEDS ?= 10000

# Tests start hundreds of processes of Poplar: byte code is kept, whatever this machine otherwise asks of Python.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.demo ## Run the whole service here, with mail in it (ARGS="--pop3 0 --fresh")
	@exec $(BIN)/poplar demo $(ARGS)

.PHONY: test
test: check suite ## Everything CI runs: style, types, imports, tests (PYTHON=python3.12)

.PHONY: check
check: $(VENV)/.test ## Style, types and imports alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: suite
suite: $(VENV)/.test ## The tests alone (JOBS=2 ARGS="-k login")
	$(BIN)/pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder --max-worker-restart=0 $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.test ## Feed the readers far more invented input, and keep what finds new ways (TIMES=50 GROW=20 SEED=0)
	FUZZ_TIMES=$(TIMES) $(BIN)/pytest -n $(JOBS) -m hypothesis --timeout=0 $(ARGS)
	$(BIN)/python -m tests.fuzz.growing --seconds $(GROW) --seed $(SEED)

.PHONY: faults
faults: $(VENV)/.test ## A campaign of faults under many clients, and a verdict on what they heard (MINUTES=20 SEED=7)
	$(BIN)/python -m tests.faults.campaign --minutes $(MINUTES) --seed $(SEED)

.PHONY: simulate
simulate: $(VENV)/.test ## Run schedules with a fault at any await, in virtual time (SEEDS=100000 SEED=1)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --seed $(SEED) $(ARGS)

.PHONY: coverage
coverage: $(VENV)/.test ## What the tests reach, by branch: the protocol here, all of it in htmlcov
	$(BIN)/pytest -n $(JOBS) --cov --cov-report= $(ARGS)
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report --include='service/protocol/*'

.PHONY: lock
lock: ## Pin the dependencies anew (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --no-header -o requirements.lock
	uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --extra demo -c requirements.lock --no-header -o service/embedded/requirements.lock
	uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --all-extras -c requirements.lock --no-header -o tests/requirements.lock
	echo flit-core | uv pip compile -q --universal --generate-hashes --python-version 3.11 - -c tests/requirements.lock --no-header -o deploy/image/build.lock
	echo uv | uv pip compile -q --universal --generate-hashes --python-version 3.11 - --no-header -o tests/installer.lock

.PHONY: chart-docs
chart-docs: $(VENV)/.test ## Make the chart's README and schema of its values.yaml and of Poplar's settings
	$(BIN)/python -m tests.helm.documenting

.PHONY: dashboards
dashboards: $(VENV)/.test ## Make Grafana's dashboards of deploy/grafana
	$(BIN)/python -m deploy.grafana

.PHONY: pictures
pictures: $(VENV)/.test ## Run Poplar under load for some minutes and draw the dashboards (needs prometheus)
	$(BIN)/python -m tests.deploy.pictures $(ARGS)

.PHONY: load
load: $(VENV)/.test ## Measure speed: CPU, memory, latencies (SECONDS=1 RUNS=1 ARGS="poll-16 drain"; needs cc)
	$(BIN)/python -m tests.load --seconds $(SECONDS) --runs $(RUNS) $(ARGS)

.PHONY: load-dovecot
load-dovecot: $(VENV)/.test ## The same with Debian's Dovecot beside, in turn
	$(BIN)/python -m tests.load --dovecot --seconds $(SECONDS) --runs $(RUNS) $(ARGS)

.PHONY: bench
bench: $(VENV)/.test ## Time the hot paths by themselves (ARGS="-k pipeline")
	$(BIN)/pytest -n 0 --benchmark-enable --benchmark-only --benchmark-sort=name tests/benchmarks $(ARGS)

.PHONY: overload
overload: $(VENV)/.test ## Besiege a front end with hostile clients, thousands at a time (ARGS="idle unread --seconds 10")
	$(BIN)/python -m tests.overload $(ARGS)

.PHONY: senders
senders: $(VENV)/.test ## Besiege an LMTP server with hostile senders (ARGS="one_header --below /dev/shm")
	$(BIN)/python -m tests.overload.lmtp_run $(ARGS)

.PHONY: million
million: $(VENV)/.test ## List and remove a maildrop of 1,000,000 messages (ARGS="--messages 100000 --imported")
	$(BIN)/python -m tests.overload.million_run $(ARGS)

.PHONY: alarms
alarms: $(VENV)/.test ## Fire every alert by a real fault and walk its runbook (needs prometheus; ARGS="PoplarAbsent")
	$(BIN)/python -m tests.deploy.alarms $(ARGS)

.PHONY: compose
compose: $(VENV)/.test ## Start deploy/compose and send mail through it (needs Docker's engine, root)
	TEST_COMPOSE=1 $(BIN)/pytest -n 0 tests/deploy/test_composed.py $(ARGS)

.PHONY: cluster
cluster: $(VENV)/.test ## Build a real Kubernetes, start it here and run the chart's tests on it (needs Go, Docker's engine, root)
	$(BIN)/python -m tests.cluster $(BIN)/pytest -n 0 tests/helm/e2e $(ARGS)

.PHONY: capacity
capacity: ## Say what so many maildrops need and cost (ARGS="--maildrops 250000", ARGS=--help, ARGS=--page)
	@$(PYTHON) -m deploy.capacity $(ARGS)

.PHONY: sbom
sbom: $(VENV)/.test ## Say what the image is made of: poplar.cdx.json, CycloneDX
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --of JSON \
	  --output-reproducible -o poplar.cdx.json requirements.lock

.PHONY: audit
audit: $(VENV)/.test ## Ask whether a pinned dependency has a known vulnerability (AUDIT=strict where nobody could be asked)
	@[ -x $(VENV)-audit/bin/pip-audit ] || { $(PYTHON) -m venv $(VENV)-audit && \
	  $(VENV)-audit/bin/pip install --quiet --disable-pip-version-check pip-audit==$(PIP_AUDIT); } || \
	  echo "pip-audit could not be installed." >&2
	@$(BIN)/python -m tests.supply $(VENV)-audit/bin/pip-audit

.PHONY: clean
clean: ## Remove what these targets made: environments, caches, tools, the demo's data
	rm -rf .venv .venv-* .tools .demo .faults .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	rm -rf .coverage .coverage.* htmlcov *.egg-info poplar.cdx.json
	find service tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Poplar needs Python 3.11 or newer, this is {v[0]}.{v[1]}: try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: service/embedded/requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV) ..."
	@$(PIP) --require-hashes --no-deps -r service/embedded/requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: tests/installer.lock tests/requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the tests need into $(VENV) ..."
	@$(UV) --require-hashes --no-deps -r tests/requirements.lock || \
	  $(PIP) --no-compile --require-hashes --no-deps -r tests/requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
