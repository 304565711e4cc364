"""Files in a folder whose owner may read less than whoever imports it.

Owns that no link leads out of it: an import often runs as root, and a customer can put a link to another's mail into
his own Maildir (G10). Refuses to tell a hard link, which is the file as much as any other name.
"""

import errno
import os
from io import BufferedReader
from pathlib import Path

_LINKED = {errno.ELOOP, errno.EMLINK, errno.ENOTDIR}
"""What systems say of a link that isn't to be followed."""


def opened(file: Path) -> BufferedReader:
    """The file, open for reading. Raises OSError if it can't be read, or it or its folder is a link."""
    try:
        # By the folder's descriptor, so that no link can take its place meanwhile.
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            return os.fdopen(os.open(file.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb")
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in _LINKED:
            raise OSError("it is a link, or in one, which an import doesn't follow") from error
        raise
