"""A real S3 server on loopback: versitygw where it is installed or built in `.tools/`, else moto's server.

Owns the process and its bucket. Import `s3_server`, `s3_server_of_ones_own` and `s3_url_and_options` into a conftest
or a test module to use them.
"""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from service.embedded.process import await_ready, dying_with_parent, free_port, spawn, stop
from service.stores.objects import ObjectOptions
from tests.backends.pausing import pause

BUCKET = "mail"
ACCESS, SECRET = "poplar-test", "poplar-test-secret"
TOOLS = Path(__file__).parents[2] / ".tools"


@dataclass(slots=True)
class S3Server:
    """A running server with an empty bucket; `name` says which one it is."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> ObjectOptions:
        return ObjectOptions(
            endpoint=self.endpoint, region="us-east-1", access_key=ACCESS, secret_key=SECRET, allow_http=True
        )

    def pause(self) -> None:
        """Stop answering, with every connection left open."""
        pause(self.process.pid)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Stop for good."""
        self.process.kill()
        self.process.wait()

    def client(self) -> Any:
        """Amazon's own client, to look at what Poplar's left behind."""
        boto3: Any = importlib.import_module("boto3")
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def unfinished_uploads(self) -> list[str]:
        """The keys of uploads that were neither finished nor aborted."""
        return [each["Key"] for each in self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def start_s3(folder: Path, *options: str) -> S3Server:
    """A server with its files below `folder`; versitygw gets the options too. The caller ends it."""
    program = shutil.which("versitygw", path=os.pathsep.join([os.environ.get("PATH", ""), str(TOOLS)]))
    if program is None:
        warnings.warn("versitygw is not installed: moto's server stands in for a real S3 server", stacklevel=2)
        folder.mkdir(parents=True, exist_ok=True)
        return _started(
            "moto", folder, lambda port: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", f"-p{port}"]
        )
    (folder / "objects").mkdir(parents=True)
    (folder / "metadata").mkdir()
    return _started("versitygw", folder, lambda port: _versitygw(program, port, folder, options))


def _versitygw(program: str, port: int, folder: Path, options: Sequence[str]) -> list[str]:
    """The command line; metadata beside the files, since not every file system of CI keeps extended attributes."""
    server = [program, "--port", f"127.0.0.1:{port}", "--access", ACCESS, "--secret", SECRET, "--quiet", "--keep-alive"]
    return [*server, *options, "posix", "--sidecar", str(folder / "metadata"), str(folder / "objects")]


def _started(name: str, folder: Path, command: Callable[[int], list[str]]) -> S3Server:
    for _ in range(5):
        port = free_port()
        process = spawn(dying_with_parent(command(port), signal.SIGKILL), folder, folder / "s3.log")
        server = S3Server(name, port, process)
        if await_ready(process, lambda: _answers(server.endpoint), 30):  # noqa: B023 - called at once
            server.client().create_bucket(Bucket=BUCKET)
            return server
        stop(process, signal.SIGKILL)
    raise RuntimeError(f"{name} did not start: {(folder / 's3.log').read_text()}")


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint, timeout=2):  # noqa: S310 - loopback
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The S3 server of this test process."""
    server = start_s3(tmp_path_factory.mktemp("s3"))
    yield server
    server.end()


@pytest.fixture
def s3_server_of_ones_own(tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server that the test may pause or end."""
    server = start_s3(tmp_path)
    yield server
    server.end()


@pytest.fixture
def s3_url_and_options(s3_server: S3Server) -> tuple[str, ObjectOptions]:
    """The URL of an empty prefix in a bucket, and the options to open it with."""
    return f"s3://{BUCKET}/{uuid4().hex}", replace(s3_server.options)
