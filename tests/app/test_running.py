"""One process with every role over real systems: from a delivery by LMTP to a retrieval, and to staff's view of it."""

import asyncio
import poplib
import smtplib
import ssl
import time
import urllib.request
from contextlib import AbstractAsyncContextManager

import pytest
import trustme
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from service.app.provisioning import provisioning
from service.app.running import WORKER, Role, Running, running
from service.app.staff import evict, live_sessions
from service.model.refusal import Reason, Refusal
from service.model.tenancy import PolicyChange
from service.telemetry import labels, sharing, span_metrics
from service.telemetry.serving import GRACE, serving
from tests.app.conftest import ADDRESS, PASSWORD, Make, listener, provide
from tests.net.front import until
from tests.telemetry.collector import collecting

TEXT = "Subject: apples\r\n\r\n.They begin with a dot.\r\n"


def deliver(poplar: Running, count: int = 1) -> None:
    with smtplib.LMTP(*poplar.ports["lmtp"]) as client:
        for _ in range(count):
            assert client.sendmail("ben@harbour.example", [ADDRESS], TEXT) == {}


def logged_in(poplar: Running, ca: trustme.CA, password: str = PASSWORD) -> poplib.POP3_SSL:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    client = poplib.POP3_SSL(*poplar.ports["pop3s"], context=context, timeout=30)
    client.user(ADDRESS)
    client.pass_(password)
    return client


def read_all(poplar: Running, ca: trustme.CA) -> list[bytes]:
    client = logged_in(poplar, ca)
    count, octets = client.stat()
    texts = [b"\r\n".join(client.retr(number)[1]) + b"\r\n" for number in range(1, count + 1)]
    assert sum(map(len, texts)) == octets
    client.quit()
    return texts


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_what_lmtp_takes_pop3_gives(make: Make, ca: trustme.CA) -> None:
    settings = make()
    await provide(settings)
    async with running(settings, {"pop3", "lmtp"}) as poplar:
        await asyncio.to_thread(deliver, poplar, 2)
        texts = await asyncio.to_thread(read_all, poplar, ca)
    assert len(texts) == 2
    assert all(text.endswith(TEXT.encode()) for text in texts)
    assert b"by mail.orchard.example with LMTP" in texts[0]


async def test_only_the_asked_roles_listen(make: Make) -> None:
    async with running(make(), {"pop3"}) as poplar:
        assert set(poplar.ports) == {"pop3", "pop3s"}
    async with running(make(), {"lmtp"}) as poplar:
        assert set(poplar.ports) == {"lmtp"}


@pytest.mark.parametrize(("role", "grace"), [("api", 5.0), ("lmtp", GRACE)])
async def test_requests_of_the_api_have_the_drains_grace_and_probes_need_none(
    make: Make, monkeypatch: pytest.MonkeyPatch, role: Role, grace: float
) -> None:
    given: list[float] = []

    def noted(app: ASGIApp, host: str, port: int, grace: float) -> AbstractAsyncContextManager[str]:
        given.append(grace)
        return serving(app, host, port, grace)

    monkeypatch.setattr("service.app.running.serving", noted)
    async with running(make(), {role}):
        pass
    assert given == [grace]


async def test_who_waits_is_told_of_everything_that_is_shared(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    told = set()
    monkeypatch.setattr(sharing, "waiting", lambda resource, _callers: told.add(resource))
    async with running(make(), {"pop3", "lmtp"}):
        await until(lambda: told)
    assert told == labels.SHARED


async def test_what_a_worker_tells_last_is_in_what_it_shares(make: Make, ca: trustme.CA) -> None:
    shared = span_metrics._spans.labels("unflushed")._value
    with collecting() as collector:
        collector.hanging.set()
        settings = make(traces={"enabled": True, "endpoint": collector.endpoint, "ratio": 1.0, "flush": 0.1})
        await provide(settings)
        before = shared.get()
        async with running(settings, {"pop3"}, WORKER) as poplar:
            await asyncio.to_thread(read_all, poplar, ca)
        assert shared.get() > before


def refused(poplar: Running, ca: trustme.CA) -> None:
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        logged_in(poplar, ca)


async def test_a_login_that_meets_another_session_counts_once_whichever_way_it_goes(make: Make, ca: trustme.CA) -> None:
    """RFC 2449 §8.1.2, [IN-USE]: after a login that went well the next one asks for the lease twice."""
    settings = make()
    await provide(settings)
    async with running(settings, {"pop3"}) as poplar:
        await asyncio.to_thread(read_all, poplar, ca)
        held = await asyncio.to_thread(logged_in, poplar, ca)
        before = locks("in_use"), locks("acquired")
        await asyncio.to_thread(refused, poplar, ca)
        await asyncio.to_thread(refused, poplar, ca)
        assert (locks("in_use") - before[0], locks("acquired") - before[1]) == (2, 0)
        await asyncio.to_thread(held.quit)


async def test_a_login_after_a_wrong_password_counts_once_though_it_asks_for_the_lease_twice(
    make: Make, ca: trustme.CA
) -> None:
    settings = make()
    await provide(settings)
    async with running(settings, {"pop3"}) as poplar:
        await asyncio.to_thread(read_all, poplar, ca)
        with pytest.raises(poplib.error_proto, match="AUTH"):
            await asyncio.to_thread(logged_in, poplar, ca, "wrong")
        before = locks("acquired"), judged()
        held = await asyncio.to_thread(logged_in, poplar, ca)
        assert (locks("acquired") - before[0], judged() - before[1]) == (1, 1)
        await asyncio.to_thread(held.quit)


async def test_a_login_whose_account_has_changed_counts_once_though_it_asks_for_the_lease_twice(
    make: Make, ca: trustme.CA
) -> None:
    settings = make()
    await provide(settings)
    async with running(settings, {"pop3"}) as poplar:
        await asyncio.to_thread(read_all, poplar, ca)
        before = locks("acquired"), judged()
        await asyncio.to_thread(read_all, poplar, ca)
        assert (locks("acquired") - before[0], judged() - before[1]) == (1, 1)
        async with provisioning(settings, "test") as desk:
            await desk.maildrops.set_policy(ADDRESS, PolicyChange({"dele": "refuse"}))
        await asyncio.to_thread(read_all, poplar, ca)
        assert (locks("acquired") - before[0], judged() - before[1]) == (2, 2)


def judged() -> float:
    return REGISTRY.get_sample_value("poplar_logins_judged_total", {"counters": "shared"}) or 0.0


def locks(outcome: str) -> float:
    return REGISTRY.get_sample_value("poplar_lock_seconds_count", {"outcome": outcome}) or 0.0


async def test_what_happened_shows_in_the_metrics(make: Make, ca: trustme.CA) -> None:
    settings = make()
    await provide(settings)
    async with running(settings, {"pop3", "lmtp"}) as poplar:
        await asyncio.to_thread(deliver, poplar)
        await asyncio.to_thread(read_all, poplar, ca)
        fetch = asyncio.to_thread(urllib.request.urlopen, f"{poplar.http_url}/metrics")
        text = (await fetch).read().decode()
    for series in (
        'poplar_messages_delivered_total{outcome="stored"}',
        "poplar_messages_retrieved_total",
        'poplar_login_seconds_count{mechanism="USER",result="ok"}',
        'poplar_lock_seconds_count{outcome="acquired"}',
        'poplar_store_seconds_count{outcome="ok",vendor="postgres"}',
        "poplar_certificate_expiry_timestamp_seconds",
        'poplar_pool_connections{role="front",use="idle"}',
    ):
        assert series in text
    assert ADDRESS not in text
    assert "orchard" not in text.replace("mail.orchard.example", "")


async def test_staff_see_a_session_and_can_end_it(make: Make, ca: trustme.CA) -> None:
    settings = make()
    await provide(settings)
    async with running(settings, {"pop3", "lmtp"}) as poplar:
        await asyncio.to_thread(deliver, poplar)
        client = await asyncio.to_thread(logged_in, poplar, ca)
        (holder,) = await live_sessions(settings)
        assert (holder.address, holder.tenant, holder.client) == (ADDRESS, "orchard", "127.0.0.1")
        await asyncio.to_thread(client.dele, 1)
        await evict(settings, "tester", ADDRESS)
        async with provisioning(settings, "test") as desk:
            newest = (await desk.tenants.history("orchard"))[0]
        assert (newest.actor, newest.action, newest.subject) == ("tester", "session.end", ADDRESS)
        # G5: the session is told, or finds the connection closed; it removes nothing.
        with pytest.raises((poplib.error_proto, OSError, EOFError)):
            await asyncio.to_thread(_until_it_fails, client)
        client.close()
        assert len(await asyncio.to_thread(_read_once_free, poplar, ca)) == 1


def _read_once_free(poplar: Running, ca: trustme.CA) -> list[bytes]:
    for _ in range(600):
        try:
            return read_all(poplar, ca)
        except poplib.error_proto as error:
            if "IN-USE" not in str(error):
                raise
            time.sleep(0.1)
    raise AssertionError("the maildrop never became free")


def _until_it_fails(client: poplib.POP3) -> None:
    while True:
        client.noop()


async def test_nobody_holds_a_maildrop_that_nobody_opened(make: Make) -> None:
    settings = make()
    await provide(settings)
    for address, why in ((ADDRESS, "nobody holds"), ("nobody@orchard.example", "there is no maildrop")):
        with pytest.raises(Refusal, match=why) as refused:
            await evict(settings, "tester", address)
        assert refused.value.reason is Reason.NOT_FOUND
    async with provisioning(settings, "test") as desk:
        assert "session.end" not in {entry.action for entry in await desk.tenants.history("orchard")}


async def test_a_taken_port_is_named_and_nothing_stays_behind(make: Make) -> None:
    async with running(make(), {"pop3"}) as poplar:
        port = poplar.ports["pop3"][1]
        with pytest.raises(OSError, match=f"listener again: port {port}"):
            async with running(make(listeners=[listener("again", port=port)]), {"pop3"}):
                raise AssertionError("two listeners on one port")
    async with running(make(listeners=[listener("again", port=port)]), {"pop3"}) as after:
        assert after.ports["again"][1] == port


async def test_it_starts_and_refuses_as_transient_while_every_system_is_away(make: Make, ca: trustme.CA) -> None:
    """G14: a fault is never [AUTH]. Readiness does not depend on other systems."""
    nowhere = {"url": "postgresql://nobody@127.0.0.1:1/none", "deadline": 0.5, "attempt": 0.5}
    async with running(make(database=nowhere, redis={"url": "redis://127.0.0.1:1/0"}), {"pop3"}) as poplar:
        ready = await asyncio.to_thread(urllib.request.urlopen, f"{poplar.http_url}/readyz")
        assert ready.status == 200
        with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
            await asyncio.to_thread(logged_in, poplar, ca)
