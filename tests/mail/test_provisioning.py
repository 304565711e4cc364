"""The use cases of provisioning, over the in-memory stores: names, tenancies, policy, passwords."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from service.mail.passwords import DEFAULT_LABEL, Passwords, generate_password
from service.mail.provisioning import Office, Provisioning, provisioning
from service.mail.tenancy import Act
from service.model.account import Status
from service.model.address import parse_address
from service.model.refusal import Reason, Refusal
from service.model.saslprep import prepare
from service.model.tenancy import PolicyChange
from service.protocol.sasl.login_name import login_name
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from tests.mail.provider import SetClock


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(MemoryPasswordHashes(), prepare, SetClock())


@pytest.fixture
async def desk(passwords: Passwords) -> Provisioning:
    """Acme with acme.example and Ada's maildrop, beside another tenant with a domain."""
    desk = provisioning(Office(memory_tenancy(MemoryState()), "tester"), passwords)
    await desk.tenants.create("acme")
    await desk.domains.create("acme", "acme.example")
    await desk.maildrops.create("ada@acme.example")
    await desk.tenants.create("other")
    await desk.domains.create("other", "other.example")
    return desk


def refused(reason: Reason, cause: str = "") -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda r: r.reason is reason and cause in r.cause)


async def collected(views: AsyncIterator[object]) -> list[object]:
    return [view async for view in views]


@pytest.mark.parametrize("name", ["", "Acme", "a.b", "a_b", "a" * 64, "a\n", "ä", "a b", "../a"])
async def test_a_tenants_name_has_only_small_letters_digits_and_dashes(desk: Provisioning, name: str) -> None:
    with refused(Reason.INVALID, "1 to 63"):
        await desk.tenants.create(name)


async def test_a_tenants_name_may_have_63_characters(desk: Provisioning) -> None:
    name = "a-0" * 21
    assert (await desk.tenants.create(name)).name == name


async def test_an_absent_thing_is_named_in_plain_words(desk: Provisioning) -> None:
    with refused(Reason.NOT_FOUND, "there is no tenant nobody"):
        await desk.tenants.show("nobody")
    with refused(Reason.NOT_FOUND, "there is no domain no.example"):
        await desk.domains.show("no.example")
    with refused(Reason.NOT_FOUND, "there is no maildrop eve@acme.example"):
        await desk.maildrops.show("eve@acme.example")
    with refused(Reason.NOT_FOUND, "ada@acme.example has no credential labelled phone"):
        await desk.credentials.show("ada@acme.example", "phone")


@pytest.mark.parametrize("name", ["", "-a.example", "a..example", "a b.example", "a" * 64 + ".example"])
async def test_a_domain_is_a_domain_name(desk: Provisioning, name: str) -> None:
    with refused(Reason.INVALID, "not a domain name"):
        await desk.domains.create("acme", name)


@pytest.mark.parametrize("name", ["recent:ada@acme.example", "Recent:x@acme.example"])
async def test_no_name_begins_with_what_logs_in_to_another(desk: Provisioning, name: str) -> None:
    with refused(Reason.INVALID, "doesn't begin with recent:"):
        await desk.maildrops.create(name)


async def test_names_are_compared_in_one_form(desk: Provisioning) -> None:
    await desk.domains.create("acme", "BÜCHER.Example")
    assert (await desk.domains.show("xn--bcher-kva.example")).tenant == "acme"
    await desk.maildrops.create("Eve@bücher.example")
    assert (await desk.maildrops.show("EVE@xn--bcher-kva.EXAMPLE")).address == "eve@xn--bcher-kva.example"


@pytest.mark.parametrize("address", ["ada", "@acme.example", "ada@", "a b@acme.example", "a\x1b@acme.example"])
async def test_an_address_is_an_address(desk: Provisioning, address: str) -> None:
    with refused(Reason.INVALID):
        await desk.maildrops.create(address)


@pytest.mark.parametrize("address", ["eve+tag@acme.example", "eve+@acme.example"])
async def test_a_maildrop_is_not_named_with_a_tag(desk: Provisioning, address: str) -> None:
    with refused(Reason.INVALID, "tag"):
        await desk.maildrops.create(address)


@pytest.mark.parametrize("local", ["\u202eeve", "\ufeffeve", "e\u2028ve", "e\u3000ve", "eve\ufff9", "\ud83d"])
async def test_a_name_that_can_not_be_seen_is_refused(desk: Provisioning, local: str) -> None:
    with refused(Reason.INVALID):
        await desk.maildrops.create(f"{local}@acme.example")
    with refused(Reason.INVALID):
        await desk.aliases.create(f"{local}@acme.example", "ada@acme.example")


@pytest.mark.parametrize(
    "local",
    ["\ufffc", "a\ufffd", "\u2ff0b"],
)
async def test_a_maildrop_that_nobody_could_log_in_to_is_refused(desk: Provisioning, local: str) -> None:
    """RFC 4013 §2.3: what a login name may not have; mail finds an alias as it is written."""
    with refused(Reason.INVALID, "nobody could log in"):
        await desk.maildrops.create(f"{local}@acme.example")
    await desk.aliases.create(f"{local}@acme.example", "ada@acme.example")


async def test_a_maildrop_is_called_what_a_login_name_has_room_for(desk: Provisioning) -> None:
    """RFC 4616 §2: up to 255 octets. RFC 5321 §4.5.3.1.3."""
    domain = ".".join(["d" * 63] * 3 + ["example"])
    await desk.domains.create("acme", domain)
    longest = "ä" * ((255 - len(domain) - 1) // 2)
    longest += "x" * (255 - len(f"{longest}@{domain}".encode()))
    assert login_name(f"{longest}@{domain}") == str(parse_address(f"{longest}@{domain}"))
    await desk.maildrops.create(f"{longest}@{domain}")
    with refused(Reason.INVALID, "nobody could log in"):
        await desk.maildrops.create(f"x{longest}@{domain}")


@pytest.mark.parametrize(
    "local",
    [
        "grüße",
        "o'neil",
        "\u05d0\u05d1",
        "e\u0301ve",
        "EVE",
        "\u1e97",
        "\ufb01ona",
        "a\u05d0b",
        "\u0645\u06cc\u200c\u062e",
    ],
)
async def test_a_name_beyond_ascii_is_a_maildrops(desk: Provisioning, local: str) -> None:
    await desk.maildrops.create(f"{local}@acme.example")


async def test_a_maildrop_from_before_is_shown_and_removed_whatever_it_is_called(desk: Provisioning) -> None:
    address = "\ufb01ona\u202e@acme.example"
    await desk.maildrops.office.tenancy.maildrops.create(Act("tester", "acme"), parse_address(address), {})
    assert (await desk.maildrops.show(address)).address == address
    await desk.maildrops.remove(address)


async def test_an_address_in_nobodys_domain_is_refused(desk: Provisioning) -> None:
    with refused(Reason.NOT_FOUND, "there is no domain elsewhere.example"):
        await desk.maildrops.create("ada@elsewhere.example")


async def test_within_a_tenancy_another_tenants_names_are_not_there(desk: Provisioning) -> None:
    """G10."""
    for attempt in (
        desk.maildrops.create("eve@acme.example", tenant="other"),
        desk.maildrops.show("ada@acme.example", tenant="other"),
        desk.maildrops.remove("ada@acme.example", tenant="other"),
        desk.domains.show("acme.example", tenant="other"),
        desk.domains.remove("acme.example", tenant="other"),
        desk.credentials.every("ada@acme.example", tenant="other"),
        desk.aliases.create("x@acme.example", "ada@acme.example", tenant="other"),
    ):
        with refused(Reason.NOT_FOUND, "there is no domain acme.example"):
            await attempt
    with refused(Reason.NOT_FOUND, "there is no domain unknown.example"):
        await desk.domains.show("unknown.example", tenant="other")


async def test_an_alias_leads_into_its_own_tenancy_only(desk: Provisioning) -> None:
    """G10."""
    with refused(Reason.NOT_FOUND):
        await desk.aliases.create("ada@other.example", "ada@acme.example")
    with refused(Reason.NOT_FOUND):
        await desk.domains.set_catch_all("other.example", "ada@acme.example")


@pytest.mark.parametrize(
    "values",
    [
        {"login_delay": -1},
        {"login_delay": 86_401},
        {"login_delay": None},
        {"expire_days": 0},
        {"quota_octets": -1},
        {"quota_messages": 2**63},
        {"quota": 1},
    ],
)
async def test_a_policy_value_out_of_bounds_is_refused_by_name(
    desk: Provisioning, values: dict[str, int | None]
) -> None:
    (name,) = values
    with refused(Reason.INVALID, name):
        await desk.tenants.create("third", values)
    with refused(Reason.INVALID, name):
        await desk.tenants.set_policy("acme", PolicyChange(values))
    with refused(Reason.INVALID, name):
        await desk.maildrops.create("eve@acme.example", values)
    with refused(Reason.INVALID, name):
        await desk.maildrops.set_policy("ada@acme.example", PolicyChange(values))


async def test_a_quota_may_be_past_4_gib(desk: Provisioning) -> None:
    await desk.maildrops.set_policy("ada@acme.example", PolicyChange({"quota_octets": 2**40}))
    assert (await desk.maildrops.show("ada@acme.example")).settings["quota_octets"].value == 2**40


async def test_every_row_is_listed_page_after_page(desk: Provisioning) -> None:
    for number in range(1001):
        await desk.maildrops.create(f"u{number:04}@acme.example")
    assert len(await collected(desk.maildrops.every("acme"))) == 1002
    assert len(await collected(desk.tenants.every())) == 2
    assert await collected(desk.aliases.every("acme")) == []


async def test_no_credential_is_over_before_it_begins(passwords: Passwords) -> None:
    now = passwords.clock.now()
    verifier = (await passwords.credential("p", expires=now + timedelta(seconds=1))).verifier
    for ends in (now, now - timedelta(days=1)):
        with refused(Reason.INVALID, "over before it begins"):
            await passwords.credential("p", expires=ends)
        with refused(Reason.INVALID, "over before it begins"):
            passwords.adopted(verifier, expires=ends)
        with refused(Reason.INVALID, "over before it begins"):
            passwords.app("phone", expires=ends)


async def test_a_password_opens_as_it_is_prepared_at_login(passwords: Passwords) -> None:
    """RFC 4616 §2: both sides prepare it; the soft hyphen maps to nothing and the ligature to its letters."""
    credential = await passwords.credential("so\u00adft \ufb01sh ")
    assert credential.label == DEFAULT_LABEL
    assert await passwords.hashes.verify(credential.verifier, "soft fish ")
    assert not await passwords.hashes.verify(credential.verifier, "soft fish")


@pytest.mark.parametrize(
    "password", ["", "a\0b", "x" * 256, "ä" * 128, "line\u2028break", "a\r\nb", "\u00ad", "\ufdfa" * 80]
)
async def test_a_password_that_no_login_could_send_is_refused(passwords: Passwords, password: str) -> None:
    with refused(Reason.INVALID):
        await passwords.credential(password)


async def test_a_password_may_have_255_octets(passwords: Passwords) -> None:
    """RFC 4616 §2 asks servers for passwords of up to 255 octets."""
    assert (await passwords.credential("x" * 255)).verifier


@pytest.mark.parametrize("label", ["", " ", "x" * 65, "a\nb", "\x1b[2J"])
async def test_a_label_is_short_and_printable(passwords: Passwords, label: str) -> None:
    with refused(Reason.INVALID, "label"):
        await passwords.credential("secret", label)


async def test_a_verifier_does_not_show_when_a_credential_is_printed(passwords: Passwords) -> None:
    """G17."""
    credential = await passwords.credential("secret")
    assert credential.verifier not in repr(credential)


def test_generated_passwords_are_long_typable_and_never_the_same() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) == 27 and prepare(password) == password and password.isascii() for password in made)


@pytest.mark.parametrize(
    ("retention", "reach"),
    [
        (timedelta(days=7), timedelta(days=7) - timedelta(hours=1)),
        (timedelta(hours=1), timedelta(minutes=30)),
        (timedelta(0), timedelta(0)),
    ],
)
def test_what_the_sweep_may_touch_within_the_hour_is_out_of_restores_reach(
    retention: timedelta, reach: timedelta
) -> None:
    assert Office(memory_tenancy(MemoryState()), "tester", retention).restorable == reach


async def test_writes_are_audited_under_the_actors_name(desk: Provisioning) -> None:
    await desk.maildrops.set_status("ada@acme.example", Status.SUSPENDED)
    newest = (await desk.tenants.history("acme"))[0]
    assert (newest.actor, newest.action, newest.subject) == ("tester", "maildrop.status", "ada@acme.example")


async def test_restoring_what_was_never_removed_restores_nothing(desk: Provisioning) -> None:
    assert await desk.maildrops.removed("ada@acme.example") == []
    assert await desk.maildrops.restore("ada@acme.example", [UUID(int=1)]) == 0
