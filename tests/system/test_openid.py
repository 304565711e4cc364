"""A real OpenID provider, a real mail program and the real front end: a person logs in, a token opens the mail.

RFC 6749 §4.1, RFC 7662 §2.2, RFC 7517 §4.5, RFC 8414 §3; RFC 7628 §3.2. Skips where oidc-provider isn't installed.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.backends.demo import RunningDemo
from tests.backends.openid import OpenIdProvider, start_openid
from tests.cli.conftest import await_true
from tests.protocol.pop3.test_token_session import FAILED
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop, dialled, new_maildrop, trusting
from tests.system.clients.program import with_local_line_ends
from tests.system.clients.programs import Getmail
from tests.system.clients.token_programs import PROGRAMS
from tests.system.front_end import IMPLICIT, FrontEnd, front_end
from tests.system.test_tokens import OAUTH, TOLD, UNHINDERED, listed, log_in


@pytest.fixture(scope="module")
def demo(trusting_demo: RunningDemo) -> RunningDemo:
    return trusting_demo


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    running = start_openid(tmp_path_factory.mktemp("openid"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def front(demo: RunningDemo, provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end whose first tenant trusts the provider, for JWTs and for tokens that are asked about."""
    tenant = demo.accounts[0].tenant
    terms = ("--url", provider.url, "--audience", "poplar", "--scope", "mail")
    demo.poplar("issuer", "create", tenant, "openid", *terms)
    ask = ("--method", "introspection", "--client-id", "poplar", "--secret-stdin")
    demo.poplar("issuer", "create", tenant, "openid-asked", *terms, *ask, told="poplar-secret\n")
    folder = tmp_path_factory.mktemp("front")
    with front_end(demo, folder, (IMPLICIT,), oauth=OAUTH, **UNHINDERED) as started:
        await_true(lambda: "OAUTHBEARER" in listed(demo, started), "tokens to be offered")
        yield started
    for name in ("openid", "openid-asked"):
        demo.poplar("issuer", "remove", tenant, name, "--yes")


@pytest.fixture(scope="module")
def known(demo: RunningDemo) -> Maildrop:
    maildrop = new_maildrop(demo, "unused")
    maildrop.fill([PLAIN])
    return maildrop


def opened(front: FrontEnd, known: Maildrop, token: str) -> bytes:
    """The answer to a login with this token."""
    with closing(dialled(front.place(), trusting(known.demo))) as wire:
        answer = log_in(wire, known.account.address, token)
        if answer.startswith(b"+OK"):
            wire.say(b"QUIT")
        return answer


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_fetches_with_a_token_that_the_provider_gave(
    front: FrontEnd, provider: OpenIdProvider, known: Maildrop, tmp_path_factory: pytest.TempPathFactory, program: str
) -> None:
    for form in ("jwt", "opaque"):
        token = provider.token(known.account.address, form)
        assert (token.count(".") == 2) is (form == "jwt")
        done = PROGRAMS[program](tmp_path_factory.mktemp("home"), known, front.place(), token)
        assert done.code == 0, done.said
        [message] = known.messages
        kept = Getmail().stored(PLAIN, message) if program.startswith("getmail") else with_local_line_ends(message)
        assert [with_local_line_ends(each) for each in done.brought] == [kept]


@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_another_person_s_token_opens_nothing(
    front: FrontEnd, provider: OpenIdProvider, known: Maildrop, form: str
) -> None:
    assert opened(front, known, provider.token("eve@orchard.example", form)) == TOLD


def test_a_token_that_was_taken_back_opens_nothing_any_more(
    front: FrontEnd, provider: OpenIdProvider, known: Maildrop
) -> None:
    token = provider.token(known.account.address, "opaque")
    assert opened(front, known, token).startswith(b"+OK")
    provider.revoke(token)
    assert opened(front, known, token) == TOLD


def test_new_keys_are_taken_up_and_the_old_ones_no_longer(
    front: FrontEnd, provider: OpenIdProvider, known: Maildrop
) -> None:
    old = provider.token(known.account.address)
    assert opened(front, known, old).startswith(b"+OK")
    provider.restart()
    new = provider.token(known.account.address)
    await_true(lambda: opened(front, known, new).startswith(b"+OK"), "the new key to be found")
    assert opened(front, known, old).endswith(FAILED)


def test_g14_while_the_provider_is_down_keys_do_and_questions_are_put_off(
    front: FrontEnd, provider: OpenIdProvider, known: Maildrop
) -> None:
    signed, asked = provider.token(known.account.address), provider.token(known.account.address, "opaque")
    await_true(lambda: opened(front, known, signed).startswith(b"+OK"), "the key to be found")
    provider.stop()
    try:
        assert opened(front, known, signed).startswith(b"+OK")
        assert opened(front, known, asked).startswith(b"-ERR [SYS/TEMP]")
    finally:
        provider.restart()
