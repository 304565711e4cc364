"""Claims: which are good here, and which are not. D49, D52, D53; F10.

RFC 7519 §2, §4.1 and §4.1.3; RFC 9068 §4; RFC 7800 §3.1; RFC 7662 §2.2; RFC 7628 §3.2.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.mail.claims import Moment, judged
from service.model.issuer import IssuerTerms, Method
from service.model.refusal import Reason, Refusal

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
MOMENT = Moment(NOW, timedelta(seconds=30))
TERMS = IssuerTerms("https://id.example", ("poplar", "other"))
GOOD = {
    "iss": "https://id.example",
    "aud": "poplar",
    "exp": SECONDS + 60,
    "iat": SECONDS,
    "email": "Ada@ACME.example",
    "email_verified": True,
}


def cause(terms: IssuerTerms = TERMS, /, **differently: Any) -> str:
    claims = {name: value for name, value in (GOOD | differently).items() if value is not None}
    with pytest.raises(Refusal) as refused:
        judged(terms, claims, MOMENT)
    assert refused.value.reason is Reason.CREDENTIALS
    return refused.value.cause


def test_good_claims_vouch_for_the_normal_form_of_the_address() -> None:
    vouched = judged(TERMS, GOOD, MOMENT)
    assert (vouched.address, vouched.expires) == ("ada@acme.example", NOW + timedelta(seconds=60))


@pytest.mark.parametrize("aud", ["other", ["x", "poplar"], ["poplar"]])
def test_one_audience_of_several_suffices(aud: object) -> None:
    judged(TERMS, GOOD | {"aud": aud}, MOMENT)


@pytest.mark.parametrize("aud", [None, "", "Poplar", "poplar2", [], ["x"], {"poplar": 1}, 7, [["poplar"]]])
def test_d52_another_audience_or_none_is_refused(aud: object) -> None:
    assert cause(aud=aud) == "the token is for another audience"


@pytest.mark.parametrize("iss", ["https://id.example/", "https://evil.example", "", 7, ["https://id.example"]])
def test_d53_another_issuer_is_refused(iss: object) -> None:
    assert cause(iss=iss) == "the token is of another issuer"


def test_a_signed_token_names_its_issuer_and_its_end() -> None:
    assert cause(iss=None) == "the token names no issuer"
    assert cause(exp=None) == "the token never expires"


def test_an_issuer_that_was_asked_need_name_neither() -> None:
    """RFC 7662 §2.2."""
    asked = IssuerTerms(TERMS.url, TERMS.audiences, Method.INTROSPECTION)
    claims = {name: value for name, value in GOOD.items() if name not in ("iss", "exp")}
    assert judged(asked, claims, MOMENT).expires is None
    assert cause(asked, iss="https://evil.example") == "the token is of another issuer"
    assert cause(asked, aud=None) == "the token is for another audience"


@pytest.mark.parametrize("late", [30, 31, 86_400])
def test_d49_an_expired_token_is_refused(late: int) -> None:
    assert cause(exp=SECONDS - late) == "the token has expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(name: str) -> None:
    assert cause(**{name: SECONDS + 31}) == "the token is of the future"


def test_clocks_may_differ_by_the_leeway() -> None:
    judged(TERMS, GOOD | {"exp": SECONDS - 29.5, "nbf": SECONDS + 30, "iat": SECONDS + 30}, MOMENT)


# The last second of 9999 and the first of year 1, which no leeway can be added to or taken from; and too long a number.
EDGES = (253402300799, -62135596800, 10**400, -(10**400))


@pytest.mark.parametrize("value", ["1900000000", True, [], {}, float("nan"), float("inf"), 1e300, -1e300, *EDGES])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_what_is_no_date_is_refused(name: str, value: object) -> None:
    """RFC 7519 §2."""
    assert "date" in cause(**{name: value})


def test_a_token_that_is_bound_to_a_key_is_refused() -> None:
    """RFC 7800 §3.1: without proof of the key it is somebody else's."""
    assert cause(cnf={"jkt": "x"}) == "the token is bound to a key"


@pytest.mark.parametrize("scopes", [{"scope": "openid mail"}, {"scp": ["mail"]}, {"scp": "mail x"}])
def test_a_scope_is_found_in_each_form(scopes: dict[str, object]) -> None:
    judged(IssuerTerms(TERMS.url, TERMS.audiences, scope="mail"), GOOD | scopes, MOMENT)


@pytest.mark.parametrize("scope", [None, "", "mailx", "openid", 7, [7]])
def test_a_scope_that_is_asked_for_and_missing_is_refused(scope: object) -> None:
    terms = IssuerTerms(TERMS.url, TERMS.audiences, scope="mail")
    assert cause(terms, scope=scope) == "the token lacks the scope"


@pytest.mark.parametrize("email", [None, "", "ada", 7, ["ada@acme.example"], "a b@acme.example"])
def test_a_token_without_an_address_is_refused(email: object) -> None:
    assert cause(email=email) == "the token holds no address"


def test_an_address_with_a_tag_is_nobody_s() -> None:
    assert judged(TERMS, GOOD | {"email": "ada+x@acme.example"}, MOMENT).address == ""


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_address_that_the_issuer_never_verified_is_refused(verified: object) -> None:
    assert cause(email_verified=verified) == "the token holds an address that wasn't verified"
    lenient = IssuerTerms(TERMS.url, TERMS.audiences, verified_mail=False)
    judged(lenient, {name: value for name, value in GOOD.items() if name != "email_verified"}, MOMENT)


def test_another_claim_may_hold_the_address() -> None:
    terms = IssuerTerms(TERMS.url, TERMS.audiences, mail_claim="upn")
    assert judged(terms, GOOD | {"upn": "bob@acme.example"}, MOMENT).address == "bob@acme.example"


def test_no_cause_repeats_what_a_token_says() -> None:
    """G17."""
    for name in ("iss", "aud", "exp", "email", "scope"):
        assert "hunter2" not in cause(IssuerTerms(TERMS.url, TERMS.audiences, scope="mail"), **{name: "hunter2"})
