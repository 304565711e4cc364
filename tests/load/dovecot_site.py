"""Debian's Dovecot beside Poplar: the configuration in tests/load/dovecot, logins from the same Postgres, Maildirs.

Owns its files, its table and its process. Refuses to install anything: `absent` says what to install. Debian's package
starts a Dovecot of its own; this one has its own folder and ports and doesn't touch it.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from service.embedded.certificate import certificate_files
from service.embedded.process import dying_with_parent, free_port, spawn, stop
from tests.load.mail import DOMAIN, SECRET, Kind, link_texts
from tests.load.poplar_site import Backends
from tests.load.target import Target

CONFIGURATION = Path(__file__).parent / "dovecot"
PACKAGES = "dovecot-pop3d dovecot-lmtpd dovecot-pgsql"
MAIL_USER = "mail"
START_SECONDS = 20.0
TABLE = """
CREATE TABLE accounts (address text PRIMARY KEY, verifier text NOT NULL, home text NOT NULL);
CREATE ROLE dovecot LOGIN PASSWORD 'dovecot';
GRANT SELECT ON accounts TO dovecot;
"""
ROWS = """
INSERT INTO accounts
SELECT $1 || n || '@' || $2, $3, $4 || '/' || $1 || n FROM generate_series(0, $5::int - 1) AS n
"""


def absent() -> str:
    """Why Dovecot can't be measured here, and what to do; empty when it can."""
    if shutil.which("dovecot") is None or not Path("/usr/lib/dovecot/modules/auth/libdriver_pgsql.so").exists():
        return f"Dovecot isn't installed: apt-get install --no-install-recommends {PACKAGES}"
    return "" if os.geteuid() == 0 else "Dovecot is started by root alone: its login processes become another user"


@dataclass
class _Maildirs:
    folder: Path
    dsn: str
    verifier: str
    furnished: set[str] = field(default_factory=set)

    @property
    def homes(self) -> Path:
        return self.folder / "homes"

    def furnish(self, kinds: Sequence[Kind]) -> None:
        for kind in kinds:
            if kind.name not in self.furnished:
                asyncio.run(self._rows(kind))
                self.fill(kind)
                self.furnished.add(kind.name)

    def fill(self, kind: Kind) -> None:
        """Maildirs as a delivery leaves them, with the octets in each file's name."""
        octets = len(kind.text)
        for drop in range(kind.maildrops):
            maildir = self.homes / f"{kind.name}{drop}" / "Maildir"
            shutil.rmtree(maildir, ignore_errors=True)
            for part in ("cur", "new", "tmp"):
                (maildir / part).mkdir(parents=True)
        names = (
            self.homes / f"{kind.name}{drop}" / "Maildir" / "cur"
            / f"{1_700_000_000 + n}.M{n}P1.load,S={octets},W={octets}:2,"
            for drop in range(kind.maildrops) for n in range(kind.messages)
        )  # fmt: skip
        link_texts(kind, self.folder.parent / "texts", names)
        _give_to_mail_user(self.homes, kind)

    async def _rows(self, kind: Kind) -> None:
        connection = await asyncpg.connect(self.dsn)
        verifier = _salted_sha256() if kind.cheap else self.verifier
        await connection.execute(ROWS, kind.name, DOMAIN, verifier, str(self.homes), kind.maildrops)
        await connection.close()


def _give_to_mail_user(homes: Path, kind: Kind) -> None:
    owner = pwd.getpwnam(MAIL_USER)
    for drop in range(kind.maildrops):
        home = homes / f"{kind.name}{drop}"
        for path in (home, home / "Maildir", *(home / "Maildir" / part for part in ("cur", "new", "tmp"))):
            os.chown(path, owner.pw_uid, owner.pw_gid)


def _salted_sha256() -> str:
    salt = b"saltsalt"
    return "{SSHA256}" + b64encode(sha256(SECRET.encode() + salt).digest() + salt).decode()


@contextmanager
def dovecot(behind: Backends) -> Iterator[Target]:
    """A Dovecot whose accounts are in a database of its own in the same Postgres, ready."""
    folder = behind.folder / "dovecot"
    folder.mkdir()
    asyncio.run(_database(behind.dsn))
    dsn = behind.dsn.rpartition("/")[0] + "/dovecot"
    maildirs = _Maildirs(folder, dsn, "{ARGON2ID}" + behind.verifier)
    maildirs.homes.mkdir()
    ports = {name: free_port() for name in ("pop3", "pop3s", "lmtp")}
    path = _written(behind, folder, ports)
    command = dying_with_parent(["dovecot", "-F", "-c", str(path)], signal.SIGTERM)
    process = spawn(command, folder, folder / "console.log")
    try:
        _await_ready(process, folder)
        components = {"dovecot": process.pid, "postgres": behind.components["postgres"]}
        yield Target("Dovecot", ports, components, maildirs.furnish, maildirs.fill)
    finally:
        stop(process, signal.SIGTERM, grace=30)


async def _database(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE DATABASE dovecot")
    await connection.close()
    connection = await asyncpg.connect(dsn.rpartition("/")[0] + "/dovecot")
    await connection.execute(TABLE)
    await connection.close()


def _written(behind: Backends, folder: Path, ports: dict[str, int]) -> Path:
    certificates = certificate_files(behind.folder / "tls").folder
    words = {
        "FOLDER": folder,
        "CERTIFICATE": certificates / "default.crt",
        "KEY": certificates / "default.key",
        "USER": MAIL_USER,
        "CORES": os.cpu_count(),
        "PORT": urlsplit(behind.dsn).port,
        "DATABASE": "dovecot",
        "ROLE": "dovecot",
        "PASSWORD": "dovecot",
        **{name.upper(): port for name, port in ports.items()},
    }
    for source in CONFIGURATION.iterdir():
        text = source.read_text("utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        (folder / source.name).write_text(text, "utf-8")
    return folder / "dovecot.conf"


def _await_ready(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    log = folder / "dovecot.log"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and "starting up" in log.read_text("utf-8"):
            return
        time.sleep(0.05)
    told = [path.read_text("utf-8") for path in (log, folder / "console.log") if path.exists()]
    raise AssertionError("\n".join(told))
