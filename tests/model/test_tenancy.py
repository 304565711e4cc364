"""Policy by levels, and the names that staff give."""

import pytest

from service.model.policy_table import check_policy
from service.model.tenancy import Origin, PolicyChange, Setting, counted, effective, parse_tenant_name


def test_a_value_comes_from_the_nearest_level_that_sets_it() -> None:
    """RFC 2449 §6.5, §6.7: what CAPA announces after login is the maildrop's own value."""
    settings = effective({"login_delay": 60, "expire_days": 30}, {"expire_days": None})
    assert settings["login_delay"] == Setting(60, Origin.TENANT)
    assert settings["expire_days"] == Setting(None, Origin.MAILDROP)
    assert settings["quota_octets"] == Setting(None, Origin.DEFAULT)
    assert effective({}, {})["login_delay"] == Setting(0, Origin.DEFAULT)


def test_a_change_leaves_alone_what_it_does_not_name() -> None:
    change = PolicyChange({"login_delay": 5}, frozenset({"expire_days", "quota_octets"}))
    assert change.applied_to({"expire_days": 1, "quota_messages": 2}) == {"login_delay": 5, "quota_messages": 2}


def test_limits_are_not_bounded_by_32_bits() -> None:
    check_policy({"quota_octets": 2**40, "quota_messages": 2**33})


def test_a_tenants_name_is_checked_whole() -> None:
    assert parse_tenant_name("a-1") == "a-1"
    with pytest.raises(ValueError, match="a tenant's name"):
        parse_tenant_name("a-1\n")


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [(0, "alias", "0 aliases"), (1, "alias", "1 alias"), (2, "maildrop", "2 maildrops")],
)
def test_numbers_of_things_read_as_people_write_them(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words
