"""What happens to Poplar while clients use it: each scenario brings one kind of defect to light.

Owns the course of events, which waits for events and never for time. Refuses to know the defects: the honest program
goes through the same. Those about delivery and blobs stand in `scenarios_of_mail.py`. F1, F3, F4, F6, F13.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from service.model.refusal import Reason
from service.stores.memory.passwords import PREFIX
from service.stores.memory.state import ACTIVE, SUSPENDED
from tests.faults.seeded.clients import Pop3Client, deliver, message
from tests.faults.seeded.harm import Slow, carried_out, refused, unanswered
from tests.faults.seeded.stage import Process, Stage

ANNA, BERT = "anna@acme.example", "bert@acme.example"
Scenario = Callable[[Stage], Awaitable[None]]


async def with_mail(stage: Stage, *identities: int) -> tuple[Process, Process]:
    """A front end, an LMTP process, and so many messages for Anna."""
    await stage.maildrops(ANNA, BERT)
    front, lmtp = await stage.front(), await stage.lmtp()
    for identity in identities:
        await deliver(stage, lmtp, message(identity), ANNA)
    return front, lmtp


async def opened(stage: Stage, front: Process, name: str, address: str = ANNA) -> Pop3Client:
    """A client that said its password, whatever the answer."""
    client = await Pop3Client.at(stage, front, name, address)
    await client.log_in(stage.secrets[address])
    return client


async def an_ordinary_day(stage: Stage) -> None:
    front, lmtp = await with_mail(stage, 1, 2, 3, 4, 5)
    first = await opened(stage, front, "first")
    await first.read_all()
    await first.dele(1)
    await first.quit()
    second = await opened(stage, front, "second")
    await second.read_all()
    await second.dele(1)
    await second.rset()
    await second.quit()
    third = await opened(stage, front, "third")
    await third.uidl()
    await third.dele(1)
    third.drop()
    await stage.idle()
    await deliver(stage, lmtp, message(6), ANNA)
    fourth = await opened(stage, front, "fourth")
    await fourth.read_all()
    await fourth.quit()


async def redis_forgets_a_session_that_removes(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1, 2)
    older = await opened(stage, front, "older")
    await older.read_all()
    await older.dele(1)
    with stage.fault("Redis emptied", "redis"):
        stage.stores.forget()
    newer = await opened(stage, front, "newer")
    await newer.uidl()
    await older.quit()
    await newer.quit()


async def redis_forgets_a_session_that_stays(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1)
    older = await opened(stage, front, "older")
    with stage.fault("Redis emptied", "redis"):
        stage.stores.forget()
    newer = await opened(stage, front, "newer")
    await renewed(front)
    stage.clock.seconds += 60
    await older.noop()
    await newer.quit()


async def postgres_is_slow_to_remove(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1, 2)
    client = await opened(stage, front, "client")
    await client.uidl()
    await client.dele(1)
    slow = Slow()
    stage.harms.next("remove", slow)
    leaving = asyncio.create_task(client.quit())
    await slow.begun.wait()
    other = await opened(stage, front, "other")
    slow.go_on.set()
    await leaving
    other.drop()


async def a_session_outlasts_its_lease(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1)
    client = await opened(stage, front, "client")
    for _ in range(4):
        stage.clock.seconds += 10
        await renewed(front)
    other = await opened(stage, front, "other")
    await client.noop()
    await client.quit()
    other.drop()


async def a_front_end_dies(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1)
    client = await opened(stage, front, "client")
    await client.uidl()
    await client.dele(1)
    stage.kill(front)
    await client.noop()
    client.drop()
    stage.clock.seconds += 60
    other = await opened(stage, await stage.front(), "other")
    await other.read_all()
    await other.quit()


async def postgres_fails_at_a_listing(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1, 2, 3)
    reader = await opened(stage, front, "reader")
    await reader.read_all()
    await reader.quit()
    stage.harms.next("listing", refused)
    client = await opened(stage, front, "client")
    await client.list()
    await client.uidl()
    await client.quit()


async def postgres_fails_at_a_login(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1, 2)
    reader = await opened(stage, front, "reader")
    await reader.read_all()
    await reader.quit()
    for method in ("find", "open"):
        stage.harms.next(method, refused)
        client = await opened(stage, front, f"client-{method}")
        await client.stat()
        client.drop()
        await stage.idle()


async def postgres_fails_at_a_removal(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1, 2, 3, 4)
    for name, harms in (("first", [carried_out, refused]), ("second", [refused])):
        client = await opened(stage, front, name)
        await client.read_all()
        await client.dele(1, 2)
        stage.harms.next("remove", *harms)
        await client.quit()
        await stage.idle()
        stage.harms.clear()


async def the_answer_about_a_removal_is_lost(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1, 2)
    client = await opened(stage, front, "client")
    await client.read_all()
    await client.dele(1)
    stage.harms.next("remove", unanswered(Reason.UNKNOWN_OUTCOME))
    await client.quit()


async def the_password_changes(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1)
    await (await opened(stage, front, "before")).quit()
    with stage.recorder.begin("staff", "password", None, ANNA, secret="2") as changing:
        for row in stage.state.credentials:
            if row.key == stage.keys[ANNA]:
                row.verifier = PREFIX + "2"
        changing.end("ok")
    await (await opened(stage, front, "late")).quit()
    stage.secrets[ANNA] = "2"
    await (await opened(stage, front, "after")).quit()


async def staff_suspend(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1)
    await (await opened(stage, front, "before")).quit()
    row = stage.state.maildrops[stage.keys[ANNA]]
    row.status = SUSPENDED
    stage.recorder.note("staff", "suspend", ANNA)
    await (await opened(stage, front, "suspended")).quit()
    row.status = ACTIVE
    stage.recorder.note("staff", "resume", ANNA)


async def neighbours_log_in(stage: Stage) -> None:
    front, _ = await with_mail(stage, 1)
    anna, bert = await opened(stage, front, "anna"), await opened(stage, front, "bert", BERT)
    await bert.quit()
    await anna.quit()


async def somebody_stands_in_the_middle(stage: Stage) -> None:
    """RFC 2595 §9: what was in clear may be modified by somebody in the middle; here a login of his own is added."""
    front, lmtp = await with_mail(stage, 1)
    await deliver(stage, lmtp, message(2), BERT)
    victim = await Pop3Client.at(stage, front, "victim", ANNA)
    await victim.start_tls(trusting(stage), b"USER %s\r\nPASS 1\r\n" % BERT.encode())
    if await victim.log_in("1"):
        await victim.read_all()
    victim.drop()
    await stage.idle()


def trusting(stage: Stage) -> ssl.SSLContext:
    """The client's context; the stage has the server's of the same authority."""
    assert stage.authority is not None, "this scenario needs a stage with TLS"
    context = ssl.create_default_context()
    stage.authority.configure_trust(context)
    return context


async def renewed(front: Process) -> None:
    """Have a front end renew its leases and judge who is in doubt, as it does every few seconds."""
    assert front.leases is not None
    await front.leases.renew()
    await front.leases.judge()
