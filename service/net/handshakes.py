"""When TLS handshakes on a listener begin: one after another, each once its client has said something.

Owns their turns, by the client's network. A handshake is a millisecond of signing in one go: as many as are ready
would run between two looks at the sockets, and hold up every session for that long (G16). Refuses to know what a
handshake is. RFC 8314 §3.1.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from service.mail.allowances import network_of
from service.mail.told import Told
from service.mail.turns import Bounds, Turns, Whose


class Handshakes:
    """The turns of one process."""

    def __init__(self, told: Told | None = None) -> None:
        self._turns = Turns("handshakes", Bounds(1), told)

    def begin(self, client: str, begin: Callable[[], None]) -> None:
        """Have `begin` called when it is `client`'s turn, at once if nobody else had one in this round of the loop."""
        whose = network_of(client)
        if self._turns.try_take(whose):
            self._begin(whose, begin)
        else:
            self._turns.call(whose, partial(self._begin, whose, begin))

    def _begin(self, whose: Whose, begin: Callable[[], None]) -> None:
        # The next one begins once the sockets were looked at.
        asyncio.get_running_loop().call_soon(self._turns.give_back, whose)
        begin()
