"""Events as JSON lines, appended to a file or to standard output.

Owns whole lines: several processes may append to one file, each batch leaves in one write, and after a write that the
disk cut short the next one begins a new line and repeats the cut event whole. A file that a rotation moved away is let
go before the next batch. Refuses to delete or rotate anything itself. RFC 8259 §2 (JSON).
"""

import asyncio
import contextlib
import json
import os
import stat
from collections.abc import Sequence

from service.model.event import Event, plain
from service.model.refusal import Reason, Refusal

STDOUT = "-"
_STDOUT_DESCRIPTOR = 1
_HOW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_MODE = 0o640


class EventFile:
    """Implements `mail.events.Sink`; `path` is `-` for standard output."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._torn = False
        """Whether the last line in the file has no end."""
        self._written: list[str] = []
        """Ids of events that a write which failed later had brought whole into the file."""

    async def take(self, batch: Sequence[Event]) -> None:
        """Append each event as a line, on a thread: a disk may take its time. Raises Refusal(UNAVAILABLE)."""
        try:
            await asyncio.to_thread(self._append, batch)
        except OSError as error:
            raise Refusal(Reason.UNAVAILABLE, f"events can't be written to {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None and self._path != STDOUT:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None

    def _append(self, batch: Sequence[Event]) -> None:
        descriptor = self._opened()
        left = [event for event in batch if event.event_id not in self._written]
        while left:
            lines = [line_of(event) for event in left]
            text = (b"\n" if self._torn else b"") + b"".join(lines)
            written = os.write(descriptor, text)
            whole = _whole(lines, written - (1 if self._torn else 0))
            self._torn = written > 0 and not text[:written].endswith(b"\n")
            self._written += [event.event_id for event in left[:whole]]
            left = left[whole:]
        self._written.clear()

    def _opened(self) -> int:
        if self._path == STDOUT:
            return _STDOUT_DESCRIPTOR
        if self._descriptor is not None and not self._is_still_there(self._descriptor):
            self.close()
        if self._descriptor is None:
            self._descriptor = os.open(self._path, _HOW, _MODE)
            self._torn = False
        return self._descriptor

    def _is_still_there(self, descriptor: int) -> bool:
        """Whether the path still leads to the open file, which a rotation would have moved."""
        try:
            there, ours = os.stat(self._path), os.fstat(descriptor)  # noqa: PTH116 - beside a descriptor's
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) or stat.S_ISFIFO(there.st_mode)


def line_of(event: Event) -> bytes:
    """The event in one line, with its end."""
    return json.dumps(plain(event), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _whole(lines: Sequence[bytes], octets: int) -> int:
    """How many of `lines` are within the first `octets`."""
    for number, line in enumerate(lines):
        octets -= len(line)
        if octets < 0:
            return number
    return len(lines)
