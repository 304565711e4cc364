"""The capacity of an installation: the program, its figures, and that the page says what the program does."""

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.capacity.needs import FrontEnds, Needs, computed, measured, needs, prices
from deploy.capacity.showing import BUDGETS_MIB, LIMIT_MIB, MIB, MOST_SESSIONS, PAGE, chart, dollars, number, page
from deploy.capacity.traffic import Traffic
from service.settings.behaviour import LimitsSettings, SweepSettings

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((ROOT / "helm/poplar/values.yaml").read_text("utf-8"))


def of(**traffic: float) -> Needs:
    return needs(Traffic(**traffic), measured())


def test_the_pages_tables_are_what_the_program_says() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run: make capacity ARGS=--page"


def test_every_figure_has_its_date_its_machine_and_a_value() -> None:
    m = measured()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", m["measured"])
    assert "cores" in m["machine"]
    assert all(value > 0 for section in ("cpu", "memory", "postgres", "redis") for value in m[section].values())


def test_every_price_has_its_source_and_its_day() -> None:
    for price in prices().values():
        assert price["source"]
        assert price["read"].isoformat() >= "2026-11-26"


def test_the_program_runs_without_anything_installed() -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        "import sys; sys.path[0:0] = ['.']; import deploy.capacity.__main__ as m; m.main()",
    ]
    done = subprocess.run([*command, "--maildrops", "5e4"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "front ends: pods of 2 cores" in done.stdout
    assert "Amazon S3" in done.stdout


@pytest.mark.parametrize("wrong", [["--tls", "2"], ["--maildrops", "0"], ["--octets", "-1"], ["--use", "0"]])
def test_numbers_that_mean_nothing_are_refused(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.capacity", *wrong], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "can't be" in done.stderr


def test_every_option_says_what_it_means() -> None:
    assert all(each.metadata["meaning"] for each in fields(Traffic))


def test_polls_alone_cost_no_request_but_the_sweeps() -> None:
    o = of(messages_per_day=0).objects
    assert (o.puts, o.gets, o.deletes) == (0, 0, 0)
    assert o.lists > 0


def test_a_message_costs_one_put_and_one_get_and_a_large_one_its_parts() -> None:
    small, large = of(messages_per_day=1).objects, of(messages_per_day=1, octets=12 << 20).objects
    assert small.puts == pytest.approx(small.gets) == pytest.approx(30e6)
    assert large.puts == pytest.approx(5 * small.puts)
    assert large.gets == pytest.approx(12 * small.gets)


def test_recipients_of_one_tenant_share_a_blob() -> None:
    assert of(recipients=4).objects.puts == pytest.approx(of().objects.puts / 4)
    assert of(recipients=4).objects.octets == pytest.approx(of().objects.octets / 4)


def test_a_million_small_messages_cost_their_requests() -> None:
    cost = dollars(of(maildrops=1e6, messages_per_day=1 / 30, sweeps_per_day=0))["aws"]
    assert cost["requests"] == pytest.approx(5.00 + 0.40 + 5.00 / 500)


def test_passwords_are_computed_anew_unless_the_same_process_saw_them_lately() -> None:
    assert computed(Traffic(), 3) == 1
    assert computed(Traffic(app_passwords=1), 3) == 0
    assert computed(Traffic(remember_seconds=3600, same_pod=1), 50) == pytest.approx(0.2)
    assert computed(Traffic(remember_seconds=3600), 50) > 0.9
    assert computed(Traffic(remember_seconds=3600), 1) == pytest.approx(0.2)


more = st.sampled_from(["maildrops", "messages_per_day", "octets", "peak", "tls", "audit_days"])


@given(more, st.floats(1, 20), st.integers(1, 10**8))
def test_more_of_anything_never_needs_less(name: str, times: float, maildrops: int) -> None:
    base = Traffic(maildrops=maildrops, tls=0.05)
    grown = replace(base, **{name: getattr(base, name) * times})
    for part in ("front", "lmtp", "postgres", "redis", "objects"):
        one, other = (getattr(needs(t, measured()), part) for t in (base, grown))
        for each in fields(one):
            if isinstance(one, FrontEnds) and each.name in {"sessions_per_pod", "pod_octets"}:
                continue
            assert getattr(other, each.name) >= getattr(one, each.name) * (1 - 1e-9)


def test_more_polls_are_more_work_and_leave_fewer_messages_waiting() -> None:
    some, many = of(polls_per_hour=0.1), of(polls_per_hour=6)
    assert many.redis.calls > some.redis.calls
    assert many.postgres.statements > some.postgres.statements
    assert many.postgres.rows < some.postgres.rows


def test_what_it_assumes_of_poplars_settings_is_so() -> None:
    limits, sweep, t = LimitsSettings(), SweepSettings(), Traffic()
    budgets = limits.prefetch_process_octets + limits.retrieval_octets + limits.listing_octets
    assert budgets == BUDGETS_MIB * MIB
    assert limits.connections == MOST_SESSIONS
    assert (sweep.removed_retention_days, sweep.audit_retention_days) == (t.retention_days, t.audit_days)
    assert sweep.interval * t.sweeps_per_day == 86_400


def test_the_charts_own_values_hold_by_what_was_measured() -> None:
    pod, memory = VALUES["frontEnd"]["resources"], measured()["memory"]
    assert pod["limits"]["memory"] == f"{LIMIT_MIB}Mi"
    at_rest = memory["process"] + VALUES["autoscaling"]["sessionsPerPod"] * memory["session_tls"]
    assert at_rest <= (LIMIT_MIB - BUDGETS_MIB) * MIB
    assert VALUES["autoscaling"]["cpuPercent"] == 100 * Traffic().use


def test_values_for_the_chart_are_keys_of_the_chart() -> None:
    said = yaml.safe_load(chart(Traffic(), of(), measured()))
    for key, section in said.items():
        assert set(section) <= set(VALUES[key])
    scaling = said["autoscaling"]
    assert scaling["minReplicas"] <= of().front.pods <= scaling["maxReplicas"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.0456, "0.046"), (9.9, "9.9"), (1234, "1,234"), (39.6e6, "39.6 M"), (2e9, "2 G")]
)
def test_numbers_are_shown_by_the_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown
