"""Issuers over HTTP: forged tokens, keys that change, answers that are wrong, too long, late or from elsewhere.

D50 and its kind; G14, G15. RFC 7515 §5.2; RFC 7517 §4.5 and §5; RFC 7518 §3.1 and §3.3; RFC 7662 §2.1, §2.2 and §4;
RFC 8414 §2, §3, §3.1 and §3.3; RFC 8725 §3.1 and §3.11; RFC 6749 §2.3.1.
"""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from joserfc.jwk import JWKRegistry, RSAKey

from service.model.issuer import ALGORITHMS, IssuerTerms, Method
from service.model.issuer import Issuer as Trusted
from service.model.refusal import Reason, Refusal
from service.stores.oidc import Fetcher, FetchOptions, OidcTokenChecks
from service.stores.oidc.documents import PAUSE, STALE
from service.stores.oidc.metadata import places
from service.stores.oidc.signatures import MOST_CHARACTERS, MOST_TRIED, fitting, parsed, read_keys
from tests.backends.forging import FORGERIES, UNALLOWED
from tests.backends.issuer import CLIENT, MAIL, SECRET, Issuer, found, issuing, make_key, part, signed
from tests.mail.provider import SetClock

CONFIGURATION = "/.well-known/openid-configuration"


class World:
    """Checks over a clock that a test moves."""

    def __init__(self, issuer: Issuer, options: FetchOptions) -> None:
        self.issuer = issuer
        self.clock = SetClock()
        self.fetcher = Fetcher(options)
        self.checks = OidcTokenChecks(self.fetcher, self.clock, fresh=600.0)

    def trusted(self, **terms: object) -> Trusted:
        return Trusted(uuid4(), uuid4(), "main", replace(IssuerTerms(self.issuer.url, ("poplar",)), **terms), SECRET)  # type: ignore[arg-type]

    @property
    def asking(self) -> Trusted:
        return self.trusted(method=Method.INTROSPECTION, client_id=CLIENT)

    async def opens(self, token: str, trusted: Trusted | None = None) -> None:
        assert (await self.checks.claims(trusted or self.trusted(), token))["email"] == MAIL

    async def refusal(self, token: str, trusted: Trusted | None = None) -> Refusal:
        with pytest.raises(Refusal) as refused:
            await self.checks.claims(trusted or self.trusted(), token)
        return refused.value

    async def reason(self, token: str, trusted: Trusted | None = None) -> Reason:
        return (await self.refusal(token, trusted)).reason

    def asked(self, path: str = "/jwks") -> int:
        return self.issuer.requests.count(path)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing("RS256", "ES256") as running:
        yield running


@pytest.fixture
async def world(issuer: Issuer) -> AsyncIterator[World]:
    world = World(issuer, FetchOptions(deadline=20.0, plain_loopback=True))
    yield world
    await world.fetcher.close()


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_algorithm_of_an_issuer_is_verified(world: World, algorithm: str) -> None:
    """RFC 7518 §3.1."""
    world.issuer.keys = {algorithm: make_key(algorithm, algorithm)}
    await world.opens(world.issuer.token(algorithm), world.trusted(algorithms=(algorithm,)))


@pytest.mark.parametrize("kind", FORGERIES)
async def test_d50_a_forged_token_is_refused(world: World, kind: str) -> None:
    assert await world.reason(FORGERIES[kind](world.issuer)) is Reason.CREDENTIALS
    assert "/mine" not in world.issuer.requests


@pytest.mark.parametrize("kind", UNALLOWED)
async def test_what_no_key_could_make_good_makes_nobody_ask_for_keys(world: World, kind: str) -> None:
    assert await world.reason(UNALLOWED[kind](world.issuer)) is Reason.CREDENTIALS
    assert world.issuer.requests == []


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "...", "a.b.c", "e30.e30.", "é.é.é", "W10.W10.x", "bnVsbA.e30.x", "a" * 9000),
        *(f"{part({'alg': 'RS256'})}.{part('x')}.x", part({"alg": ["RS256"]}) + ".e30.x", "W1tb" * 3000 + ".e30.x"),
    ],
)
async def test_what_is_no_token_is_refused_and_asks_nobody(world: World, token: str) -> None:
    world.checks.read(token)
    assert await world.reason(token) is Reason.CREDENTIALS
    assert world.asked() == 0


async def test_a_header_of_some_length_and_of_unknown_words_is_read(world: World) -> None:
    key = world.issuer.keys["RS256"]
    header: dict[str, object] = {"alg": "RS256", "kid": "RS256", "x5t": "x" * 900, "nonce": "y"}
    await world.opens(signed(key, header, world.issuer.claims()))


async def test_keys_are_fetched_once_for_many_logins(world: World) -> None:
    token = world.issuer.token()
    await asyncio.gather(*(world.opens(token) for _ in range(20)))
    assert (world.asked(), world.asked(CONFIGURATION)) == (1, 1)


async def test_a_new_key_is_found_when_it_is_first_used(world: World) -> None:
    """RFC 7517 §4.5: rotation."""
    await world.opens(world.issuer.token())
    world.issuer.keys = {"next": make_key("RS256", "next")} | world.issuer.keys
    world.clock.seconds += PAUSE
    await world.opens(world.issuer.token())
    await world.opens(world.issuer.token(kid="RS256"))
    assert world.asked() == 2


async def test_a_key_that_was_taken_back_is_used_no_longer_than_keys_are_fresh(world: World) -> None:
    old = world.issuer.token()
    await world.opens(old)
    world.issuer.keys = {"next": make_key("RS256", "next")}
    world.clock.seconds += 599
    await world.opens(old)
    world.clock.seconds += 2
    assert await world.reason(old) is Reason.CREDENTIALS


async def test_a_token_without_a_key_id_is_tried_with_each_key_of_its_kind(world: World) -> None:
    world.issuer.keys = {"a": make_key("RS256", "a"), "b": make_key("RS256", "b")}
    await world.opens(signed(world.issuer.keys["b"], {"alg": "RS256"}, world.issuer.claims()))


async def test_g15_invented_key_ids_cause_no_flood_of_requests(world: World) -> None:
    await world.opens(world.issuer.token())
    body = world.issuer.token().split(".")[1]
    for number in range(200):
        invented = f"{part({'alg': 'RS256', 'kid': f'k{number}'})}.{body}.AAAA"
        assert await world.reason(invented) is Reason.CREDENTIALS
    assert world.asked() == 1
    world.clock.seconds += PAUSE
    others = [f"{part({'alg': 'RS256', 'kid': f'l{number}'})}.{body}.AAAA" for number in range(50)]
    reasons = await asyncio.gather(*map(world.reason, others))
    assert set(reasons) == {Reason.CREDENTIALS}
    assert world.asked() == 2


async def test_g14_keys_that_were_there_do_while_the_issuer_is_away(world: World) -> None:
    token = world.issuer.token()
    await world.opens(token)
    world.issuer.answers["/jwks"] = 503, b"", {}
    world.clock.seconds += 3600
    await world.opens(token)
    world.clock.seconds += STALE
    assert await world.reason(token) is Reason.UNAVAILABLE


async def test_g14_a_key_that_can_t_be_looked_for_is_a_fault(world: World) -> None:
    await world.opens(world.issuer.token())
    world.issuer.keys = {"next": make_key("RS256", "next")}
    world.issuer.answers["/jwks"] = 503, b"", {}
    world.clock.seconds += PAUSE
    assert await world.reason(world.issuer.token()) is Reason.UNAVAILABLE


async def test_an_issuer_that_is_away_is_asked_once_in_a_while(world: World) -> None:
    world.issuer.answers["/jwks"] = 503, b"", {}
    token = world.issuer.token()
    for _ in range(10):
        assert await world.reason(token) is Reason.UNAVAILABLE
    assert world.asked() == 1
    del world.issuer.answers["/jwks"]
    world.clock.seconds += PAUSE
    await world.opens(token)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, b"", {}), id="nothing"),
        pytest.param((200, b"<html>", {}), id="no JSON"),
        pytest.param((200, b"[]", {}), id="no object"),
        pytest.param((200, b'{"keys": 7}', {}), id="no list"),
        pytest.param((500, b'{"keys": []}', {}), id="an error"),
        pytest.param((200, b"[" * 100_000, {}), id="too deep"),
        pytest.param((200, b" " * 300_000 + b'{"keys": []}', {}), id="too long"),
        pytest.param((200, b"\x1f\x8b\x08", {"Content-Encoding": "gzip"}), id="compressed"),
    ],
)
async def test_g14_a_wrong_answer_is_a_fault_of_the_issuer(
    world: World, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    world.issuer.answers["/jwks"] = answer
    assert await world.reason(world.issuer.token()) is Reason.UNAVAILABLE


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("https://[::1", id="half a bracket"),
        pytest.param("http://[::1", id="half a bracket in plain"),
        pytest.param("https://a:b/", id="no port"),
        pytest.param("https://a/\0", id="NUL"),
        pytest.param("https://a/" + "x" * 70_000, id="too long"),
        pytest.param("https://xn--/", id="no A-label"),
        pytest.param("https://127.0.0.1:1/\ud800", id="half a surrogate pair"),
    ],
)
@pytest.mark.parametrize("method", Method)
async def test_g14_what_is_no_address_is_a_fault_of_the_issuer_that_tells_it(
    world: World, method: Method, told: str
) -> None:
    world.issuer.metadata |= {"jwks_uri": told, "introspection_endpoint": told}
    trusted = world.trusted(method=method, client_id=CLIENT)
    assert await world.reason(world.issuer.token(), trusted) is Reason.UNAVAILABLE


async def test_no_redirect_is_followed(world: World) -> None:
    world.issuer.answers["/jwks"] = 302, b"", {"Location": f"{world.issuer.url}/elsewhere"}
    assert await world.reason(world.issuer.token()) is Reason.UNAVAILABLE
    assert "/elsewhere" not in world.issuer.requests


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_keys_that_nobody_can_use_are_passed_over(world: World) -> None:
    """RFC 7517 §5; RFC 7518 §3.3: an RSA key under 2048 bits is none."""
    good = world.issuer.keys["RS256"].as_dict(private=False)
    odd = [7, {}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-0"}, good | {"use": "enc"}]
    world.issuer.answers["/jwks"] = found({"keys": [*odd, good]})
    await world.opens(world.issuer.token())
    short = RSAKey.generate_key(1024, {"kid": "short"})
    world.issuer.answers["/jwks"] = found({"keys": [short.as_dict(private=False)]})
    world.clock.seconds += 601
    token = signed(short, {"alg": "RS256", "kid": "short"}, world.issuer.claims())
    assert await world.reason(token) is Reason.CREDENTIALS


async def test_g16_keys_that_would_hold_up_the_event_loop_are_passed_over(world: World) -> None:
    """Longer than any issuer needs, with an exponent of its own length, or so many that each token costs them all."""
    good = world.issuer.keys["RS256"].as_dict(private=False)
    numbers = int.from_bytes(urlsafe_b64decode(str(good["n"]) + "=="), "big")
    long = good | {"n": number_text(numbers << 8192 | 1)}
    slow = good | {"e": number_text(numbers >> 1 | 1)}
    assert read_keys({"keys": [long, slow]}) == ()
    many = [make_key("ES256", str(number)) for number in range(20)]
    world.issuer.answers["/jwks"] = found({"keys": [key.as_dict(private=False) for key in many]})
    token = signed(make_key("ES256", "x"), {"alg": "ES256"}, world.issuer.claims())
    said = parsed(token)
    assert said is not None
    assert len(fitting(many, said)) == MOST_TRIED


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_g16_a_key_that_is_published_with_its_private_part_is_passed_over(algorithm: str) -> None:
    """RFC 7518 §6.3.2. Without its primes n is factored to find them; and whoever reads the set could have signed."""
    key = make_key(algorithm, "x")
    assert len(read_keys({"keys": [key.as_dict(private=False)]})) == 1
    assert read_keys({"keys": [key.as_dict(private=True)]}) == ()


@pytest.mark.parametrize("number", ["n", "e"])
def test_g16_a_number_of_a_key_that_is_far_too_long_is_not_computed(
    world: World, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[object] = []
    monkeypatch.setattr(JWKRegistry, "import_key", computed.append)
    long = world.issuer.keys["RS256"].as_dict(private=False) | {number: "A" * (MOST_CHARACTERS + 1)}
    assert read_keys({"keys": [long]}) == ()
    assert computed == []


def number_text(number: int) -> str:
    """RFC 7518 §2: Base64urlUInt."""
    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode().rstrip("=")


async def test_g14_an_issuer_that_says_nothing_within_the_deadline_is_a_fault(issuer: Issuer) -> None:
    world = World(issuer, FetchOptions(deadline=0.2, plain_loopback=True))
    issuer.silent.set()
    assert await world.reason(issuer.token()) is Reason.UNAVAILABLE
    await world.fetcher.close()


async def test_g14_nobody_at_the_address_is_a_fault(world: World, unused_tcp_port: int) -> None:
    away = world.trusted(jwks_uri=f"http://127.0.0.1:{unused_tcp_port}/jwks")
    assert await world.reason(world.issuer.token(), away) is Reason.UNAVAILABLE


async def test_http_is_refused_where_no_setting_allows_it_and_elsewhere_always(issuer: Issuer) -> None:
    """RFC 8414 §3, RFC 7662 §4."""
    strict = World(issuer, FetchOptions())
    assert await strict.reason(issuer.token()) is Reason.UNAVAILABLE
    assert issuer.requests == []
    await strict.fetcher.close()
    lenient = World(issuer, FetchOptions(plain_loopback=True))
    issuer.metadata["jwks_uri"] = "http://keys.example/jwks"
    assert (await lenient.refusal(issuer.token())).cause == "oidc: an address without TLS"
    await lenient.fetcher.close()


async def test_an_issuer_that_calls_itself_otherwise_is_not_believed(world: World) -> None:
    """RFC 8414 §3.3."""
    world.issuer.metadata["issuer"] = "https://other.example"
    assert await world.reason(world.issuer.token()) is Reason.UNAVAILABLE
    given = world.trusted(jwks_uri=f"{world.issuer.url}/jwks")
    await world.opens(world.issuer.token(), given)


async def test_the_other_place_of_metadata_is_tried(world: World) -> None:
    """RFC 8414 §3.1."""
    world.issuer.answers[CONFIGURATION] = 404, b"", {}
    content = {"issuer": world.issuer.url, "jwks_uri": f"{world.issuer.url}/jwks"}
    world.issuer.answers["/.well-known/oauth-authorization-server"] = found(content)
    await world.opens(world.issuer.token())


def test_metadata_stand_behind_the_path_or_before_it() -> None:
    assert places("https://id.example/acme") == (
        "https://id.example/acme/.well-known/openid-configuration",
        "https://id.example/.well-known/oauth-authorization-server/acme",
    )


async def test_metadata_without_what_is_needed_are_a_fault(world: World) -> None:
    world.issuer.metadata["jwks_uri"] = None
    assert (await world.refusal(world.issuer.token())).cause == "oidc: the issuer tells no jwks_uri"


async def test_an_issuer_that_is_asked_gets_the_client_s_id_and_secret(world: World) -> None:
    """RFC 6749 §2.3.1: encoded, as both hold what a form encodes."""
    world.issuer.opaque["t"] = world.issuer.claims()
    await world.opens("t", world.asking)
    assert await world.reason("t", replace(world.asking, client_secret="wrong")) is Reason.UNAVAILABLE


@pytest.mark.parametrize("active", [False, None, "true", 1])
async def test_only_a_token_that_is_said_to_be_active_is_good(world: World, active: object) -> None:
    """RFC 7662 §2.2."""
    world.issuer.answers["/introspect"] = found(world.issuer.claims() | {"active": active})
    assert await world.reason("t", world.asking) is Reason.CREDENTIALS


async def test_an_issuer_that_doesn_t_answer_about_such_a_token_refuses_it(world: World) -> None:
    """RFC 7009 §2.2.1: as oidc-provider does of its JWTs."""
    world.issuer.answers["/introspect"] = 400, b'{"error": "unsupported_token_type"}', {}
    assert await world.reason("t", world.asking) is Reason.CREDENTIALS
    world.issuer.answers["/introspect"] = 400, b'{"error": "invalid_request"}', {}
    assert await world.reason("t", world.asking) is Reason.UNAVAILABLE


@pytest.mark.parametrize("answer", [(200, b"[]"), (200, b"x"), (500, b"{}"), (302, b"")])
async def test_g14_a_wrong_answer_to_a_question_is_a_fault(world: World, answer: tuple[int, bytes]) -> None:
    world.issuer.answers["/introspect"] = (*answer, {"Location": "/elsewhere"})
    assert await world.reason("t", world.asking) is Reason.UNAVAILABLE


async def test_g16_one_issuer_is_asked_so_many_questions_at_a_time_and_another_s_are_not_held_up(world: World) -> None:
    asking, other = world.asking, world.asking
    world.issuer.opaque["t"] = world.issuer.claims()
    await world.opens("t", other)
    world.issuer.silent.set()
    questions = [asyncio.create_task(world.reason(f"x{number}", asking)) for number in range(17)]
    done, waiting = await asyncio.wait(questions, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [Reason.OVERLOADED]
    world.issuer.silent.clear()
    await world.opens("t", other)
    assert {await task for task in waiting} == {Reason.CREDENTIALS}


async def test_no_token_or_secret_is_in_a_cause(world: World) -> None:
    """G17."""
    world.issuer.answers["/introspect"] = 500, b"hunter2", {}
    refusal = await world.refusal("hunter2", world.asking)
    assert "hunter2" not in repr(refusal) + str(refusal)
    assert SECRET not in repr(world.asking)
    world.issuer.answers["/jwks"] = 200, json.dumps({"keys": "hunter2"}).encode(), {}
    assert "hunter2" not in str(await world.refusal(world.issuer.token()))
