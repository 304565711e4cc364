"""An issuer's word on a token: by its keys, or by asking it.

Owns the order of the checks and how many questions an issuer is asked at a time. A key that isn't known is looked for
once more, since keys change; whatever can't be had is a fault and no refusal of credentials (G14). Refuses to judge
what the claims say. RFC 7517 §4.5, RFC 7662 §2.1 and §2.2, RFC 7009 §2.2.1.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote_plus
from uuid import UUID

from joserfc.jwk import Key

from service.mail.claims import Claims
from service.mail.ports import Clock
from service.model.issuer import Issuer, Method
from service.model.refusal import Reason, Refusal
from service.stores.oidc.documents import Documents
from service.stores.oidc.fetching import Fetcher
from service.stores.oidc.metadata import Metadata, address, load_metadata
from service.stores.oidc.signatures import Unverified, check_header, fitting, parsed, read_keys, verified

FRESH = 600.0
"""Seconds for which keys are used without looking whether there are others."""
QUESTIONS = 16
"""Introspections of one issuer at a time: a slow one may not take what the others need (G16)."""


class OidcTokenChecks:
    """`mail.bearer.TokenChecks` over HTTP."""

    def __init__(self, fetcher: Fetcher, clock: Clock, fresh: float = FRESH) -> None:
        self._fetcher = fetcher
        self._metadata: Documents[Metadata] = Documents(partial(load_metadata, fetcher), clock, fresh)
        self._keys: Documents[tuple[Key, ...]] = Documents(self._load_keys, clock, fresh)
        self._questions: Counter[UUID] = Counter()

    def read(self, token: str) -> Claims | None:
        """What a JWT says of itself; None for any other token."""
        found = parsed(token)
        return None if found is None else found.claims

    async def claims(self, issuer: Issuer, token: str) -> Claims:
        """What the issuer vouches for. Raises Refusal: CREDENTIALS, UNAVAILABLE, OVERLOADED."""
        if issuer.terms.method is Method.INTROSPECTION:
            return await self._introspected(issuer, token)
        unverified = parsed(token)
        if unverified is None:
            raise Refusal(Reason.CREDENTIALS, "the token is no JWT")
        check_header(unverified, issuer.terms.algorithms)
        keys = await self._fitting(issuer, unverified)
        claims = verified(token, keys, unverified.algorithm)
        if claims is None:
            raise Refusal(Reason.CREDENTIALS, "no key of the issuer's signed the token")
        return claims

    async def _fitting(self, issuer: Issuer, token: Unverified) -> Sequence[Key]:
        """The keys that may have signed it. RFC 7517 §4.5: a key's id serves to choose among keys while they change."""
        url = await address(self._metadata, issuer, "jwks_uri")
        return fitting(await self._keys.get(url), token) or fitting(await self._keys.newest(url), token)

    async def _load_keys(self, url: str) -> tuple[Key, ...]:
        answer = await self._fetcher.get(url)
        if answer.status != 200:
            raise Refusal(Reason.UNAVAILABLE, f"oidc: {answer.status} for the issuer's keys")
        return read_keys(answer.content)

    async def _introspected(self, issuer: Issuer, token: str) -> Claims:
        if self._questions[issuer.issuer_id] >= QUESTIONS:
            raise Refusal(Reason.OVERLOADED, "too many questions to one issuer")
        self._questions[issuer.issuer_id] += 1
        try:
            return await self._asked(issuer, token)
        finally:
            self._questions[issuer.issuer_id] -= 1
            self._questions += Counter()  # Drops what has come down to nothing.

    async def _asked(self, issuer: Issuer, token: str) -> Claims:
        url = await address(self._metadata, issuer, "introspection_endpoint")
        # RFC 6749 §2.3.1: id and secret are encoded as in a form before they stand in the header.
        login = quote_plus(issuer.terms.client_id), quote_plus(issuer.client_secret)
        answer = await self._fetcher.post(url, {"token": token, "token_type_hint": "access_token"}, login)
        if answer.status == 400 and answer.content and answer.content.get("error") == "unsupported_token_type":
            # An issuer that answers about its opaque tokens alone says so of a JWT; RFC 7009 §2.2.1 has this error.
            raise Refusal(Reason.CREDENTIALS, "the issuer doesn't answer about such a token")
        if answer.status != 200 or answer.content is None:
            raise Refusal(Reason.UNAVAILABLE, f"oidc: {answer.status} to an introspection")
        # RFC 7662 §2.2: `active` is required, a boolean, and tells whether the token is good at all.
        if answer.content.get("active") is not True:
            raise Refusal(Reason.CREDENTIALS, "the issuer says that the token isn't good")
        return answer.content
