"""What happens to Poplar between a delivery, the store of blobs and the sweep. F1, F6, F7, F8.

Owns the course of events as `scenarios.py` does.
"""

from service.model.refusal import Reason
from tests.faults.seeded.clients import deliver, message
from tests.faults.seeded.harm import refused, unanswered
from tests.faults.seeded.scenarios import ANNA, BERT, opened, with_mail
from tests.faults.seeded.stage import PIECE, Stage

LARGE = message(9, b".\r\n" * (6 * PIECE))
"""More than a MiB, which is fetched and sent in pieces; every line begins with a dot."""


async def delivery_starts_anew(stage: Stage) -> None:
    front, lmtp = await with_mail(stage, 1)
    client = await opened(stage, front, "client")
    await client.read_all()
    await client.dele(1)
    await client.quit()
    await stage.sweep()
    stage.kill(lmtp)
    await deliver(stage, await stage.lmtp(), message(2), ANNA)


async def the_store_corrupts(stage: Stage) -> None:
    front, lmtp = await with_mail(stage, 1)
    await deliver(stage, lmtp, LARGE, ANNA)
    with stage.fault("the store corrupts", "objects"):
        stage.stores.blobs.corrupts = True
        for number in (1, 2):
            client = await opened(stage, front, f"client-{number}")
            await client.uidl()
            await client.retr(number)
            client.drop()
            await stage.idle()
        stage.stores.blobs.corrupts = False


async def the_store_fails_in_the_middle(stage: Stage) -> None:
    front, lmtp = await with_mail(stage)
    await deliver(stage, lmtp, LARGE, ANNA)
    client = await opened(stage, front, "client")
    await client.uidl()
    with stage.fault("the store fails", "objects"):
        stage.stores.blobs.fails_in_the_middle = True
        await client.retr(1)
        stage.stores.blobs.fails_in_the_middle = False
    client.drop()
    await stage.idle()


async def a_large_message_comes(stage: Stage) -> None:
    front, lmtp = await with_mail(stage)
    await deliver(stage, lmtp, LARGE, ANNA)
    client = await opened(stage, front, "client")
    await client.read_all()
    await client.quit()


async def the_store_refuses_a_blob(stage: Stage) -> None:
    _, lmtp = await with_mail(stage)
    stage.harms.next("put", refused)
    await deliver(stage, lmtp, message(1), ANNA)


async def postgres_refuses_rows(stage: Stage) -> None:
    _, lmtp = await with_mail(stage)
    stage.harms.next("append", refused)
    await deliver(stage, lmtp, message(1), ANNA)


async def the_answer_about_rows_is_lost(stage: Stage) -> None:
    _, lmtp = await with_mail(stage)
    stage.harms.next("append", unanswered(Reason.UNAVAILABLE))
    await deliver(stage, lmtp, message(1), ANNA)


async def mail_comes_during_a_session(stage: Stage) -> None:
    front, lmtp = await with_mail(stage, 1)
    client = await opened(stage, front, "client")
    await deliver(stage, lmtp, message(2), ANNA)
    await client.uidl()
    await client.quit()


async def a_blob_is_shared(stage: Stage) -> None:
    front, lmtp = await with_mail(stage)
    await deliver(stage, lmtp, message(1), ANNA, BERT)
    client = await opened(stage, front, "anna")
    await client.read_all()
    await client.dele(1)
    await client.quit()
    await stage.sweep()
