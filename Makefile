# Poplar's targets. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(VENV)/.test: tests/requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.PHONY: test
test: $(VENV)/.test ## Everything CI runs: style, types, imports, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

.PHONY: lock
lock: ## Pin the dependencies anew (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --no-header -o requirements.lock
	uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --extra demo -c requirements.lock --no-header -o service/embedded/requirements.lock
	uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --all-extras -c requirements.lock --no-header -o tests/requirements.lock
