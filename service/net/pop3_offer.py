"""Which SASL mechanisms a client may use, and what those mechanisms are told of its connection.

Owns the rule that each is offered only where it can succeed: keys for SCRAM where it is switched on, binding where TLS
ends here, tokens where some tenant trusts an issuer, certificates where one was shown. Refuses to know the mechanisms.
RFC 5034 §3, RFC 5802 §6, RFC 7628 §3.2, RFC 4422 appendix A.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from types import MappingProxyType

from service.net.peer import Peer
from service.protocol.sasl.exchange import Outside
from service.protocol.sasl.mechanisms import EVERYWHERE
from service.protocol.sasl.mechanisms.external import EXTERNAL
from service.protocol.sasl.mechanisms.oauthbearer import OAUTHBEARER
from service.protocol.sasl.mechanisms.scram_sha_256 import SCRAM_SHA_256
from service.protocol.sasl.mechanisms.scram_sha_256_plus import SCRAM_SHA_256_PLUS
from service.protocol.sasl.mechanisms.xoauth2 import XOAUTH2

_NO_BINDINGS: Mapping[str, bytes] = MappingProxyType({})


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered besides passwords."""

    scram: bool = False
    binding: frozenset[str] = frozenset()
    """The versions of TLS in which SCRAM is offered with channel binding too.

    RFC 9266 §3 makes tls-exporter the binding of TLS 1.3, which can't be had here: a client that takes -PLUS wherever
    it is listed would then fail.
    """
    tokens: Callable[[], bool] = _never
    """Whether any tenant trusts an issuer, as last read."""
    hosts: frozenset[str] = frozenset()
    """The names of this server, in lower case; empty to go by the name that TLS was asked for."""
    ports: frozenset[int] = frozenset()
    """The ports that clients connect to; empty where they aren't known."""
    scope: str = ""
    configuration: str = ""

    def to(self, peer: Peer) -> tuple[frozenset[str], Outside]:
        """The mechanisms that can succeed for `peer`, once its connection is private; and what they are told."""
        tls, bindings = peer.tls, _NO_BINDINGS
        name, certified = (tls.server_name, tls.certified) if tls is not None else (None, ())
        if tls is not None and self.scram and tls.version in self.binding:
            bindings = tls.bindings
        offered = _offered(self.scram, bool(bindings), self.tokens(), bool(certified))
        outside = _common(self.hosts or _named(name), self.ports, self.scope, self.configuration)
        if bindings or certified:
            outside = replace(outside, bindings=bindings, certified=certified)
        return offered, outside


@lru_cache(256)
def _named(server_name: str | None) -> frozenset[str]:
    return frozenset({server_name.lower()}) if server_name else frozenset()


@lru_cache(256)
def _common(hosts: frozenset[str], ports: frozenset[int], scope: str, configuration: str) -> Outside:
    """What all who come without a certificate and a binding share, so that it is kept once."""
    return Outside(hosts, ports, scope, configuration)


@cache
def _offered(scram: bool, bound: bool, tokens: bool, certified: bool) -> frozenset[str]:
    offered = set(EVERYWHERE)
    if scram:
        offered.add(SCRAM_SHA_256)
    if bound:
        offered.add(SCRAM_SHA_256_PLUS)
    if tokens:
        offered |= {OAUTHBEARER, XOAUTH2}
    if certified:
        offered.add(EXTERNAL)
    return frozenset(offered)
