"""Logins by tokens over the in-memory stores: whose token opens what, and what is asked of whom. F10, G11, G13, G14.

RFC 7628 §3.2, RFC 6750 §5.2, RFC 3206 §6; RFC 4422 appendix A.1 and RFC 5280 §4.2.1.6 for certificates.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.mail.bearer import Bearer
from service.mail.claims import Moment, Vouched
from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.remembered_tokens import RememberedTokens
from service.mail.tenancy import Act
from service.model.account import Status
from service.model.issuer import Issuer, IssuerTerms, Method, NewIssuer
from service.model.proof import BearerProof, CertificateProof, Proof
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import SUSPENDED
from service.stores.memory.tenancy.issuers import MemoryIssuers
from service.stores.memory.token_checks import MemoryTokenChecks
from tests.mail.house import ADDRESS, House
from tests.mail.provider import NAMESPACE, SetClock

URL, OTHER = "https://id.example", "https://other.example"
ACT = Act("tester", "example")
TERMS = IssuerTerms(URL, ("poplar",))


class Hall:
    """A house whose tenant trusts an issuer."""

    def __init__(self) -> None:
        self.house = House()
        self.rows = MemoryIssuers(self.house.provider.state)
        self.checks = MemoryTokenChecks()
        self.remembered = RememberedTokens(self.house.clock)
        bearer = Bearer(self.rows, self.checks, self.remembered)
        self.login = replace(self.house.login, bearer=bearer)

    async def trusting(self, *issuers: NewIssuer) -> "Hall":
        for issuer in issuers or (NewIssuer("main", TERMS),):
            await self.rows.create(ACT, issuer)
        return self

    def token(self, text: str = "t", url: str = URL, good: bool = True, **differently: Any) -> str:
        """A token of the issuer at `url`, which vouches for it if it is good."""
        now = datetime.now(UTC).timestamp()
        claims = {
            "iss": url,
            "aud": "poplar",
            "exp": now + 300,
            "email": ADDRESS,
            "email_verified": True,
            **differently,
        }
        self.checks.said[text] = claims
        if good:
            self.checks.good[url, text] = claims
        return text

    def opaque(self, text: str = "o", url: str = URL, **differently: Any) -> str:
        """A token that says nothing of itself."""
        self.checks.said.pop(self.token(text, url, **differently))
        return text

    async def open(self, proof: Proof, mechanism: str = "OAUTHBEARER") -> OpenMaildrop:
        return await self.login(Attempt(proof, mechanism, "s", "192.0.2.1"), lambda: None)

    async def reason(self, token: str, name: str = ADDRESS) -> Reason:
        with pytest.raises(Refusal) as refused:
            await self.open(BearerProof(name, token))
        return refused.value.reason

    async def opens(self, token: str, name: str = ADDRESS) -> None:
        await self.house.update.close(await self.open(BearerProof(name, token)))


async def test_a_token_opens_the_maildrop_whose_address_it_holds() -> None:
    hall = await Hall().trusting()
    held = await hall.open(BearerProof(ADDRESS, hall.token()))
    assert held.address == ADDRESS
    assert [holder.mechanism for holder in await hall.house.locks.holders()] == ["OAUTHBEARER"]


async def test_the_name_is_compared_in_its_normal_form() -> None:
    hall = await Hall().trusting()
    await hall.opens(hall.token(email=ADDRESS.upper()), ADDRESS.upper())


async def test_g13_no_issuer_unknown_name_and_wrong_token_are_refused_alike() -> None:
    hall = await Hall().trusting()
    hall.house.provider.add("ada@elsewhere.example")
    good = hall.token()
    reasons = {
        await hall.reason(good, "nobody@example.org"),
        await hall.reason(good, "ada@elsewhere.example"),
        await hall.reason(good, "ada@nowhere.example"),
        await hall.reason(good, "no address"),
        await hall.reason(hall.token("bad", good=False)),
        await hall.reason("unheard of"),
        await hall.reason(hall.token("theirs", email="other@example.org")),
        await hall.reason(hall.token("late", exp=1)),
    }
    assert reasons == {Reason.CREDENTIALS}


async def test_g13_the_issuer_is_asked_for_an_unknown_name_as_for_a_known_one() -> None:
    hall = await Hall().trusting()
    hall.checks.away.add(URL)
    assert await hall.reason(hall.token(), "nobody@example.org") is Reason.UNAVAILABLE
    assert await hall.reason(hall.token()) is Reason.UNAVAILABLE


async def test_g14_an_issuer_that_is_away_is_a_fault_even_beside_one_that_refuses() -> None:
    ask = replace(TERMS, method=Method.INTROSPECTION, client_id="c")
    hall = await Hall().trusting(NewIssuer("a", ask), NewIssuer("b", replace(ask, url=OTHER)))
    token = hall.opaque(url=OTHER, good=False)
    hall.checks.away.add(URL)
    assert await hall.reason(token) is Reason.UNAVAILABLE
    hall.checks.good[OTHER, token] = {"aud": "poplar", "email": ADDRESS, "email_verified": True}
    await hall.opens(token)


async def test_a_token_that_says_itself_that_it_is_no_good_makes_nobody_ask() -> None:
    hall = await Hall().trusting()
    for token in (hall.token("a", exp=1), hall.token("b", aud="x"), hall.token("c", OTHER), "opaque"):
        assert await hall.reason(token) is Reason.CREDENTIALS
    assert hall.checks.asked == 0


async def test_g10_another_tenant_s_issuer_vouches_for_nobody_here() -> None:
    hall = await Hall().trusting()
    hall.house.provider.add("ada@other.example")
    await hall.rows.create(Act("tester", "other"), NewIssuer("main", replace(TERMS, url=OTHER)))
    assert await hall.reason(hall.token(url=OTHER)) is Reason.CREDENTIALS
    assert await hall.reason(hall.token(email="ada@other.example"), "ada@other.example") is Reason.CREDENTIALS


async def test_several_issuers_of_a_tenant_each_vouch_for_their_own_tokens() -> None:
    hall = await Hall().trusting(NewIssuer("a", TERMS), NewIssuer("b", replace(TERMS, url=OTHER)))
    await hall.opens(hall.token("a"))
    await hall.opens(hall.token("b", OTHER))
    assert hall.checks.asked == 2


async def test_g11_a_suspended_or_removed_issuer_and_other_terms_bind_the_next_login() -> None:
    hall = await Hall().trusting()
    token = hall.token()
    await hall.opens(token)
    await hall.rows.replace(ACT, NewIssuer("main", TERMS, Status.SUSPENDED))
    assert await hall.reason(token) is Reason.CREDENTIALS
    await hall.rows.replace(ACT, NewIssuer("main", replace(TERMS, audiences=("x",))))
    assert await hall.reason(token) is Reason.CREDENTIALS
    await hall.rows.replace(ACT, NewIssuer("main", TERMS))
    await hall.opens(token)
    await hall.rows.remove(ACT, "main")
    assert await hall.reason(token) is Reason.CREDENTIALS


async def test_g11_a_suspended_maildrop_or_tenant_binds_the_next_login() -> None:
    hall = await Hall().trusting()
    token = hall.token()
    hall.house.provider.state.maildrops[hall.house.key].status = SUSPENDED
    assert await hall.reason(token) is Reason.CREDENTIALS


async def test_a_good_token_is_remembered_for_a_while_and_never_past_its_end() -> None:
    hall = await Hall().trusting()
    token = hall.token()
    for _ in range(3):
        await hall.opens(token)
    assert hall.checks.asked == 1
    hall.house.clock.seconds += 60
    await hall.opens(token)
    assert hall.checks.asked == 2


async def test_a_refusal_and_a_token_without_an_end_are_not_remembered() -> None:
    hall = await Hall().trusting(NewIssuer("ask", replace(TERMS, method=Method.INTROSPECTION, client_id="c")))
    await hall.reason("bad")
    endless = hall.opaque(exp=None)
    for _ in range(2):
        await hall.opens(endless)
    assert (hall.checks.asked, len(hall.remembered)) == (3, 0)


async def test_f10_a_process_whose_clock_is_wrong_neither_refuses_nor_admits_a_token_for_that() -> None:
    now = datetime.now(UTC)
    for minutes in (-10, 10):
        hall = await Hall().trusting()
        hall.house.clock.moment = now + timedelta(minutes=minutes)
        await hall.opens(hall.token())
        assert await hall.reason(hall.token("late", exp=(now - timedelta(minutes=5)).timestamp())) is Reason.CREDENTIALS


def remembered(seconds: float = 60.0, entries: int = 100) -> tuple[RememberedTokens, SetClock]:
    clock = SetClock()
    return RememberedTokens(clock, seconds, entries), clock


ISSUER = Issuer(NAMESPACE, NAMESPACE, "main", TERMS, "secret")


def test_what_is_remembered_ends_with_the_token_by_the_directory_s_clock() -> None:
    tokens, clock = remembered()
    moment = Moment(clock.now(), timedelta(0))
    vouched = Vouched(ADDRESS, clock.now() + timedelta(seconds=10))
    tokens.remember(ISSUER, "t", vouched, moment)
    assert tokens.recall(ISSUER, "t", moment) == vouched
    assert tokens.recall(ISSUER, "t", Moment(clock.now() + timedelta(seconds=10), timedelta(0))) is None


def test_what_is_remembered_is_bound_to_the_issuer_s_row_and_bounded() -> None:
    """G15."""
    tokens, clock = remembered(entries=2)
    moment = Moment(clock.now(), timedelta(0))
    vouched = Vouched(ADDRESS, clock.now() + timedelta(days=1))
    for text in ("a", "b", "c"):
        tokens.remember(ISSUER, text, vouched, moment)
    assert len(tokens) == 2
    assert tokens.recall(ISSUER, "a", moment) is None
    assert tokens.recall(replace(ISSUER, client_secret="another"), "c", moment) is None
    assert tokens.recall(replace(ISSUER, terms=replace(TERMS, scope="x")), "c", moment) is None
    assert tokens.recall(ISSUER, "c", moment) == vouched


def test_nothing_is_remembered_where_that_is_off() -> None:
    tokens, clock = remembered(seconds=0)
    moment = Moment(clock.now(), timedelta(0))
    tokens.remember(ISSUER, "t", Vouched(ADDRESS, clock.now() + timedelta(days=1)), moment)
    assert len(tokens) == 0


@pytest.mark.parametrize("certified", [(ADDRESS,), ("x@example.org", "USER@Example.ORG")])
async def test_a_certificate_opens_the_maildrop_whose_address_is_in_it(certified: tuple[str, ...]) -> None:
    hall = Hall()
    held = await hall.open(CertificateProof(ADDRESS, certified), "EXTERNAL")
    assert held.address == ADDRESS


@pytest.mark.parametrize(
    "certified", [(), ("x@example.org",), ("user+tag@example.org",), ("user",), ("*@example.org",)]
)
async def test_a_certificate_opens_no_other_maildrop(certified: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        await Hall().open(CertificateProof(ADDRESS, certified), "EXTERNAL")
    assert refused.value.reason is Reason.CREDENTIALS


async def test_a_certificate_of_nobody_s_is_refused_alike() -> None:
    with pytest.raises(Refusal) as refused:
        await Hall().open(CertificateProof("no@example.org", ("no@example.org",)), "EXTERNAL")
    assert refused.value.reason is Reason.CREDENTIALS
