"""Maildrops by the batch, one suite for memory and Postgres; on Postgres with the login of the group poplar_api."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from service.mail.batches import MaildropRow, Manner, Outcome
from service.mail.ports import Directory
from service.mail.tenancy import Act, Tenancy
from service.model.account import Status
from service.model.address import Address, parse_address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import NewCredential
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.logins import create_login
from service.stores.postgres.tenancy import postgres_tenancy

ACME = Act("tester", "acme")
SKIP, UPDATE, RESET, BOTH = Manner(), Manner(update=True), Manner(reset=True), Manner(update=True, reset=True)
Stores = tuple[Tenancy, Directory]


@pytest.fixture
async def stores(world_dsn: str | None) -> AsyncIterator[Stores]:
    if world_dsn is None:
        state = MemoryState()
        yield await furnished(memory_tenancy(state)), MemoryDirectory(state)
        return
    await create_login(world_dsn, "clerk", "clerk", "poplar_api")
    address = urlsplit(world_dsn)
    database = Database(address._replace(netloc=f"clerk:clerk@{address.hostname}:{address.port}").geturl())
    await database.open()
    yield await furnished(postgres_tenancy(database)), PostgresDirectory(database)
    await database.close()


async def furnished(tenancy: Tenancy) -> Tenancy:
    """Acme with two domains, Ada and her alias; another tenant with a domain."""
    await tenancy.tenants.create(ACME, {})
    await tenancy.domains.create(ACME, "acme.example")
    await tenancy.domains.create(ACME, "acme.test")
    await tenancy.maildrops.create(ACME, at("ada"), {"quota_messages": 1})
    await tenancy.aliases.create(ACME, at("sales"), at("ada"))
    await tenancy.tenants.create(Act("tester", "other"), {})
    await tenancy.domains.create(Act("tester", "other"), "other.example")
    return tenancy


def at(local: str, domain: str = "acme.example") -> Address:
    return parse_address(f"{local}@{domain}")


def armed(verifier: str, label: str = "main") -> NewCredential:
    return NewCredential(label, "password", verifier)


def outcomes(found: object) -> list[object]:
    assert isinstance(found, list)
    return [each.cause if isinstance(each, Refusal) else each for each in found]


async def test_a_batch_makes_maildrops_with_all_that_is_theirs(stores: Stores) -> None:
    tenancy, directory = stores
    bob = MaildropRow(
        at("bob"), Status.SUSPENDED, {"quota_messages": 7}, (at("b"), at("b", "acme.test")), armed("$plain$x")
    )
    made = await tenancy.batches.put(ACME, [bob, MaildropRow(at("eve", "acme.test"))], SKIP)
    assert outcomes(made) == [Outcome.CREATED, Outcome.CREATED]
    view = await tenancy.maildrops.find("acme", at("bob"))
    assert view is not None
    assert (view.status, dict(view.policy)) == (Status.SUSPENDED, {"quota_messages": 7})
    alias = await tenancy.aliases.find("acme", at("b", "acme.test"))
    assert alias is not None
    assert alias.address == "bob@acme.example"
    account = await directory.find("bob@acme.example")
    assert account is not None
    assert [(each.label, each.verifier) for each in account.credentials] == [("main", "$plain$x")]


async def test_a_refused_row_keeps_no_other_out(stores: Stores) -> None:
    tenancy, _ = stores
    made = await tenancy.batches.put(
        ACME,
        [
            MaildropRow(at("first")),
            MaildropRow(at("sales")),
            MaildropRow(at("x", "other.example")),
            MaildropRow(at("y"), aliases=(at("ada"),)),
            MaildropRow(at("z"), aliases=(at("sales"),)),
            MaildropRow(at("n"), aliases=(at("n", "nobody.example"),)),
            MaildropRow(at("m"), aliases=(at("last"),)),
            MaildropRow(at("k"), aliases=(at("shared"),)),
            MaildropRow(at("l"), aliases=(at("shared"),)),
            MaildropRow(at("last")),
        ],
        SKIP,
    )
    assert outcomes(made) == [
        Outcome.CREATED,
        "sales@acme.example is an alias",
        "there is no domain other.example",
        "the alias ada@acme.example is a maildrop",
        "the alias sales@acme.example leads to ada@acme.example already",
        "there is no domain nobody.example",
        "the alias last@acme.example is a maildrop",
        Outcome.CREATED,
        "the alias shared@acme.example leads to k@acme.example already",
        Outcome.CREATED,
    ]
    assert (await tenancy.tenants.usage("acme")).maildrops == 4


async def test_what_is_there_is_kept_unless_it_is_to_be_changed(stores: Stores) -> None:
    tenancy, _ = stores
    ada = MaildropRow(at("ada"), Status.SUSPENDED, {"quota_octets": 5}, (at("a"),), armed("$plain$x"))
    assert outcomes(await tenancy.batches.put(ACME, [ada], SKIP)) == [Outcome.KEPT]
    view = await tenancy.maildrops.find("acme", at("ada"))
    assert view is not None
    assert view.status is Status.ACTIVE
    assert outcomes(await tenancy.batches.put(ACME, [ada], UPDATE)) == [Outcome.UPDATED]
    assert outcomes(await tenancy.batches.put(ACME, [ada], UPDATE)) == [Outcome.KEPT]
    changed = await tenancy.maildrops.find("acme", at("ada"))
    assert changed is not None
    assert (changed.status, dict(changed.policy)) == (Status.SUSPENDED, {"quota_messages": 1, "quota_octets": 5})
    assert await tenancy.aliases.find("acme", at("a")) is not None
    assert list(await tenancy.credentials.of("acme", at("ada"))) == []
    silent = MaildropRow(at("ada"))
    assert outcomes(await tenancy.batches.put(ACME, [silent], BOTH)) == [Outcome.KEPT]


async def test_a_credential_is_replaced_only_when_that_is_asked_for(stores: Stores) -> None:
    tenancy, directory = stores
    for verifier, manner, outcome in (
        ("$plain$a", RESET, Outcome.UPDATED),
        ("$plain$a", RESET, Outcome.KEPT),
        ("$plain$b", UPDATE, Outcome.KEPT),
        ("$plain$c", BOTH, Outcome.UPDATED),
    ):
        row = MaildropRow(at("ada"), credential=armed(verifier))
        assert outcomes(await tenancy.batches.put(ACME, [row], manner)) == [outcome]
    account = await directory.find("ada@acme.example")
    assert account is not None
    assert [each.verifier for each in account.credentials] == ["$plain$c"]


async def test_a_password_that_is_reset_ends_when_the_old_one_did(stores: Stores) -> None:
    tenancy, _ = stores
    end = datetime(2100, 1, 1, tzinfo=UTC)
    before = await tenancy.credentials.create(ACME, at("ada"), NewCredential("main", "password", "$plain$a", end))
    row = MaildropRow(at("ada"), credential=armed("$plain$b"))
    assert outcomes(await tenancy.batches.put(ACME, [row], RESET)) == [Outcome.UPDATED]
    [after] = await tenancy.credentials.of("acme", at("ada"))
    assert (after.expires, after.credential_id == before.credential_id) == (end, False)


async def test_a_password_that_ended_is_not_reset_and_its_row_says_so(stores: Stores) -> None:
    tenancy, _ = stores
    past = datetime(2020, 1, 1, tzinfo=UTC)
    await tenancy.credentials.create(ACME, at("ada"), NewCredential("main", "password", "v", past))
    before = await tenancy.credentials.of("acme", at("ada"))
    row = MaildropRow(at("ada"), credential=armed("w"))
    [said] = outcomes(await tenancy.batches.put(ACME, [row], RESET))
    assert str(said).startswith("main of ada@acme.example ended at 2020-01-01T00:00:00")
    assert await tenancy.credentials.of("acme", at("ada")) == before
    same = MaildropRow(at("ada"), credential=armed("v"))
    assert await tenancy.batches.put(ACME, [same], RESET) == [Outcome.KEPT]
    assert await tenancy.batches.put(ACME, [row], UPDATE) == [Outcome.KEPT]


async def test_a_suspended_password_is_not_reset_and_its_row_says_so(stores: Stores) -> None:
    tenancy, _ = stores
    later = datetime(2100, 1, 1, tzinfo=UTC)
    await tenancy.credentials.create(ACME, at("ada"), NewCredential("main", "password", "v", later))
    await tenancy.credentials.set_status(ACME, at("ada"), "main", Status.SUSPENDED)
    before = await tenancy.credentials.of("acme", at("ada"))
    row = MaildropRow(at("ada"), credential=armed("w"))
    [said] = outcomes(await tenancy.batches.put(ACME, [row], RESET))
    assert str(said).startswith("main of ada@acme.example is suspended: resume it first")
    assert await tenancy.credentials.of("acme", at("ada")) == before
    same = MaildropRow(at("ada"), credential=armed("v"))
    assert await tenancy.batches.put(ACME, [same], RESET) == [Outcome.KEPT]
    assert await tenancy.batches.put(ACME, [row], UPDATE) == [Outcome.KEPT]


async def test_rules_for_new_names_leave_those_that_are_there(stores: Stores) -> None:
    tenancy, _ = stores
    old, alias = at("so\u00adft"), at("hy\u00adphen")
    await tenancy.maildrops.create(ACME, old, {})
    await tenancy.aliases.create(ACME, alias, old)
    rows = [
        MaildropRow(old, Status.SUSPENDED, aliases=(alias,)),
        MaildropRow(at("\u202eeve")),
        MaildropRow(at("\ufffd")),
        MaildropRow(at("ada"), aliases=(at("\u202ea"),)),
    ]
    [kept, *refused] = outcomes(await tenancy.batches.put(ACME, rows, UPDATE))
    assert kept is Outcome.UPDATED
    assert ["be seen" in str(each) or "log in" in str(each) for each in refused] == [True] * 3


async def test_an_app_password_is_not_reset_and_its_row_says_so(stores: Stores) -> None:
    tenancy, _ = stores
    phone = NewCredential("phone", "app", "digest", None, None, uuid4(), {"dele": "keep"})
    view = await tenancy.credentials.create(ACME, at("ada"), phone)
    rows = [
        MaildropRow(at("ada"), Status.SUSPENDED, credential=armed("$plain$b", "phone")),
        MaildropRow(at("bob"), credential=armed("$plain$b", "phone")),
    ]
    refused = "phone of ada@acme.example is an app password: remove it, and make a new one"
    assert outcomes(await tenancy.batches.put(ACME, rows, BOTH)) == [refused, Outcome.CREATED]
    assert await tenancy.credentials.of("acme", at("ada")) == [view]
    assert outcomes(await tenancy.batches.put(ACME, rows, UPDATE)) == [Outcome.UPDATED, Outcome.KEPT]


async def test_a_batch_has_one_audit_row_and_none_when_nothing_was_done(stores: Stores) -> None:
    tenancy, _ = stores
    before = len(await tenancy.audit.newest("acme", 100))
    rows = [MaildropRow(at(f"u{n}"), credential=armed("$plain$secret")) for n in range(50)]
    await tenancy.batches.put(ACME, [*rows, MaildropRow(at("ada"), Status.SUSPENDED)], UPDATE)
    await tenancy.batches.put(ACME, rows, SKIP)
    entries = await tenancy.audit.newest("acme", 100)
    assert len(entries) == before + 1
    assert (entries[0].actor, entries[0].action, entries[0].subject) == ("tester", "maildrop.batch", "acme")
    assert entries[0].details == {"created": 50, "updated": ["ada@acme.example"]}
    assert "secret" not in repr(entries)


async def test_only_the_tenants_own_maildrops_are_there(stores: Stores) -> None:
    """G10."""
    tenancy, _ = stores
    asked = [at("ada"), at("bob"), at("sales")]
    assert set(await tenancy.batches.there("acme", asked)) == {at("ada")}
    assert set(await tenancy.batches.there("other", asked)) == set()
    assert set(await tenancy.batches.there("nobody", asked)) == set()


async def test_a_removed_maildrops_address_is_free(stores: Stores) -> None:
    """G7."""
    tenancy, _ = stores
    await tenancy.maildrops.remove(ACME, at("ada"))
    again = MaildropRow(at("ada"), aliases=(at("sales"),))
    assert outcomes(await tenancy.batches.put(ACME, [again], SKIP)) == [Outcome.CREATED]


async def test_no_batch_is_put_into_an_absent_tenant(stores: Stores) -> None:
    tenancy, _ = stores
    with pytest.raises(Refusal, check=lambda r: r.reason is Reason.NOT_FOUND):
        await tenancy.batches.put(Act("tester", "nobody"), [MaildropRow(at("x"))], SKIP)


@pytest.mark.parametrize("world_dsn", ["postgres"], indirect=True)
async def test_two_batches_at_once_make_each_maildrop_once(stores: Stores) -> None:
    tenancy, _ = stores
    locals_ = [f"u{n}" for n in range(30)]
    made = await asyncio.gather(
        *(
            tenancy.batches.put(ACME, [MaildropRow(at(local)) for local in order], SKIP)
            for order in (locals_, locals_[::-1], locals_)
        )
    )
    every = [each for batch in made for each in batch]
    assert (every.count(Outcome.CREATED), every.count(Outcome.KEPT)) == (30, 60)
