"""HTTP whose connections may begin with a PROXY header, as some balancers' health checks do.

Owns that such a header is read past. Refuses to believe it: nothing here depends on the client's address, so anybody
may send one. One that is malformed ends the connection without an answer.
Specification: "The PROXY protocol", versions 1 & 2, HAProxy (§2), quoted as PROXY §x.
"""

import asyncio

from service.protocol.proxy import V1_START, V2_SIGNATURE, ProxyError, octets_wanted, parse
from service.telemetry.making_room import MakingRoom


class Preface:
    """The first octets of a connection, until it is known whether and where a PROXY header ends."""

    def __init__(self) -> None:
        self._octets = b""

    def feed(self, data: bytes) -> bytes | None:
        """What follows the header, or everything where there is none; None while that isn't known.

        Raises ProxyError for a header that is malformed.
        """
        self._octets += data
        # PROXY §2: "The receiver MUST be configured to only receive the protocol described in this specification and
        # MUST not try to guess whether the protocol header is present or not."
        # Deviates: kubelet's probes and balancers' checks share this port, and the header changes nothing here.
        if not _may_begin_one(self._octets):
            return self._octets
        end = 0
        while wanted := octets_wanted(self._octets[:end]):
            end += wanted
            if len(self._octets) < end:
                return None
        parse(self._octets[:end])
        return self._octets[end:]


def _may_begin_one(octets: bytes) -> bool:
    return any(octets.startswith(start) or start.startswith(octets) for start in (V1_START, V2_SIGNATURE))


class ToleratingProxyHeader(MakingRoom):
    """uvicorn's connection, which reads past a PROXY header at its beginning."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Implements asyncio's protocol."""
        super().connection_made(transport)
        self._preface: Preface | None = Preface()

    def data_received(self, data: bytes) -> None:
        """Implements asyncio's protocol."""
        if self._preface is None:
            super().data_received(data)
            return
        try:
            request = self._preface.feed(data)
        except ProxyError:
            self.transport.close()
            return
        if request is not None:
            self._preface = None
            super().data_received(request)
