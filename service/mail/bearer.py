"""Which maildrop a bearer token opens: the one whose address an issuer of its tenant vouches for.

Owns the order: the issuers of the name's domain are read, whoever the name is; a token that says of itself that it
can't be good is refused before anybody is asked; then the issuer's word is had and judged, and compared with the
account. So a tenant without issuers, an unknown name and a wrong token are refused alike (G13), and an issuer that
can't be reached is a fault, never a refusal of credentials (G14). Tokens are judged by the directory's clock, not by
this process's (F10). Refuses to know JWTs and HTTP. RFC 7628 §3.2, RFC 6750 §5.2.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from service.mail.claims import Claims, Moment, Vouched, judged
from service.mail.remembered_tokens import RememberedTokens
from service.model.account import Account, Credential
from service.model.address import parse_address
from service.model.issuer import Issuer, Method
from service.model.proof import BearerProof
from service.model.refusal import Reason, Refusal

KIND = "token"
LEEWAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Trusted:
    """The issuers that a domain's tenant trusts, and the directory's time when they were read."""

    moment: datetime
    issuers: Sequence[Issuer] = ()


class Issuers(Protocol):
    """The issuers of all tenants, read only."""

    async def trusted(self, domain: str) -> Trusted:
        """The active issuers of the tenant that has the domain; none for a domain that nobody has.

        One round trip, made for unknown domains too (G13).
        """

    async def any(self) -> bool:
        """Whether any tenant trusts any issuer."""


class TokenChecks(Protocol):
    """What issuers say of their tokens."""

    def read(self, token: str) -> Claims | None:
        """What a token says of itself, which proves nothing; None when it says nothing that can be read."""

    async def claims(self, issuer: Issuer, token: str) -> Claims:
        """What the issuer vouches for. Raises Refusal: CREDENTIALS when it doesn't, UNAVAILABLE, OVERLOADED."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The use case."""

    issuers: Issuers
    checks: TokenChecks
    remembered: RememberedTokens
    leeway: timedelta = LEEWAY

    async def __call__(self, account: Account | None, proof: BearerProof) -> Credential | None:
        """The issuer, as the credential that opened `account`; None for a good token and nobody to open.

        Raises Refusal: CREDENTIALS, UNAVAILABLE, OVERLOADED.
        """
        trusted = await self.issuers.trusted(_domain(proof.name))
        moment = Moment(trusted.moment, self.leeway)
        said = self.checks.read(proof.token)
        issuer, vouched = await self._first(_asked(trusted.issuers, said), proof.token, said, moment)
        if account is None:
            return None
        if vouched.address != account.address:
            raise Refusal(Reason.CREDENTIALS, "the token is another's")
        return Credential(issuer.issuer_id, KIND, "", issuer.name, kept_outside=True)

    async def _first(
        self, issuers: Iterable[Issuer], token: str, said: Claims | None, moment: Moment
    ) -> tuple[Issuer, Vouched]:
        """The first issuer that vouches for the token. A fault of one outweighs what the others refuse (G14)."""
        refusal = Refusal(Reason.CREDENTIALS, "no issuer of the tenant gave this token")
        for issuer in issuers:
            try:
                return issuer, await self._vouched(issuer, token, said, moment)
            except Refusal as another:
                refusal = refusal if refusal.reason is not Reason.CREDENTIALS else another
        raise refusal

    async def _vouched(self, issuer: Issuer, token: str, said: Claims | None, moment: Moment) -> Vouched:
        if issuer.terms.method is Method.JWKS:
            judged(issuer.terms, said or {}, moment)
        known = self.remembered.recall(issuer, token, moment)
        if known is not None:
            return known
        vouched = judged(issuer.terms, await self.checks.claims(issuer, token), moment)
        self.remembered.remember(issuer, token, vouched, moment)
        return vouched


def _asked(issuers: Sequence[Issuer], said: Claims | None) -> Sequence[Issuer]:
    """Which issuers a token may be of: the one it names, or each that is asked where it names none."""
    named = said.get("iss") if said else None
    if named is None:
        return [each for each in issuers if each.terms.method is Method.INTROSPECTION]
    return [each for each in issuers if each.terms.url == named]


def _domain(name: str) -> str:
    """The domain of a name; empty, which nobody has, when it isn't an address."""
    try:
        return parse_address(name).domain
    except ValueError:
        return ""
