"""What sessions tell the event stream, by real sockets over in-memory stores. RFC 1939 §6, RFC 2033 §4.2; G17."""

import base64
from dataclasses import dataclass, field

import pytest

from service.mail.scram import ScramChallenges
from service.model.event import Event, Kind, plain
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import SUSPENDED
from tests.mail.house import ADDRESS, SECRET, House
from tests.net.front import LOGIN, Front


@dataclass
class Heard:
    events: list[Event] = field(default_factory=list)
    wanted: frozenset[Kind] = frozenset(Kind)

    def wants(self, kind: Kind) -> bool:
        return kind in self.wanted

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[Kind]:
        return [event.kind for event in self.events]


async def spoken(front: Front, *sessions: bytes) -> list[Event]:
    """What was told of these sessions, one after the other."""
    heard = Heard()
    front.events = heard
    async with front.listening():
        for said in sessions:
            wire = await front.client()
            await wire.send(said)
            await wire.rest()
    return heard.events


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_a_session_is_followed_by_one_id_from_its_login_to_its_end_and_into_the_audit() -> None:
    house = await House().furnish(b"A: b\r\n\r\n", b"C: d\r\n\r\n")
    events = await spoken(Front(house), LOGIN + b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    assert [event.kind for event in events] == [Kind.LOGIN, Kind.REMOVAL, Kind.END]
    login, removal, end = map(plain, events)
    assert (login["address"], login["client"], login["mechanism"]) == (ADDRESS, "127.0.0.1", "USER")
    assert (login["messages"], removal["removed"], end["retrieved"], end["removed"]) == (2, 1, 1, 1)
    assert end["reason"] == "quit"
    ((_, entry),) = house.provider.state.audit
    assert {login["session"], removal["session"], end["session"]} == {entry.details["session"]}


async def test_each_refusal_says_why_and_whose_login_it_was() -> None:
    house = await House().furnish()
    wrong = f"USER {ADDRESS}\r\nPASS no\r\nQUIT\r\n".encode()
    front = Front(house)
    held = await house.open()
    events = await spoken(front, wrong, LOGIN + b"QUIT\r\n")
    await house.update.close(held)
    house.provider.state.maildrops[house.key].status = SUSPENDED
    events += await spoken(front, LOGIN + b"QUIT\r\n")
    assert [(event.kind, event.reason, event.address, event.key) for event in events] == [
        (Kind.REFUSAL, reason, ADDRESS, house.key) for reason in ("wrong_secret", "in_use", "suspended")
    ]


async def test_a_password_that_isn_t_utf_8_is_told_with_whose_it_was() -> None:
    front = Front(await House().furnish())
    (event,) = await spoken(front, f"USER {ADDRESS}\r\nPASS gr".encode() + b"\xfc\xdfe\r\nQUIT\r\n")
    assert (event.reason, event.address) == ("unusable_secret", ADDRESS)
    assert not [sign for sign in ("\udcfc", "udcfc", "xfc") if sign in str(plain(event))]


@pytest.mark.parametrize("typed", ["hunter2", "hunter2@example.org", "P@ssw0rd.example"])
async def test_g17_a_name_that_is_nobodys_is_not_told(typed: str) -> None:
    front = Front(await House().furnish())
    (event,) = await spoken(front, f"USER {typed}\r\nPASS {SECRET}\r\nQUIT\r\n".encode())
    told = plain(event)
    assert (told["reason"], event.address) == ("unknown_name", "")
    assert typed not in str(told)
    assert SECRET not in str(event)
    assert event.name == (typed.lower() if "@" in typed else "")


async def test_g17_no_event_holds_a_password_or_the_text_of_a_message() -> None:
    house = await House().furnish(b"Subject: private matters\r\n\r\nsecret text\r\n")
    said = LOGIN + b"RETR 1\r\nDELE 1\r\nQUIT\r\n"
    events = await spoken(Front(house), f"USER {ADDRESS}\r\nPASS almost right\r\nQUIT\r\n".encode(), said)
    told = str([plain(event) for event in events])
    assert len(events) == 4
    assert not [word for word in ("private", "secret text", SECRET, "almost right") if word in told]


async def test_a_look_up_of_keys_that_fails_is_a_refusal_and_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish()
    front = Front(house)
    challenges = ScramChallenges(house.provider.directory, b"x" * 32)

    async def away(_name: str) -> None:
        raise Refusal(Reason.UNAVAILABLE, "told to be away")

    monkeypatch.setattr(house.provider.directory, "find", away)
    front.scram = challenges
    first = base64.b64encode(b"n,,n=user@example.org,r=nonce").decode()
    (event,) = await spoken(front, f"AUTH SCRAM-SHA-256 {first}\r\nQUIT\r\n".encode())
    assert (event.reason, event.mechanism, event.address, event.detail) == ("unavailable", "SCRAM-SHA-256", "", "")


async def test_a_connection_that_never_logged_in_has_no_end_to_tell_of() -> None:
    front = Front(await House().furnish())
    assert await spoken(front, b"CAPA\r\nQUIT\r\n") == []
