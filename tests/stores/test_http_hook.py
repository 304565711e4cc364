"""An HTTP hook as a real server: what a clear answer is, and that nothing else is taken for one.

RFC 3206 §4 and §5: what is unclear is transient, never a wrong password. RFC 2104 §2 (the signature), RFC 9110 §9.3.3.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from service.mail.outside.ports import AwayError
from service.model.address import parse_address
from service.model.outside import Allowed, Answer, Question
from service.model.policy import Policy
from service.model.refusal import Reason, Refusal
from service.stores.directories.http_hook import MOST_OCTETS, HookOptions, HttpHook
from tests.backends.hook import SECRET, Asked, Behaviour, Hook, answer, hook, ok, response, users

pytestmark = pytest.mark.asyncio

ADA = Question(parse_address("ada@acme.example"), "acme", "good pass", "192.0.2.1", "PLAIN", "pop3s", "s1")


@asynccontextmanager
async def asking(say: Behaviour) -> AsyncIterator[tuple[HttpHook, Hook]]:
    async with hook(say) as server:
        ours = HttpHook("crm", HookOptions(server.url, SECRET.encode()))
        try:
            yield ours, server
        finally:
            await ours.aclose()


async def asked_once(say: Behaviour, question: Question = ADA) -> Answer:
    async with asking(say) as (ours, _):
        return await ours.ask(question)


async def test_it_gets_all_that_is_known_of_a_login_signed_by_the_shared_secret() -> None:
    async with asking(users({"ada@acme.example": "good pass"})) as (ours, server):
        assert await ours.ask(ADA) == Allowed()
    asked = server.asked[0]
    assert asked.genuine
    assert asked.form | {"id": ""} == {
        "id": "",
        "event": "login",
        "address": "ada@acme.example",
        "local": "ada",
        "domain": "acme.example",
        "tenant": "acme",
        "password": "good pass",
        "client": "192.0.2.1",
        "mechanism": "PLAIN",
        "listener": "pop3s",
        "session": "s1",
    }


async def test_a_recipient_is_asked_for_without_a_password() -> None:
    async with asking(users({"ada@acme.example": "good pass"})) as (ours, server):
        assert await ours.ask(Question(parse_address("ada@acme.example"), "acme")) == Allowed()
        assert await ours.ask(Question(parse_address("bob@acme.example"), "acme")) is None
    assert [asked.form["event"] for asked in server.asked] == ["recipient", "recipient"]
    assert not {"password", "client"} & set(server.asked[0].form)


async def test_a_deny_is_a_no() -> None:
    assert await asked_once(lambda asked: answer(asked, answer="deny")) is None


async def test_it_may_name_the_password_and_set_what_a_session_heeds_of_the_policy() -> None:
    given = await asked_once(lambda asked: answer(asked, answer="allow", label="phone", policy=SET))
    assert isinstance(given, Allowed)
    assert (given.label, given.over(Policy(expire_days=7))) == (
        "phone",
        Policy(login_delay=30, mechanisms=("PLAIN",), expire_days=7),
    )


SET = {"login_delay": 30, "mechanisms": ["PLAIN"]}
UNCLEAR: dict[str, Behaviour] = {
    "500": lambda asked: response("500 Internal Server Error", b"{}"),
    "403": lambda asked: response("403 Forbidden", json.dumps({"id": asked.form["id"], "answer": "deny"}).encode()),
    "204": lambda asked: response("204 No Content", b""),
    "a redirect": lambda asked: response("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/"),
    "no JSON": lambda asked: ok(b"allow"),
    "nothing": lambda asked: ok(b""),
    "another word": lambda asked: answer(asked, answer="yes"),
    "no answer": answer,
    "true": lambda asked: answer(asked, answer=True),
    "an unsound value of the policy": lambda asked: answer(asked, answer="allow", policy={"dele": "perhaps"}),
    "a word too many": lambda asked: answer(asked, answer="allow", polcy={}),
    "a policy that no session heeds": lambda asked: answer(asked, answer="allow", policy={"quota_octets": 1}),
    "a policy that is no number": lambda asked: answer(asked, answer="allow", policy={"login_delay": "never"}),
    "another question's": lambda asked: answer(asked, id="0" * 32, answer="allow"),
    "too much": lambda asked: ok(b" " * (MOST_OCTETS + 1)),
    "compressed": lambda asked: ok(b"x", "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("what", UNCLEAR)
async def test_g14_whatever_is_no_clear_answer_is_unavailable_and_no_outage(what: str) -> None:
    with pytest.raises(Refusal) as refused:
        await asked_once(UNCLEAR[what])
    assert refused.value.reason is Reason.UNAVAILABLE
    assert not isinstance(refused.value, AwayError)
    assert "good pass" not in refused.value.cause


BROKEN = {
    "no HTTP": b"+OK\r\n\r\n",
    "a close in the head": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Le",
}


@pytest.mark.parametrize("what", BROKEN)
async def test_g14_a_broken_conversation_is_an_outage(what: str) -> None:
    with pytest.raises(AwayError):
        await asked_once(lambda asked: BROKEN[what])


async def test_g14_a_close_in_the_middle_of_an_answer_is_an_outage() -> None:
    def cut(asked: Asked) -> bytes:
        whole = ok(json.dumps({"id": asked.form["id"], "answer": "allow"}).encode(), "Connection: close")
        return whole[:-1]

    with pytest.raises(AwayError):
        await asked_once(cut)


async def test_nobody_listening_is_an_outage() -> None:
    async with hook(users({})) as server:
        ours = HttpHook("crm", HookOptions(server.url, SECRET.encode()))
    with pytest.raises(AwayError):
        await ours.ask(ADA)
    await ours.aclose()


async def test_what_a_hook_says_too_much_is_no_answer_to_the_next_question() -> None:
    """A second answer on the connection, ready before its question: the next login must not have it."""

    def twice(asked: Asked) -> bytes:
        return answer(asked, answer="allow") * 2

    async with asking(twice) as (ours, server):
        assert await ours.ask(ADA) == Allowed()
        server.say = lambda asked: answer(asked, answer="deny")
        # Nobody gets what was left on the connection, and no later question is out of step.
        with contextlib.suppress(Refusal):
            assert await ours.ask(ADA) is None
        assert await ours.ask(ADA) is None


async def test_a_kept_connection_that_the_hook_closes_just_then_costs_nobody_a_login() -> None:
    async with asking(lambda asked: answer(asked, answer="allow")) as (ours, server):
        assert await ours.ask(ADA) == Allowed()

        def closing(asked: Asked) -> bytes:
            server.say = lambda again: answer(again, answer="allow")
            server.drop()
            return b""

        server.say = closing
        assert await ours.ask(ADA) == Allowed()
        assert server.asked[1].body == server.asked[2].body


async def test_connections_are_used_again_and_cookies_are_not() -> None:
    def baking(asked: Asked) -> bytes:
        body = json.dumps({"id": asked.form["id"], "answer": "allow"}).encode()
        return ok(body, "Set-Cookie: user=ada; Path=/")

    async with asking(baking) as (ours, server):
        for _ in range(3):
            assert await ours.ask(ADA) == Allowed()
    assert server.connections == 1
    assert not [asked for asked in server.asked if "cookie" in asked.headers]


async def test_a_question_that_was_given_up_leaves_no_connection_and_no_answer_behind() -> None:
    async with asking(lambda asked: None) as (ours, server):
        given_up = asyncio.create_task(ours.ask(ADA))
        await server.arrived.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        server.say = lambda asked: answer(asked, answer="deny")
        assert await ours.ask(ADA) is None
        assert server.connections == 2


async def test_a_certificate_that_nobody_known_signed_gets_no_password(ca: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    async with hook(users({"ada@acme.example": "good pass"}), context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        stranger, ours = (HttpHook("crm", HookOptions(url, SECRET.encode(), tls=tls)) for tls in (True, trusting))
        with pytest.raises(AwayError):
            await stranger.ask(ADA)
        assert server.asked == []
        assert await ours.ask(ADA) == Allowed()
        await stranger.aclose()
        await ours.aclose()
