"""A file that a mail server may be writing to: open, and locked against it, for as long as it is read.

Owns the lock, a shared one of fcntl(2), which Postfix, Exim and Dovecot respect when they deliver into an mbox. Where a
file system knows no locks the file is read without. Refuses to wait for one, and to know formats.
"""

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path
from weakref import finalize

from service.model.refusal import Reason, Refusal

_WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
"""Linux's `struct flock`."""
_HELD = {errno.EAGAIN, errno.EACCES}
"""By another; any other error says that there are no locks."""


class Spool:
    """One file, held until nothing refers to it any more. What is added to it meanwhile isn't seen.

    Raises Refusal(INVALID) if another process holds it for writing, OSError if it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        finalize(self, os.close, self._descriptor)
        _lock(self._descriptor, path)
        self.octets = os.fstat(self._descriptor).st_size

    def read(self, at: int, octets: int) -> bytes:
        """Up to so many octets from `at`; fewer only at the end."""
        return os.pread(self._descriptor, max(0, min(octets, self.octets - at)), at)


def _lock(descriptor: int, path: Path) -> None:
    try:
        # fcntl(2): a process's own lock is lost when it closes any other descriptor of the file; an open file's isn't.
        if sys.platform == "linux":
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise Refusal(Reason.INVALID, f"{path} is being written to; try again") from None
