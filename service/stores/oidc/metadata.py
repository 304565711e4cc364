"""What an issuer publishes about itself: where its keys are, and where tokens are introspected.

Owns the two places where it may stand and the check that it is the issuer's own. Refuses to take a word of it that a
tenant's own terms say otherwise. RFC 8414 §3 and §3.3; the first place is that of OpenID Connect Discovery 1.0.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from service.model.issuer import Issuer
from service.model.refusal import Reason, Refusal
from service.stores.oidc.documents import Documents
from service.stores.oidc.fetching import Fetcher

Metadata = Mapping[str, Any]


def places(issuer: str) -> tuple[str, str]:
    """Where an issuer describes itself.

    RFC 8414 §3.1: the well-known part stands between host and path; OpenID's own stands behind the path.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    inserted = urlunsplit((parts.scheme, parts.netloc, "/.well-known/oauth-authorization-server" + path, "", ""))
    return issuer.rstrip("/") + "/.well-known/openid-configuration", inserted


async def load_metadata(fetcher: Fetcher, issuer: str) -> Metadata:
    """What the issuer says of itself. Raises Refusal(UNAVAILABLE)."""
    for place in places(issuer):
        answer = await fetcher.get(place)
        if answer.status == 200 and answer.content is not None:
            # RFC 8414 §3.3: "If these values are not identical, the data contained in the response MUST NOT be used."
            if answer.content.get("issuer") != issuer:
                raise Refusal(Reason.UNAVAILABLE, "oidc: the issuer calls itself otherwise")
            return answer.content
    raise Refusal(Reason.UNAVAILABLE, "oidc: the issuer doesn't describe itself")


async def address(documents: Documents[Metadata], issuer: Issuer, name: str) -> str:
    """The address called `name` in the issuer's terms, or else in its own description. Raises Refusal(UNAVAILABLE)."""
    given: str = getattr(issuer.terms, name)
    if given:
        return given
    told = (await documents.get(issuer.terms.url)).get(name)
    if not isinstance(told, str):
        raise Refusal(Reason.UNAVAILABLE, f"oidc: the issuer tells no {name}")
    return told
