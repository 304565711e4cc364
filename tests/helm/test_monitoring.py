"""Rules and dashboards in the chart, and how Prometheus finds the pods."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.helm.charting import CHART, EXAMPLES, LEAST, Rendered, least, merged, refusal, render, run, values_of

RULES = {"rules": {"enabled": True}}


class TestMonitoring:
    """Rules and dashboards are files of the chart, taken as they are."""

    @pytest.fixture
    def chart(self, tmp_path: Path) -> Path:
        copy = tmp_path / "poplar"
        shutil.copytree(CHART, copy)
        for path in [*copy.glob("files/rules/*.yaml"), *copy.glob("files/dashboards/*.json")]:
            path.unlink()
        return copy

    def rendered(self, chart: Path) -> Rendered:
        values = merged(LEAST, {"monitoring": {
            "rules": {"enabled": True, "labels": {"a": "b"}},
            "dashboards": {"enabled": True, "annotations": {"folder": "Mail"}},
        }})  # fmt: skip
        text = run("4", "template", "r", str(chart), "--values=-", told=json.dumps(values))
        return Rendered([each for each in yaml.safe_load_all(text) if each])

    def test_none_is_nothing(self, chart: Path) -> None:
        rendered = self.rendered(chart)
        assert rendered.of("PrometheusRule") == {}
        assert set(rendered.of("ConfigMap")) == {"r-poplar", "r-poplar-migration"}

    @pytest.mark.parametrize(("mode", "watched"), [("worker", True), ("cronjob", False)])
    def test_a_sweep_by_the_clock_is_not_missed_where_nothing_is_scraped(self, mode: str, watched: bool) -> None:
        rendered = least(monitoring={"rules": {"enabled": True}}, sweep={"mode": mode})
        groups = [group["name"] for group in rendered.one("PrometheusRule")["spec"]["groups"]]
        assert ("poplar-sweep-worker" in groups) == watched

    @pytest.mark.parametrize(
        ("interval", "mode", "rules"), [(9000, "worker", True), (86_400, "cronjob", True), (86_400, "worker", False)]
    )
    def test_a_sweep_may_be_as_rare_as_its_alert_allows(self, interval: int, mode: str, rules: bool) -> None:
        given = {"config": {"sweep": {"interval": interval}}, "monitoring": {"rules": {"enabled": rules}}}
        assert least(**given, sweep={"mode": mode}).settings()["sweep"] == {"interval": interval}

    def test_the_rarest_sweep_with_rules_comes_in_time_for_its_alert(self) -> None:
        rules = yaml.safe_load((CHART / "files/rules/alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
        (late,) = [each["expr"].strip() for each in rules if each["alert"] == "PoplarSweepLate"]
        assert late == "time() - max(poplar_sweep_last_success_timestamp_seconds) > 3 * 3600"
        assert refusal(merged(LEAST, {"config": {"sweep": {"interval": 3 * 3600 - 1799}}, "monitoring": RULES}))

    @pytest.mark.parametrize("part", ["frontEnd", "lmtp", "admin"])
    def test_a_part_is_missed_only_where_it_is_to_run(self, part: str) -> None:
        groups = {"frontEnd": "poplar-front-end", "lmtp": "poplar-lmtp", "admin": "poplar-admin"}
        on, off = (
            [group["name"] for group in rendered.one("PrometheusRule")["spec"]["groups"]]
            for rendered in (
                least(monitoring={"rules": {"enabled": True}}, **{part: {"enabled": there}}) for there in (True, False)
            )
        )
        assert set(groups.values()) <= set(on)
        assert set(on) - set(off) == {groups[part]}

    def test_monitoring(self, chart: Path) -> None:
        text = "{{ $labels.pod }} burns {{ $value }}"
        rule = f'groups: [{{name: a, rules: [{{alert: A, expr: up == 0, annotations: {{summary: "{text}"}}}}]}}]'
        for number in (1, 2):
            (chart / f"files/rules/{number}.yaml").write_text(rule.replace("name: a", f"name: a{number}"), "utf-8")
        dashboard = '{"title": "Overview", "x": "{{pod}}"}\n'
        (chart / "files/dashboards/overview.json").write_text(dashboard, "utf-8")
        rendered = self.rendered(chart)
        made = rendered.one("PrometheusRule")
        assert made["metadata"]["labels"]["a"] == "b"
        assert [group["name"] for group in made["spec"]["groups"]] == ["a1", "a2"]
        assert made["spec"]["groups"][0]["rules"][0]["annotations"]["summary"] == text
        shown = rendered.one("ConfigMap", "-dashboard-overview")
        assert json.loads(shown["data"]["poplar-overview.json"]) == json.loads(dashboard)
        assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert shown["metadata"]["annotations"] == {"folder": "Mail"}

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_every_serving_pod_is_found_on_its_ops_port(self, example: str) -> None:
        rendered = render(values_of(example))
        selector = rendered.one("Service", "-ops")["spec"]["selector"]
        for each in rendered.of("Deployment").values():
            assert selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
            assert "ops" in [port["name"] for port in each["spec"]["template"]["spec"]["containers"][0]["ports"]]
