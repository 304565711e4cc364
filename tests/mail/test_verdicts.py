"""What is remembered of right passwords: to what it is bound, for how long, how much, and what a dump shows.

RFC 4616 §2, G11, G15, G17.
"""

import gc
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

from service.mail.verdicts import Verdicts
from service.model.account import Credential, MaildropKey
from service.stores.memory.passwords import PREFIX
from tests.mail.house import ADDRESS, SECRET, House
from tests.mail.provider import SetClock


async def test_what_is_remembered_belongs_to_one_maildrop_and_one_credential() -> None:
    kept = Verdicts(SetClock())
    key, credential = MaildropKey(uuid4(), uuid4()), Credential(uuid4(), "password", "verifier")
    kept.remember(key, credential, "secret")
    assert kept.recall(key, [credential], "secret") is credential
    for elsewhere in (key._replace(tenant_id=uuid4()), key._replace(maildrop_id=uuid4())):
        assert kept.recall(elsewhere, [credential], "secret") is None
    for other in (
        replace(credential, credential_id=uuid4()),
        replace(credential, verifier="verifiers"),
        replace(credential, verifier="verifie"),
    ):
        for secret in ("secret", "ecret", "rsecret"):
            assert kept.recall(key, [other], secret) is None
    assert kept.recall(key, [credential], "Secret") is None
    assert Verdicts(SetClock()).recall(key, [credential], "secret") is None


async def test_g15_the_oldest_makes_room() -> None:
    kept = Verdicts(SetClock(), entries=2)
    key, credential = MaildropKey(uuid4(), uuid4()), Credential(uuid4(), "password", "verifier")
    for secret in ("a", "b", "a", "c"):
        kept.remember(key, credential, secret)
    assert len(kept) == 2
    assert [kept.recall(key, [credential], secret) is not None for secret in "abc"] == [True, False, True]


async def test_what_is_over_is_forgotten_and_takes_no_room() -> None:
    clock = SetClock()
    kept = Verdicts(clock, seconds=10)
    key, credential = MaildropKey(uuid4(), uuid4()), Credential(uuid4(), "password", "verifier")
    for secret in "abc":
        kept.remember(key, credential, secret)
        clock.seconds += 4
    assert kept.recall(key, [credential], "a") is None
    assert len(kept) == 2


async def test_nothing_is_remembered_for_0_seconds() -> None:
    told: list[bool] = []
    kept = Verdicts(SetClock(), seconds=0, told=told.append)
    key, credential = MaildropKey(uuid4(), uuid4()), Credential(uuid4(), "password", "verifier")
    kept.remember(key, credential, "secret")
    assert kept.recall(key, [credential], "secret") is None
    assert (len(kept), told) == (0, [])


async def test_each_look_up_is_told_as_known_or_not() -> None:
    told: list[bool] = []
    kept = Verdicts(SetClock(), told=told.append)
    key, credential = MaildropKey(uuid4(), uuid4()), Credential(uuid4(), "password", "verifier")
    kept.recall(key, [credential], "secret")
    kept.remember(key, credential, "secret")
    kept.recall(key, [credential], "secret")
    assert told == [False, True]


def held_texts(thing: object) -> Iterator[bytes]:
    """Every text and octets that a dump of `thing` and of all it holds would show; modules and classes left out."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type(gc) | type):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            yield one.encode("utf-8", "replace")
        elif isinstance(one, bytes | bytearray):
            yield bytes(one)
        if not callable(one):
            waiting.extend(gc.get_referents(one))


async def test_g17_what_is_remembered_shows_no_password_no_name_and_no_verifier() -> None:
    house = await House().furnish()
    await house.update.close(await house.open())
    assert len(house.verdicts) == 1
    texts = list(held_texts(house.verdicts))
    assert [text for text in texts if len(text) == 32], "the verdict's digest; the key is in the hash that is copied"
    for shown in (SECRET, ADDRESS, PREFIX):
        assert not [text for text in texts if shown.encode() in text]
