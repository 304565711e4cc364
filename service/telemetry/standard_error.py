"""Standard error as lines are written to it: what can't be written is lost and counted, and is no one's failure.

Owns that a full disk, a pipe whose reader ended or a closed stream breaks off no session and no task. A line leaves
by one write where the system lets it: one that waited in a buffer would fail later, in the way of others.
Refuses to know what lines say.
"""

import codecs
import io
from collections.abc import Callable
from typing import TextIO

from service.telemetry.later import Counter

_lost = Counter("poplar_log_lines_lost", "Lines of the log that couldn't be written, or not to their ends")


class Lines:
    """A stream that takes whole lines, each with its end, over another. It raises neither OSError nor ValueError."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        """Kept, as one that nobody keeps is closed, and what lies below it too."""
        self._encoding = codecs.lookup(stream.encoding or "utf-8").name
        self._put = _unbuffered(stream) or self._put_text
        self._cut = False
        """Whether what was written last is the beginning of a line that is lost."""

    @property
    def takes_utf8(self) -> bool:
        """Whether a line's octets may be written as they are in UTF-8."""
        return self._encoding == "utf-8"

    def write(self, line: str) -> int:
        """Write `line`, or count it as lost; its characters, as of any stream."""
        self.put(line.encode(self._encoding, "backslashreplace"))
        return len(line)

    def put(self, line: bytes) -> None:
        """Write `line`, which is in the stream's encoding, or count it as lost."""
        left = b"\n" + line if self._cut else line
        try:
            while (taken := self._put(left) or self._full()) < len(left):
                left, self._cut = left[taken:], True
        except (OSError, ValueError):
            _lost.inc()
        else:
            self._cut = False

    def flush(self) -> None:
        """Nothing waits here."""

    def _put_text(self, octets: bytes) -> int:
        self._stream.write(octets.decode(self._encoding))
        self._stream.flush()
        return len(octets)

    def _full(self) -> int:
        # A process waits for nobody who reads its log, if that one made the pipe so that it needn't.
        raise BlockingIOError("the pipe is full")


def _unbuffered(stream: TextIO) -> Callable[[bytes], int | None] | None:
    """What writes octets to the file below `stream`, if one is there: how many it took, None if it is full."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    return raw.write if isinstance(raw, io.RawIOBase) else None
