"""A request that is made once more, beside the first one, where that has given nothing for a while.

Owns which answer counts: the first that is no failure. One request may be lost while the store is well, and who waits
for it need not be refused; a store that is slow with all of them is still waited for, as the first one stays.
Refuses to count, and to ask a third time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound="asyncio.Future[Any]")


class Twice(asyncio.Future[T]):
    """The answer to what `ask` asks for. Whoever cancels it cancels the requests."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._ask = ask
        self._requests: list[asyncio.Future[T]] = []
        self.overtaken = False
        """Whether the second request was answered, and the first one not."""
        self.again()

    def again(self) -> None:
        """Make the request, a second time where nothing came of the first."""
        if not self.done():
            request = asyncio.ensure_future(self._ask())
            self._requests.append(request)
            request.add_done_callback(self._came)

    def cancel(self, msg: object | None = None) -> bool:
        """Cancel the requests, too."""
        for request in self._requests:
            request.cancel()
        return super().cancel(msg)

    def _came(self, request: "asyncio.Future[T]") -> None:
        # By who waits here it would be over already; cancelled by others it is a failure.
        error = ConnectionError() if request.cancelled() else request.exception()
        if self.done() or (error is not None and not all(each.done() for each in self._requests)):
            return
        if error is not None:
            self.set_exception(error)
            return
        self.set_result(request.result())
        for each in self._requests:
            if not each.done():
                self.overtaken = each is self._requests[0]
                each.cancel()


class Due(Generic[F]):
    """Does something with what isn't there after `seconds`: one timer for all, as whoever began first is due first."""

    def __init__(self, seconds: float, act: Callable[[F], None]) -> None:
        self._seconds = seconds
        self._act = act
        self._due: dict[F, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, begun: F) -> None:
        """Do it in time, unless it is to be forgotten before."""
        self._due[begun] = time.monotonic() + self._seconds
        if self._timer is None:
            self._timer = begun.get_loop().call_later(self._seconds, self._look)

    def forget(self, begun: F) -> None:
        """It is over: nothing of it is kept."""
        self._due.pop(begun, None)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for begun, due in list(self._due.items()):
            if due > now:
                self._timer = begun.get_loop().call_later(due - now, self._look)
                return
            self.forget(begun)
            self._act(begun)
