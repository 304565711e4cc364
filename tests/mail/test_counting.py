"""Whom a failed login is counted against. RFC 4291 §2.5.4 (a customer has an IPv6 /64 at least)."""

from ipaddress import ip_network

import pytest

from service.mail.counting import Lately, Rules, Suspects, Tenants, suspects
from service.model.attempts import Kind, Limit, Subject

LIMITS = dict.fromkeys(Kind, Limit(3, 9))
RULES = Rules(LIMITS, exempt=(ip_network("198.51.100.0/24"),), proxies=(ip_network("10.0.0.0/8"),))
NAME = "ann@acme.example"


def asked(client: str, name: str = NAME, rules: Rules = RULES) -> dict[str, str]:
    """The names of those concerned, by kind."""
    return {each.kind.value: each.name for each in suspects(rules, Tenants(), client, name).all}


def test_one_ipv4_address_is_one_place() -> None:
    assert asked("192.0.2.7") == {
        "address": "192.0.2.7",
        "pair": f"{NAME} 192.0.2.7",
        "account": NAME,
        "tenant": "acme.example",
    }


def test_ipv6_is_counted_by_64_and_by_48_bits() -> None:
    found = asked("2001:db8:1:2:3:4:5:6")
    assert (found["address"], found["network"]) == ("2001:db8:1:2::/64", "2001:db8:1::/48")
    assert found["pair"] == f"{NAME} 2001:db8:1:2::/64"
    assert asked("2001:db8:1:2:aaaa::1") == found
    assert asked("2001:db8:1:3::1")["network"] == found["network"]


@pytest.mark.parametrize("client", ["::ffff:192.0.2.7", "192.0.2.7"])
def test_an_ipv4_address_is_the_same_however_it_is_written(client: str) -> None:
    assert asked(client) == asked("192.0.2.7")


def test_an_address_of_one_link_is_counted_without_its_interface() -> None:
    assert asked("fe80::1%eth0")["address"] == "fe80::/64"


def test_where_clients_share_an_address_it_isn_t_counted_but_one_account_from_it_is() -> None:
    assert set(asked("198.51.100.9")) == {"pair", "account", "tenant"}


def test_who_comes_from_a_balancer_s_own_address_may_be_anybody() -> None:
    assert set(asked("10.1.2.3")) == {"account", "tenant"}


@pytest.mark.parametrize("name", ["", "no-address", "a b@acme.example", "@", "a@", "p@ssw0rd"])
def test_what_may_be_no_account_s_name_but_a_password_concerns_the_address_alone(name: str) -> None:
    assert set(asked("192.0.2.7", name)) == {"address"}


def test_a_name_is_one_however_it_is_written() -> None:
    assert asked("192.0.2.7", "Ann@ACME.example") == asked("192.0.2.7")


def test_what_is_off_isn_t_asked_about_but_for_the_account_whose_marks_are_needed() -> None:
    assert set(asked("192.0.2.7", rules=Rules({Kind.ADDRESS: Limit(1, 2)}))) == {"address", "account"}
    assert suspects(Rules(), Tenants(), "192.0.2.7", NAME) == Suspects()
    assert suspects(Rules(dict.fromkeys(Kind, Limit())), Tenants(), "192.0.2.7", NAME) == Suspects()


def test_a_domain_without_a_dot_counts_once_somebody_was_found_there() -> None:
    tenants = Tenants()
    tenants.learn("intranet", "acme")
    assert suspects(RULES, tenants, "192.0.2.7", "ann@intranet").account == Subject(Kind.ACCOUNT, "ann@intranet")


def test_domains_of_one_tenant_are_counted_together_once_they_were_seen() -> None:
    tenants = Tenants(most=2)
    tenants.learn("acme.example", "acme")
    tenants.learn("acme.test", "acme")
    assert {suspects(RULES, tenants, "192.0.2.7", f"a@acme.{end}").tenant for end in ("example", "test")} == {
        Subject(Kind.TENANT, "acme")
    }
    tenants.learn("third.example", "third")
    assert tenants["acme.example"] == "acme.example"


def test_what_went_well_is_known_for_a_while_and_of_a_bounded_number() -> None:
    now = [0.0]
    lately = Lately(seconds=10.0, most=2, clock=lambda: now[0])
    first, second, third = (Subject(Kind.PAIR, f"a@b.example 192.0.2.{number}") for number in range(3))
    lately.opened(first)
    lately.opened(second)
    lately.opened(first)
    lately.opened(third)
    assert [pair in lately for pair in (first, second, third)] == [True, False, True]
    now[0] = 10.0
    assert first not in lately
