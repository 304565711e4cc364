"""The ports `Issuers` and `TenantIssuers`, in memory and on Postgres with the logins that use them. G10, G11, G17.

RFC 7628 §3.2, RFC 7662 §2.1, RFC 8414 §2, RFC 7518 §3.1.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.mail.bearer import Issuers
from service.mail.issuing import IssuerProvisioning, unchanged
from service.mail.provisioning import Office
from service.mail.tenancy import Act, AuditQuery, Tenancy
from service.model.account import Status
from service.model.address import parse_address
from service.model.issuer import IssuerTerms, Method, NewIssuer
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from service.stores.memory.tenancy.issuers import MemoryIssuers
from service.stores.postgres.database import Database
from service.stores.postgres.logins import create_login
from service.stores.postgres.tenancy import postgres_tenancy
from service.stores.postgres.tenancy.issuers import PostgresIssuers
from service.stores.postgres.units import CONFINE, PostgresUnits
from tests.stores.test_row_security import clerks

ACME, OTHER = Act("tester", "acme"), Act("tester", "other")
TERMS = IssuerTerms(
    *("https://id.example/acme", ("poplar", "other"), Method.INTROSPECTION, ("ES256", "EdDSA"), "upn", False),
    *("mail", "https://id.example/keys", "https://id.example/ask", "poplar"),
)
SECRET = "s3cret of the client's"


@dataclass(frozen=True)
class World:
    tenancy: Tenancy
    front: Issuers
    """As a front end reads them."""

    @property
    def provisioning(self) -> IssuerProvisioning:
        return IssuerProvisioning(Office(self.tenancy, "tester"))


@pytest.fixture
async def world(world_dsn: str | None) -> AsyncIterator[World]:
    if world_dsn is None:
        state = MemoryState()
        yield await furnished(World(memory_tenancy(state), MemoryIssuers(state)))
        return
    api = await clerks(world_dsn)
    await create_login(world_dsn, "doorman", "doorman", "poplar_front")
    scheme, _, rest = world_dsn.partition("://")
    front = Database(f"{scheme}://doorman:doorman@{rest.rpartition('@')[2]}")
    await front.open()
    yield await furnished(World(postgres_tenancy(api), PostgresIssuers(front)))
    await front.close()
    await api.close()


async def furnished(world: World) -> World:
    for act in (ACME, OTHER):
        await world.tenancy.tenants.create(act, {})
        await world.tenancy.domains.create(act, f"{act.tenant}.example")
    await world.tenancy.maildrops.create(ACME, parse_address("ada@acme.example"), {})
    return world


def refused(reason: Reason) -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda refusal: refusal.reason is reason)


async def test_an_issuer_is_read_by_the_domain_as_it_was_created(world: World) -> None:
    await world.tenancy.issuers.create(ACME, NewIssuer("main", TERMS, client_secret=SECRET))
    trusted = await world.front.trusted("acme.example")
    [issuer] = trusted.issuers
    assert (issuer.name, issuer.terms, issuer.client_secret) == ("main", TERMS, SECRET)
    assert abs(trusted.moment - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_domain_without_issuers_or_that_nobody_has_has_none_and_a_time_all_the_same(world: World) -> None:
    await world.tenancy.issuers.create(ACME, NewIssuer("main", TERMS))
    for domain in ("other.example", "nowhere.example", ""):
        trusted = await world.front.trusted(domain)
        assert trusted.issuers == []
        assert abs(trusted.moment - datetime.now(UTC)) < timedelta(minutes=1)


async def test_g11_only_active_issuers_are_trusted(world: World) -> None:
    await world.tenancy.issuers.create(ACME, NewIssuer("b", TERMS))
    await world.tenancy.issuers.create(ACME, NewIssuer("a", TERMS))
    assert [each.name for each in (await world.front.trusted("acme.example")).issuers] == ["a", "b"]
    await world.tenancy.issuers.replace(ACME, NewIssuer("a", TERMS, Status.SUSPENDED))
    await world.tenancy.issuers.remove(ACME, "b")
    assert (await world.front.trusted("acme.example")).issuers == []


async def test_whether_anybody_trusts_an_issuer(world: World) -> None:
    assert not await world.front.any()
    await world.tenancy.issuers.create(ACME, NewIssuer("main", TERMS))
    assert await world.front.any()
    await world.tenancy.tenants.set_status(ACME, Status.SUSPENDED)
    assert not await world.front.any()
    await world.tenancy.tenants.set_status(ACME, Status.ACTIVE)
    await world.tenancy.issuers.replace(ACME, NewIssuer("main", TERMS, Status.SUSPENDED))
    assert not await world.front.any()


async def test_staff_see_an_issuer_without_its_secret(world: World) -> None:
    view = await world.provisioning.create("acme", NewIssuer("main", TERMS, client_secret=SECRET))
    assert (view.tenant, view.status, view.terms) == ("acme", Status.ACTIVE, TERMS)
    assert view.secret_set is not None
    assert await world.provisioning.every("acme") == [view]
    assert await world.provisioning.every("other") == []
    assert SECRET not in repr(view)


async def test_a_change_keeps_the_secret_replaces_it_or_takes_it_away(world: World) -> None:
    provisioning = world.provisioning
    await provisioning.create("acme", NewIssuer("main", TERMS, client_secret=SECRET))
    await provisioning.set_status("acme", "main", Status.SUSPENDED)
    await provisioning.set_status("acme", "main", Status.ACTIVE)
    secrets = [(await world.front.trusted("acme.example")).issuers[0].client_secret]
    for secret in ("another", ""):
        view = await provisioning.replace("acme", NewIssuer("main", TERMS, client_secret=secret))
        assert (view.secret_set is not None) is bool(secret)
        secrets.append((await world.front.trusted("acme.example")).issuers[0].client_secret)
    assert secrets == [SECRET, "another", ""]


async def test_what_is_there_already_or_nowhere_is_refused_in_words(world: World) -> None:
    provisioning = world.provisioning
    await provisioning.create("acme", NewIssuer("main", TERMS))
    with refused(Reason.EXISTS):
        await provisioning.create("acme", NewIssuer("main", TERMS))
    with refused(Reason.NOT_FOUND):
        await provisioning.create("nobody", NewIssuer("main", TERMS))
    for act in (
        *(provisioning.show("other", "main"), provisioning.replace("other", NewIssuer("main", TERMS))),
        *(provisioning.remove("other", "main"), provisioning.every("nobody"), provisioning.show("acme", "x")),
    ):
        with refused(Reason.NOT_FOUND):
            await act


async def test_the_audit_tells_every_act_and_no_secret(world: World) -> None:
    """G17."""
    provisioning = world.provisioning
    await provisioning.create("acme", NewIssuer("main", TERMS, client_secret=SECRET))
    await provisioning.replace("acme", NewIssuer("main", replace(TERMS, scope="x"), client_secret=None))
    await provisioning.remove("acme", "main")
    entries = (await world.tenancy.audit.page("acme", AuditQuery(subject="main")))[::-1]
    assert [entry.action for entry in entries] == ["issuer.create", "issuer.replace", "issuer.remove"]
    assert [entry.details.get("secret_changed") for entry in entries] == [True, False, None]
    assert SECRET not in repr(entries)


async def test_the_audit_tells_a_changed_secret_from_one_that_stayed(world: World) -> None:
    provisioning = world.provisioning
    await provisioning.create("acme", NewIssuer("main", TERMS))
    for scope, secret in (("a", ""), ("b", SECRET), ("c", SECRET), ("d", None), ("e", "another"), ("f", "")):
        await provisioning.replace("acme", NewIssuer("main", replace(TERMS, scope=scope), client_secret=secret))
    entries = (await world.tenancy.audit.page("acme", AuditQuery(subject="main")))[::-1]
    told = [entry.details["secret_changed"] for entry in entries]
    assert told == [False, False, True, False, False, True, True]


async def test_what_is_so_already_is_neither_written_nor_audited(world: World) -> None:
    provisioning = world.provisioning
    made = await provisioning.create("acme", NewIssuer("main", TERMS, client_secret=SECRET))
    for secret in (None, SECRET):
        assert await provisioning.replace("acme", NewIssuer("main", TERMS, client_secret=secret)) == made
    assert len(await world.tenancy.audit.page("acme", AuditQuery(subject="main"))) == 1


async def test_no_change_is_lost_to_one_that_began_before_it(migrated_dsn: str) -> None:
    """G11."""
    api, owner = await clerks(migrated_dsn), await asyncpg.connect(migrated_dsn)
    world = await furnished(World(postgres_tenancy(api), PostgresIssuers(api)))
    await world.provisioning.create("acme", NewIssuer("main", TERMS, client_secret=SECRET))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    other = replace(TERMS, scope="other")
    async with PostgresUnits(api).open(None) as unit:
        await unit.holds.tenant("acme")
        change = asyncio.create_task(
            world.provisioning.change("acme", "main", lambda view: replace(unchanged(view), terms=other))
        )
        while not await owner.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await unit.tenancy.issuers.replace(ACME, NewIssuer("main", TERMS, Status.SUSPENDED, None))
    view = await change
    assert (view.status, view.terms) == (Status.SUSPENDED, other)
    await owner.close()
    await api.close()


async def test_a_change_that_makes_no_sense_changes_nothing(world: World) -> None:
    before = await world.provisioning.create("acme", NewIssuer("main", TERMS))
    wrong = replace(TERMS, url="http://id.example")
    with refused(Reason.INVALID):
        await world.provisioning.change("acme", "main", lambda view: replace(unchanged(view), terms=wrong))
    with refused(Reason.NOT_FOUND):
        await world.provisioning.change("acme", "other", unchanged)
    assert await world.provisioning.every("acme") == [before]


async def test_a_removed_tenant_s_issuers_go_with_it(world: World) -> None:
    await world.provisioning.create("acme", NewIssuer("main", TERMS))
    await world.tenancy.tenants.remove(ACME, cascade=True)
    assert (await world.front.trusted("acme.example")).issuers == []
    assert not await world.front.any()
    await world.tenancy.tenants.create(ACME, {})
    assert await world.provisioning.every("acme") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://id.example"}, "begins with https"),
        ({"url": "https://id.example/?x=y"}, "no query"),
        ({"url": "https://id.example/#x"}, "is no URL"),
        ({"url": "https://user:pass@id.example"}, "is no URL"),
        ({"url": "https://"}, "is no URL"),
        ({"url": "https://id.example:x/"}, "is no URL"),
        ({"url": "https://id .example"}, "is no URL"),
        ({"url": "file:///etc/passwd"}, "is no URL"),
        ({"jwks_uri": "http://keys.example/"}, "jwks_uri begins with https"),
        ({"introspection_endpoint": "ftp://x.example/"}, "introspection_endpoint begins with https"),
        ({"audiences": ()}, "audiences"),
        ({"audiences": ("a b",)}, "audiences"),
        ({"algorithms": ()}, "algorithms"),
        ({"algorithms": ("none",)}, "algorithms"),
        ({"algorithms": ("RS256", "HS256")}, "algorithms"),
        ({"mail_claim": ""}, "mail_claim"),
        ({"scope": "two words"}, "scope"),
        ({"client_id": ""}, "client_id"),
    ],
)
async def test_terms_that_could_not_be_safe_are_refused_in_words(
    world: World, change: dict[str, object], words: str
) -> None:
    terms = replace(TERMS, **change)  # type: ignore[arg-type]
    with pytest.raises(Refusal, match=words) as caught:
        await world.provisioning.create("acme", NewIssuer("main", terms))
    assert caught.value.reason is Reason.INVALID


@pytest.mark.parametrize("name", ["", "A", "-a", "a b", "a" * 64])
async def test_a_name_has_few_letters(world: World, name: str) -> None:
    with refused(Reason.INVALID):
        await world.provisioning.create("acme", NewIssuer(name, TERMS))


@pytest.mark.parametrize("url", ["http://localhost:1/x", "http://127.0.0.1:1", "http://[::1]:1"])
async def test_http_is_for_this_machine_alone(world: World, url: str) -> None:
    terms = replace(TERMS, url=url, jwks_uri=f"{url}/keys")
    assert (await world.provisioning.create("acme", NewIssuer("main", terms))).terms == terms


async def test_a_tenant_s_admin_reads_its_issuers_and_no_secret_and_writes_none(migrated_dsn: str) -> None:
    """G10, G17."""
    api = await clerks(migrated_dsn)
    world = await furnished(World(postgres_tenancy(api), PostgresIssuers(api)))
    for tenant in ("acme", "other"):
        await world.provisioning.create(tenant, NewIssuer(tenant, TERMS, client_secret=SECRET))
    found = await world.tenancy.tenants.find("acme")
    assert found is not None
    async with api.transaction() as connection:
        await connection.execute(CONFINE, str(found.tenant_id))
        assert [row[0] for row in await connection.fetch("SELECT name FROM issuers")] == ["acme"]
        for statement in ("SELECT client_secret FROM issuers", "DELETE FROM issuers", "UPDATE issuers SET name = 'x'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(statement)
    await api.close()
