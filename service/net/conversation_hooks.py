"""What a protocol adds to a conversation: its session, its effects, its last words.

Owns the list of what a subclass must say, and may. Refuses to know when each is called: that is `Conversation`'s.
"""

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol

from service.model.ending import Ending
from service.net.connection import Connection


class ConversationTurns(Protocol):
    """The turns of the event loop that a conversation has."""

    def soon(self, call: Callable[[], object]) -> bool:
        """Call `call` in this conversation's turn; whether at once. `call` tells whether it began an effect."""

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, each step of it in turn."""


class Hooks(Connection):
    """The part of a conversation that each protocol fills in."""

    _turns: ConversationTurns
    """Those of this conversation."""

    @property
    @abstractmethod
    def _bound(self) -> int:
        """Octets held for this client in each direction before its socket is no longer read."""

    @abstractmethod
    def _waiting(self) -> int:
        """Octets received whose commands have not run yet."""

    @abstractmethod
    def _opened(self) -> None:
        """The transport is there, and secured if TLS came first."""

    @abstractmethod
    def _run(self) -> object:
        """Run commands until one waits, the client doesn't read, or none is left; true where octets are."""

    @abstractmethod
    def _tls_started(self) -> None:
        """TLS is negotiated, and `_peer` tells of it."""

    @abstractmethod
    def _idle(self) -> None:
        """The client said nothing for too long: end the conversation."""

    @abstractmethod
    def _context(self) -> Context:
        """The context of this conversation's tasks, for their log lines."""

    @abstractmethod
    async def _give_back(self) -> None:
        """Give back everything held, whatever happened."""

    def _over(self) -> None:
        """Nothing more is done for the client, though it may still have to take what was said."""

    def _given_back(self) -> bool:
        """Give everything back if nothing of it must wait for another system; whether that was done."""
        return False

    @abstractmethod
    def _ended(self, ending: Ending) -> None:
        """The last word to log and metrics."""

    def _counted(self) -> None:
        """An effect came to its end, and what it answered may be counted."""

    @property
    def _most_waiting(self) -> int:
        """Octets of commands that may wait before the socket is no longer read; what one read brings comes on top."""
        return self._bound

    def _may_leave(self) -> bool:
        """Whether the farewell may be said now that nothing is being performed."""
        return True
