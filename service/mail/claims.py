"""Whether what an issuer says of a token makes it good here: for whom, by whom, until when, for which address.

Owns the judgement of claims, the same for a JWT's and for an introspection's. Refuses to know how they were had. A
refusal's cause is for the log alone; it never holds a claim's text beyond the issuer's own words of a few octets.
RFC 7519 §4.1, RFC 9068 §4, RFC 7800 §3.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.model.address import parse_address
from service.model.issuer import IssuerTerms, Method
from service.model.refusal import Reason, Refusal

Claims = Mapping[str, object]
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2, 9999))


@dataclass(frozen=True, slots=True)
class Vouched:
    """The address that an issuer vouches for, normalised, and until when."""

    address: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Moment:
    """The time by which a token is judged, and how far the issuer's clock may be from it."""

    now: datetime
    leeway: timedelta


def judged(terms: IssuerTerms, claims: Claims, moment: Moment) -> Vouched:
    """What the claims vouch for. Raises Refusal(CREDENTIALS).

    A signed token must name its issuer and its end; an issuer that was asked itself need say neither (RFC 7662 §2.2).
    """
    signed = terms.method is Method.JWKS
    if signed and "iss" not in claims:
        raise _unfit("names no issuer")
    _check_parties(terms, claims)
    expires = _checked_times(claims, moment)
    if signed and expires is None:
        raise _unfit("never expires")
    # RFC 7800 §3.1: a token with `cnf` is good only for whoever proves to have a key. Nobody proves that here.
    if "cnf" in claims:
        raise _unfit("is bound to a key")
    if terms.scope and terms.scope not in _words(claims.get("scope", claims.get("scp"))):
        raise _unfit("lacks the scope")
    return Vouched(_address(terms, claims), expires)


def _check_parties(terms: IssuerTerms, claims: Claims) -> None:
    if claims.get("iss", terms.url) != terms.url:
        raise _unfit("is of another issuer")
    # RFC 7519 §4.1.3: "If the principal processing the claim does not identify itself with a value in the "aud" claim
    # when this claim is present, then the JWT MUST be rejected." Here it must be present too, or a token that the user
    # gave to any other service would open the maildrop.
    audiences = claims.get("aud")
    named = audiences if isinstance(audiences, list) else [audiences]
    if not set(terms.audiences) & {each for each in named if isinstance(each, str)}:
        raise _unfit("is for another audience")


def _checked_times(claims: Claims, moment: Moment) -> datetime | None:
    """When it ends, if it says so. Raises Refusal(CREDENTIALS)."""
    expires, begins = _date(claims, "exp"), _date(claims, "nbf")
    if expires is not None and expires + moment.leeway <= moment.now:
        raise _unfit("has expired")
    for begun in (begins, _date(claims, "iat")):
        if begun is not None and begun - moment.leeway > moment.now:
            raise _unfit("is of the future")
    return expires


def _date(claims: Claims, name: str) -> datetime | None:
    """RFC 7519 §2: a NumericDate, seconds since 1970 and perhaps a fraction. Raises Refusal(CREDENTIALS).

    Of the years 2 to 9998 alone, so that a leeway can be added to any and taken from it.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _EARLIEST < value < _LATEST:
        raise _unfit(f"has an {name} that is no date")
    return datetime.fromtimestamp(value, UTC)


def _address(terms: IssuerTerms, claims: Claims) -> str:
    """The address in the mail claim. Raises Refusal(CREDENTIALS).

    Many providers let their users write any address into `email`: it counts once they say that it was verified.
    """
    text = claims.get(terms.mail_claim)
    if not isinstance(text, str):
        raise _unfit("holds no address")
    if terms.mail_claim == "email" and terms.verified_mail and claims.get("email_verified") is not True:
        raise _unfit("holds an address that wasn't verified")
    try:
        return parse_address(text).base if "+" not in text.rpartition("@")[0] else ""
    except ValueError:
        raise _unfit("holds no address") from None


def _words(value: object) -> list[str]:
    words = value.split() if isinstance(value, str) else value
    return [each for each in words if isinstance(each, str)] if isinstance(words, list) else []


def _unfit(how: str) -> Refusal:
    return Refusal(Reason.CREDENTIALS, f"the token {how}")
