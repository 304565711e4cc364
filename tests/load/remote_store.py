"""Poplar over a real S3 server on loopback, near or some milliseconds away.

Owns the server, the relay that holds requests back (tests/load/delay), and the objects: the same files that a local
store has. Refuses to know what is measured.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from service.embedded.process import stop
from tests.backends.s3 import ACCESS, BUCKET, SECRET, start_s3
from tests.load.mail import Kind
from tests.load.poplar_site import KEY, Backends, poplar
from tests.load.program import built
from tests.load.target import Target

_serial = count(1)


@contextmanager
def near_store(behind: Backends, milliseconds: int) -> Iterator[Target]:
    """A front end whose messages are in S3, each request of which takes so much longer.

    With 0, too, it is behind a relay, whose processor time is a component of its own: so nothing but time is added.
    """
    folder = behind.folder / f"s3-{next(_serial)}"
    folder.mkdir()
    server = start_s3(folder)
    try:
        with _delayed(server.port, milliseconds) as (relay, port):
            store = {"url": f"s3://{BUCKET}", "endpoint": f"http://127.0.0.1:{port}", "region": "us-east-1"}
            keys = {"access_key": ACCESS, "secret_key": SECRET, "allow_http": True}
            with poplar(behind, {"object_store": {**store, **keys}}) as target:
                yield replace(
                    target,
                    components={**target.components, "s3": server.process.pid, "relay": relay},
                    furnish=lambda kinds: _put(behind, folder / "objects" / BUCKET, kinds),
                )
    finally:
        server.end()


@contextmanager
def _delayed(port: int, milliseconds: int) -> Iterator[tuple[int, int]]:
    """The relay's process and port."""
    command = [str(built("delay")), str(port), str(milliseconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        stop(process, signal.SIGTERM)
        process.stdout.close()


def _put(behind: Backends, bucket: Path, kinds: Sequence[Kind]) -> None:
    behind.furnish(kinds)
    for kind in kinds:
        (bucket / KEY).mkdir(parents=True, exist_ok=True)
        for source in (behind.blobs / KEY).glob(f"{kind.name}*"):
            shutil.copyfile(source, bucket / KEY / source.name)
