"""Issuers of tokens over HTTP: their keys, what they publish about themselves, and their word on a token.

Owns joserfc and httpx, which nothing else may see; implements `mail.bearer.TokenChecks`. Refuses to judge claims: whom
a token is for, and until when, `mail.claims` says.
"""

from service.stores.oidc.checks import OidcTokenChecks
from service.stores.oidc.fetching import Fetcher, FetchOptions

__all__ = ["FetchOptions", "Fetcher", "OidcTokenChecks"]
