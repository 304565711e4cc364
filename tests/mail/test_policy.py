"""Which clients a policy lets in. RFC 3206 §5 ([AUTH] says that a policy stands against it, too)."""

import pytest

from service.mail.login import Attempt
from service.mail.policy import obstacle
from service.model.policy import Policy, PolicyValue
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from tests.mail.house import ADDRESS, SECRET, House


@pytest.mark.parametrize(
    ("policy", "client", "allowed"),
    [
        (Policy(), "198.51.100.7", True),
        (Policy(pop3=False), "198.51.100.7", False),
        (Policy(mechanisms=("USER", "PLAIN")), "198.51.100.7", True),
        (Policy(mechanisms=("SCRAM-SHA-256",)), "198.51.100.7", False),
        (Policy(networks=("198.51.100.0/24",)), "198.51.100.7", True),
        (Policy(networks=("198.51.100.0/24",)), "198.51.101.7", False),
        (Policy(networks=("198.51.100.0/24",)), "2001:db8::1", False),
        (Policy(networks=("198.51.100.0/24", "fe80::/10")), "fe80::1%eth0", True),
    ],
)
def test_a_policy_allows_some_clients(policy: Policy, client: str, allowed: bool) -> None:
    assert (obstacle(policy, "PLAIN", client) is None) is allowed


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pop3", False, "POP3 off"),
        ("mechanisms", ("SCRAM-SHA-256",), "PLAIN"),
        ("networks", ("198.51.100.0/24",), "192.0.2.1"),
    ],
)
async def test_g13_what_the_policy_forbids_reads_like_a_wrong_password_and_the_log_says_more(
    name: str, value: PolicyValue, told: str
) -> None:
    house = await House().furnish()
    house.provider.state.maildrops[house.key].policy[name] = value
    for secret, cause in ((SECRET, told), ("wrong", "no credential matches")):
        with pytest.raises(Refusal) as refused:
            await house.login(Attempt(Password(ADDRESS, secret), "PLAIN", "s", "192.0.2.1"), lambda: None)
        assert refused.value.reason is Reason.CREDENTIALS
        assert cause in refused.value.cause
    assert not await house.locks.holders()


@pytest.mark.parametrize(
    ("allowed", "mechanism", "passes"),
    [
        ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", True),
        ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", True),
        ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", False),
        ("XOAUTH2", "OAUTHBEARER", False),
    ],
)
def test_a_mechanism_allows_its_bound_form_and_no_other_one(allowed: str, mechanism: str, passes: bool) -> None:
    assert (obstacle(Policy(mechanisms=(allowed,)), mechanism, "198.51.100.7") is None) is passes
