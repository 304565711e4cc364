"""A read that was begun and that nobody waits for: what the vendor's future comes to, in the port's words.

Owns how it is counted and how it ends: with octets, with a refusal, or cancelled, the vendor's request with it.
Refuses to repeat anything, and to know what is read.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.model.refusal import Reason, Refusal
from service.stores.objects.errors import only_the_blob_is_missing
from service.stores.objects.twice import Twice
from service.stores.observing import Observed

if TYPE_CHECKING:
    from obstore import Bytes


class Begun(asyncio.Future[bytes]):
    """Octets to come. Whoever cancels it cancels the request."""

    def __init__(self, reading: "Twice[Bytes]", call: Observed, ended: "Callable[[Begun, float], None]") -> None:
        """`call` counts it; `ended` hears that the request is over, whatever it came to, and after how many seconds."""
        super().__init__(loop=reading.get_loop())
        self._reading = reading
        self._call = call
        self._ended = ended
        self._asked = time.monotonic()
        reading.add_done_callback(self._came)

    def cancel(self, msg: object | None = None) -> bool:
        """Cancel the request, too."""
        self._reading.cancel()
        return super().cancel(msg)

    def give_up(self) -> None:
        """It took too long."""
        if not self.done():
            self._fail(TimeoutError())
            self._reading.cancel()

    def _came(self, reading: "Twice[Bytes]") -> None:
        if self.done():
            # What is no longer wanted failed, or came after all.
            _ = reading.cancelled() or reading.exception()
        elif reading.cancelled():
            # Not by who waits here, who would take it for a cancellation of its own.
            self._fail(ConnectionError())
        elif (error := reading.exception()) is not None:
            self._fail(error)
        else:
            if reading.overtaken:
                self._call.failed("timeout")
            with self._call:
                self.set_result(bytes(reading.result()))
        self._ended(self, time.monotonic() - self._asked)

    def _fail(self, error: BaseException) -> None:
        missing = isinstance(error, FileNotFoundError) and only_the_blob_is_missing(error)
        try:
            with self._call:
                raise Refusal(Reason.BROKEN, "objects: no such blob") if missing else error
        except Refusal as refusal:
            self.set_exception(refusal)
            # Nobody may ever ask for it: that is no fault to be told of.
            self.exception()
