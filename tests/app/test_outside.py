"""Outside directories under a whole process: real Postgres, Valkey and blobs, a real hook, a real client over TLS.

G10, G11, G13, G14; RFC 3206 §4 and §5.
"""

import asyncio
import poplib
import smtplib
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import trustme

from service.app.doctor import Finding
from service.app.doctor.directories import check_directories
from service.app.provisioning import provisioning
from service.app.running import Running, running
from service.settings import Settings
from tests.app.conftest import Make
from tests.backends.hook import SECRET, Hook, hook, users

ANNA, BEN = "anna@orchard.example", "ben@orchard.example"
CARLA = "carla@harbour.example"
PASSWORD = "correct horse"
SHA512 = (
    "{SHA512-CRYPT}$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"
)
"""Of "correct horse"."""


async def two_tenants(settings: Settings, directory: str | None = "crm") -> None:
    """One whose users are kept outside and one whose aren't, each with its domain; the second has a maildrop."""
    async with provisioning(settings, "test") as desk:
        for tenant in ("orchard", "harbour"):
            await desk.tenants.create(tenant)
            await desk.domains.create(tenant, f"{tenant}.example")
        await desk.directories.choose("orchard", directory)
        await desk.maildrops.create(CARLA)
        await desk.credentials.create(CARLA, await desk.passwords.credential(PASSWORD))


def outside(hook: Hook, **more: object) -> dict[str, Any]:
    """Settings with this hook as the directory crm."""
    one = {"name": "crm", "url": hook.url, "secret": SECRET, "allow_clear": True, "provide": True, "deadline": 30.0}
    return {"outside": [one | more]}


@contextmanager
def client(poplar: Running, ca: trustme.CA) -> Iterator[poplib.POP3_SSL]:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    pop = poplib.POP3_SSL(*poplar.ports["pop3s"], context=context, timeout=60)
    try:
        yield pop
    finally:
        pop.close()


def log_in(poplar: Running, ca: trustme.CA, name: str, password: str = PASSWORD) -> str:
    """What the client hears after PASS."""
    with client(poplar, ca) as pop:
        pop.user(name)
        try:
            said = pop.pass_(password)
            pop.quit()
        except poplib.error_proto as error:
            return str(error.args[0].decode())
        return said.decode()


def deliver(poplar: Running, address: str) -> int:
    with smtplib.LMTP(*poplar.ports["lmtp"]) as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        lmtp.mail("sender@else.example")
        code, _ = lmtp.rcpt(address)
        if code == 250:
            lmtp.data("Subject: apples\r\n\r\nhello\r\n")
        return code


REFUSED = "-ERR [AUTH] Authentication failed"
AWAY = "-ERR [SYS/TEMP] Try again later: service unavailable, please wait"


async def test_a_hook_s_users_log_in_and_get_their_mail_without_being_copied(make: Make, ca: trustme.CA) -> None:
    async with hook(users({ANNA: PASSWORD, BEN: "other"})) as crm:
        settings = make(directory=outside(crm))
        await two_tenants(settings)
        async with running(settings, {"pop3", "lmtp"}) as poplar:
            assert (await asyncio.to_thread(log_in, poplar, ca, ANNA)).startswith("+OK Maildrop locked and ready, 0")
            assert await asyncio.to_thread(deliver, poplar, BEN) == 250
            said = await asyncio.to_thread(log_in, poplar, ca, BEN, "other")
            assert said.startswith("+OK Maildrop locked and ready, 1 messages")
            assert await asyncio.to_thread(deliver, poplar, "nobody@orchard.example") == 550
            for name, password in ((ANNA, "wrong"), ("nobody@orchard.example", "x"), (CARLA, "wrong")):
                assert await asyncio.to_thread(log_in, poplar, ca, name, password) == REFUSED
            assert (await asyncio.to_thread(log_in, poplar, ca, CARLA)).startswith("+OK")
            fetched = await asyncio.to_thread(urllib.request.urlopen, f"{poplar.http_url}/metrics")
            text = fetched.read().decode()
    assert {asked.form["tenant"] for asked in crm.asked} == {"orchard"}
    assert all(asked.genuine for asked in crm.asked)
    login = next(asked.form for asked in crm.asked if asked.form["event"] == "login")
    assert (login["client"], login["mechanism"], login["listener"]) == ("127.0.0.1", "USER", "pop3s")
    assert 'poplar_directory_seconds_count{directory="crm",outcome="yes"}' in text
    assert "orchard" not in text.replace("mail.orchard.example", "")


async def test_a_query_s_users_log_in_by_the_hashes_they_have(make: Make, ca: trustme.CA, postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE people (mail text, hash text)")
    await connection.execute("INSERT INTO people VALUES ($1, $2)", ANNA, SHA512)
    query = "SELECT hash AS verifier FROM people WHERE mail = $1"
    directory = {"default": "crm", "outside": [{"name": "crm", "url": postgres_dsn, "query": query, "provide": True}]}
    settings = make(directory=directory)
    await two_tenants(settings, directory=None)
    async with provisioning(settings, "test") as desk:
        await desk.directories.choose("harbour", "own")
    async with running(settings, {"pop3"}) as poplar:
        assert (await asyncio.to_thread(log_in, poplar, ca, ANNA)).startswith("+OK")
        assert (await asyncio.to_thread(log_in, poplar, ca, CARLA)).startswith("+OK")
        assert await asyncio.to_thread(log_in, poplar, ca, ANNA, "wrong") == REFUSED
        await connection.execute("DELETE FROM people")
        assert await asyncio.to_thread(log_in, poplar, ca, ANNA) == REFUSED
        await connection.execute("DROP TABLE people")
        assert await asyncio.to_thread(log_in, poplar, ca, ANNA) == AWAY
        assert await asyncio.to_thread(log_in, poplar, ca, BEN) == AWAY
    await connection.close()


async def test_a_directory_that_hangs_holds_up_its_own_tenants_alone(make: Make, ca: trustme.CA) -> None:
    async with hook(lambda asked: None) as crm:
        settings = make(directory=outside(crm, connections=1, queue=0, deadline=60.0), database=_few(make))
        await two_tenants(settings)
        async with running(settings, {"pop3"}) as poplar:
            held = asyncio.create_task(asyncio.to_thread(log_in, poplar, ca, ANNA))
            await crm.arrived.wait()
            assert "[SYS/TEMP]" in await asyncio.to_thread(log_in, poplar, ca, BEN)
            assert (await asyncio.to_thread(log_in, poplar, ca, CARLA)).startswith("+OK")
            crm.say = users({ANNA: PASSWORD})
            crm.drop()
            # It is asked once more on a new connection.
            assert (await held).startswith("+OK")


def _few(make: Make) -> dict[str, Any]:
    """A pool of one connection: a question to a directory must hold none."""
    database = make().database
    return {"url": database.url.get_secret_value(), "connections": 1}


async def test_a_clear_deny_is_auth_and_all_else_is_temporary(make: Make, ca: trustme.CA) -> None:
    async with hook(users({ANNA: PASSWORD})) as crm:
        settings = make(directory=outside(crm))
        await two_tenants(settings)
        async with running(settings, {"pop3", "lmtp"}) as poplar:
            assert await asyncio.to_thread(log_in, poplar, ca, ANNA, "wrong") == REFUSED
            crm.say = lambda asked: b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
            for name in (ANNA, "nobody@orchard.example"):
                assert await asyncio.to_thread(log_in, poplar, ca, name) == AWAY
            assert await asyncio.to_thread(deliver, poplar, BEN) // 100 == 4
            assert (await asyncio.to_thread(log_in, poplar, ca, CARLA)).startswith("+OK")


async def findings(settings: Settings) -> list[Finding]:
    return [finding async for finding in check_directories(settings)]


async def test_the_doctor_asks_each_directory_for_somebody_whom_nobody_is(make: Make) -> None:
    async with hook(users({})) as crm:
        [finding] = await findings(make(directory=outside(crm)))
        assert (finding.subject, finding.state) == ("directory crm", "good")
        crm.say = users({"poplar-doctor@nobody.invalid": "x"})
        [finding] = await findings(make(directory=outside(crm)))
        assert (finding.state, "nobody has" in finding.text) == ("wrong", True)
        crm.say = lambda asked: b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
        [finding] = await findings(make(directory=outside(crm)))
        assert (finding.state, "403" in finding.text) == ("wrong", True)
        assert SECRET not in finding.text


async def test_the_doctor_finds_a_choice_that_the_settings_do_not_have(make: Make) -> None:
    await two_tenants(make(), "gone")
    [finding] = await findings(make())
    assert (finding.subject, finding.state) == ("directory gone", "wrong")
    assert "orchard" in finding.text


async def test_the_doctor_warns_where_scram_is_offered_to_whom_it_fails(make: Make) -> None:
    async with hook(users({})) as crm:
        scram = {"scram": True, "scram_secret": "s" * 32}
        told = await findings(make(directory=outside(crm), hashing=scram))
    assert [finding.state for finding in told] == ["good", "doubtful"]


@pytest.mark.parametrize("default", ["", "crm"])
async def test_scram_is_offered_only_where_it_can_succeed(make: Make, ca: trustme.CA, default: str) -> None:
    async with hook(users({})) as crm:
        scram = {"scram": True, "scram_secret": "s" * 32}
        settings = make(directory={"default": default} | outside(crm), hashing=scram)
        async with running(settings, {"pop3"}) as poplar:
            capabilities = await asyncio.to_thread(_capabilities, poplar, ca)
    assert ("SCRAM-SHA-256" in capabilities["SASL"]) is (default == "")


def _capabilities(poplar: Running, ca: trustme.CA) -> dict[str, list[str]]:
    with client(poplar, ca) as pop:
        return pop.capa()
