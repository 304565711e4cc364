"""The port `TokenChecks`, in memory and over HTTP against an issuer on loopback.

RFC 7515 §5.2, RFC 7517 §4.5 and §5, RFC 7662 §2.1 and §2.2; RFC 7628 §3.2.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from service.mail.bearer import TokenChecks
from service.model.issuer import Issuer as Trusted
from service.model.issuer import IssuerTerms, Method
from service.model.refusal import Reason, Refusal
from service.stores.memory.token_checks import MemoryTokenChecks
from service.stores.oidc import Fetcher, FetchOptions, OidcTokenChecks
from tests.backends.issuer import CLIENT, MAIL, SECRET, Issuer, issuing
from tests.mail.provider import SetClock


@dataclass
class World:
    checks: TokenChecks
    issuer: Issuer
    memory: MemoryTokenChecks | None = None

    def trusted(self, method: Method = Method.JWKS) -> Trusted:
        terms = IssuerTerms(self.issuer.url, ("poplar",), method, client_id=CLIENT)
        return Trusted(uuid4(), uuid4(), "main", terms, SECRET)

    def signed(self, *, good: bool = True) -> str:
        token = self.issuer.token()
        token = token if good else token[:-8] + "AAAAAAAA"
        if self.memory is not None:
            self.memory.said[token] = self.issuer.claims()
            if good:
                self.memory.good[self.issuer.url, token] = self.issuer.claims()
        return token

    def opaque(self, text: str) -> str:
        self.issuer.opaque[text] = self.issuer.claims()
        if self.memory is not None:
            self.memory.good[self.issuer.url, text] = self.issuer.claims()
        return text

    def away(self) -> None:
        for path in ("/jwks", "/introspect", "/.well-known/openid-configuration"):
            self.issuer.answers[path] = 503, b"", {}
        if self.memory is not None:
            self.memory.away.add(self.issuer.url)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture(params=["memory", "oidc"])
async def world(request: pytest.FixtureRequest, issuer: Issuer) -> AsyncIterator[World]:
    if request.param == "memory":
        memory = MemoryTokenChecks()
        yield World(memory, issuer, memory)
        return
    fetcher = Fetcher(FetchOptions(plain_loopback=True))
    yield World(OidcTokenChecks(fetcher, SetClock()), issuer)
    await fetcher.close()


async def reason(world: World, trusted: Trusted, token: str) -> Reason:
    with pytest.raises(Refusal) as refused:
        await world.checks.claims(trusted, token)
    return refused.value.reason


async def test_a_signed_token_says_of_itself_what_its_issuer_vouches_for(world: World) -> None:
    token = world.signed()
    said = world.checks.read(token)
    assert said is not None
    assert said["email"] == MAIL
    assert (await world.checks.claims(world.trusted(), token))["email"] == MAIL


async def test_a_changed_token_is_refused(world: World) -> None:
    assert await reason(world, world.trusted(), world.signed(good=False)) is Reason.CREDENTIALS


async def test_another_token_says_nothing_and_its_issuer_is_asked(world: World) -> None:
    trusted = world.trusted(Method.INTROSPECTION)
    assert world.checks.read(world.opaque("opaque")) is None
    assert (await world.checks.claims(trusted, "opaque"))["email"] == MAIL
    assert await reason(world, trusted, "unheard-of") is Reason.CREDENTIALS


@pytest.mark.parametrize("method", Method)
async def test_g14_an_issuer_that_is_away_is_a_fault(world: World, method: Method) -> None:
    token = world.signed()
    world.away()
    assert await reason(world, world.trusted(method), token) is Reason.UNAVAILABLE
