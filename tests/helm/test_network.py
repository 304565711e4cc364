"""Who the NetworkPolicies let in, and what pods may reach."""

import pytest

from tests.helm.charting import EXAMPLES, Rendered, least, render, values_of

PEER = {"ipBlock": {"cidr": "192.0.2.0/24"}}
HERE: dict[str, object] = {"podSelector": {}}
CLUSTER: dict[str, object] = {"namespaceSelector": {}}
TEST_PODS = {
    "podSelector": {
        "matchLabels": {
            "app.kubernetes.io/name": "poplar", "app.kubernetes.io/instance": "r",
            "app.kubernetes.io/component": "test",
        }
    }
}  # fmt: skip


def let_in(rendered: Rendered, part: str) -> list[tuple[list[str], list[object] | None]]:
    """What a part's NetworkPolicy lets in: ports and peers, None for everybody."""
    rules = rendered.one("NetworkPolicy", f"-{part}")["spec"]["ingress"]
    return [([port["port"] for port in rule["ports"]], rule.get("from")) for rule in rules]


class TestNetwork:
    """Who reaches what."""

    def test_by_default_mail_is_read_from_anywhere_and_the_rest_stays_within(self) -> None:
        rendered = least()
        assert let_in(rendered, "pop3") == [(["pop3", "pop3s"], None), (["ops"], [CLUSTER])]
        assert let_in(rendered, "lmtp") == [(["lmtp"], [HERE]), (["ops"], [CLUSTER])]
        assert let_in(rendered, "admin") == [(["ops"], [HERE])]
        assert let_in(rendered, "sweep") == [(["ops"], [CLUSTER])]
        assert let_in(rendered, "migration") == []

    @pytest.mark.parametrize(("part", "port"), [("pop3", "pop3"), ("lmtp", "lmtp"), ("admin", "ops")])
    def test_network(self, part: str, port: str) -> None:
        rendered = least(networkPolicy={f"{part}From": [PEER]})
        ports, peers = let_in(rendered, part)[0]
        assert port in ports
        assert peers == [PEER, TEST_PODS]
        assert let_in(least(networkPolicy={f"{part}From": [PEER]}, tests={"enabled": False}), part)[0][1] == [PEER]

    def test_who_may_scrape_reaches_every_ops_port(self) -> None:
        rendered = least(networkPolicy={"opsFrom": [PEER]})
        assert let_in(rendered, "admin") == [(["ops"], [HERE, PEER])]
        assert all((["ops"], [PEER]) in let_in(rendered, part) for part in ("pop3", "lmtp", "sweep"))

    def test_what_pods_reach_is_limited_only_where_asked(self) -> None:
        rule = {"to": [PEER], "ports": [{"port": 5432, "protocol": "TCP"}]}
        for each in least().of("NetworkPolicy").values():
            assert each["spec"]["policyTypes"] == ["Ingress"]
            assert "egress" not in each["spec"]
        for each in least(networkPolicy={"egress": {"enabled": True, "to": [rule]}}).of("NetworkPolicy").values():
            assert each["spec"]["policyTypes"] == ["Ingress", "Egress"]
            dns, given_rule = each["spec"]["egress"]
            assert {port["port"] for port in dns["ports"]} == {53}
            assert given_rule == rule

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_every_pod_that_stays_is_chosen_by_one_policy(self, example: str) -> None:
        rendered = render(values_of(example))
        policies = [each["spec"]["podSelector"]["matchLabels"] for each in rendered.of("NetworkPolicy").values()]
        for each in rendered.of("Deployment").values():
            labels = each["spec"]["template"]["metadata"]["labels"]
            chosen = [policy for policy in policies if policy.items() <= labels.items()]
            assert len(chosen) == (0 if example == "small" else 1)
