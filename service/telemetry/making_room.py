"""HTTP connections that make room: with too many of them, a new one ends the oldest that waits for its client.

Owns who has to go. uvicorn refuses every request where there are too many connections, those included that never said a
word, and sets no time for them: whoever reaches the port could keep kubelet's probe out, and have the pod restarted.
Refuses to end a request that is being answered. RFC 9112 §9.5 (a server may close at any time).
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 150
"""Connections; further ones make room. Well under the number from which on uvicorn refuses requests."""


class MakingRoom(H11Protocol):
    """uvicorn's connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Implements asyncio's protocol."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self.leaving = False
        others = [each for each in self.connections if isinstance(each, MakingRoom) and each is not self]
        staying = [each for each in others if not each.leaving]
        if len(staying) >= MOST:
            _end_the_oldest(staying)

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn: to send a whole request, or to read what it asked for."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return not answering or self.flow.write_paused

    def leave(self) -> None:
        """End now."""
        self.leaving = True
        self.transport.abort()


def _end_the_oldest(connections: list[MakingRoom]) -> None:
    waiting = [each for each in connections if each.waits]
    if waiting:
        min(waiting, key=lambda each: each.since).leave()
