"""The mail programs themselves: curl, fetchmail, getmail, mpop, Python's poplib and openssl's s_client.

Owns each one's settings and what it does to a text by itself. RFC 1939 §5 and §7, RFC 2449 §6.6, RFC 2595 §4.
"""

import poplib
import re
import sys
from pathlib import Path
from typing import ClassVar

from tests.system.clients.letters import ALL, ENDLESS_LINE, HEADER_ALONE, Handed
from tests.system.clients.maildrop import Maildrop, trusting
from tests.system.clients.program import (
    Program,
    Run,
    Spool,
    Way,
    needed,
    place,
    private_file,
    run,
    with_local_line_ends,
)


class Curl:
    """Reads one message a run; what it has seen is remembered by unique-id."""

    name = "curl"
    letters = ALL

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        listing = self.asked(home, maildrop, way, "", "UIDL")
        if listing.code:
            return listing
        seen, brought = home / "seen", []
        known = seen.read_text().split() if seen.exists() else []
        entries = [line.decode().split() for line in listing.brought[0].split(b"\r\n") if line]
        new = [number for number, unique_id in entries if unique_id not in known]
        for number in new:
            brought += self.asked(home, maildrop, way, number).brought
        if not keep:
            self._remove(home, maildrop, way, new)
        seen.write_text(" ".join([*known, *(unique_id for _, unique_id in entries)]))
        return Run(0, "", brought)

    def _remove(self, home: Path, maildrop: Maildrop, way: Way, numbers: list[str]) -> None:
        # Each run is a session, after which the numbers are new: so the last one goes first.
        for number in reversed(numbers):
            done = self.asked(home, maildrop, way, number, "DELE", "head")
            assert done.code == 0, done.said

    def asked(self, home: Path, maildrop: Maildrop, way: Way, number: str, *command: str) -> Run:
        """One run: RETR of `number`, LIST without one, or another command with options of curl's."""
        account = maildrop.account
        scheme = "pop3s" if way is Way.TLS else "pop3"
        words = [
            f'url = "{scheme}://{place(maildrop, way)}/{number}"',
            f'user = "{account.address}:{account.password}"',
        ]
        words += [f'cacert = "{maildrop.demo.ca_file}"', "silent", "show-error"]
        words += ["ssl-reqd"] if way is Way.STLS else []
        words += [f'request = "{command[0]}"'] if command else []
        words += list(command[1:])
        settings = private_file(home / "curlrc", "\n".join(words) + "\n")
        done = run(home, needed("curl"), "--config", str(settings))
        return Run(done.returncode, done.stderr.decode(), [] if done.returncode else [done.stdout])

    def stored(self, letter: Handed, message: bytes) -> bytes:
        return message


class Fetchmail:
    """Reads with TOP n 99999999 when it keeps messages and with RETR when it doesn't, and hands them to a script."""

    name = "fetchmail"
    # It cuts a line over 8190 octets and puts octets of its own into the cut.
    letters = tuple(letter for letter in ALL if letter is not ENDLESS_LINE)
    _options: ClassVar = {Way.CLEAR: 'sslproto ""', Way.STLS: "sslproto TLS1.2+ sslcertck", Way.TLS: "ssl sslcertck"}

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        spool, account = Spool(home), maildrop.account
        # Debian's fetchmail compares the certificate with names alone, never with addresses.
        settings = private_file(
            home / "fetchmailrc",
            f"set invisible\n"
            f"poll localhost protocol pop3 port {place(maildrop, way).port} uidl\n"
            f'  user "{account.address}" password "{account.password}"\n'
            f'  {self._options[way]} sslcertfile "{maildrop.demo.ca_file}"\n'
            f"  {'keep' if keep else 'no keep'} no rewrite mda {spool.script}\n",
        )
        files = ("--idfile", str(home / "fetchids"), "--pidfile", str(home / "pid"))
        done = run(home, needed("fetchmail"), "--fetchmailrc", str(settings), *files)
        # 1 means that there was nothing new.
        said = (done.stdout + done.stderr).decode()
        return Run(0 if done.returncode == 1 else done.returncode, said, spool.brought)

    def stored(self, letter: Handed, message: bytes) -> bytes:
        """A text without any CR, and with an empty line behind a header alone."""
        local = message.replace(b"\r", b"")
        return local + b"\n" if letter is HEADER_ALONE else local


class Getmail:
    """Reads with poplib; keeps what it saw in a folder. It knows no STLS."""

    name = "getmail"
    letters = ALL

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        spool, account, at = Spool(home), maildrop.account, place(maildrop, way)
        kind = "SimplePOP3SSLRetriever" if way is Way.TLS else "SimplePOP3Retriever"
        settings = private_file(
            home / "getmailrc",
            f"[retriever]\ntype = {kind}\nserver = {at.host}\nport = {at.port}\n"
            f"username = {account.address}\npassword = {account.password}\n"
            + (f"ca_certs = {maildrop.demo.ca_file}\n" if way is Way.TLS else "")
            + f"[destination]\ntype = MDA_external\npath = {spool.script}\nallow_root_commands = true\n"
            f"[options]\ndelivered_to = false\nreceived = false\nread_all = false\ndelete = {str(not keep).lower()}\n",
        )
        command = (
            sys.executable,
            needed_beside_python("getmail"),
            "--getmaildir",
            str(home),
            "--rcfile",
            str(settings),
        )
        done = run(home, *command)
        return Run(done.returncode, (done.stdout + done.stderr).decode(), spool.brought)

    def stored(self, letter: Handed, message: bytes) -> bytes:
        """A text with Return-Path as its first line, and every CR a line end, as its library has it."""
        path = re.search(rb"^Return-Path: [^\r\n]*\r\n", message, re.MULTILINE)
        assert path is not None
        local = path.group() + message[: path.start()] + message[path.end() :]
        local = with_local_line_ends(with_local_line_ends(local)).replace(b"\r", b"\n")
        return local + b"\n" if letter is HEADER_ALONE else local


class Mpop:
    """Pipelines; delivers into a folder in Maildir's form."""

    name = "mpop"
    letters = ALL

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        account, at, folder = maildrop.account, place(maildrop, way), home / "Maildir"
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        before = set((folder / "new").iterdir())
        settings = private_file(
            home / "mpoprc",
            f"account default\nhost {at.host}\nport {at.port}\n"
            f"tls {'off' if way is Way.CLEAR else 'on'}\ntls_starttls {'on' if way is Way.STLS else 'off'}\n"
            f"tls_trust_file {maildrop.demo.ca_file}\nauth {'user' if way is Way.CLEAR else 'on'}\n"
            f"user {account.address}\npasswordeval cat {private_file(home / 'password', account.password)}\n"
            f"delivery maildir {folder}\nuidls_file {home / 'uidls'}\nreceived_header off\n"
            f"keep {'on' if keep else 'off'}\n",
        )
        done = run(home, needed("mpop"), "--half-quiet", "--file", str(settings))
        brought = [path.read_bytes() for path in sorted((folder / "new").iterdir()) if path not in before]
        return Run(done.returncode, (done.stdout + done.stderr).decode(), brought)

    def stored(self, letter: Handed, message: bytes) -> bytes:
        return with_local_line_ends(message)


class Poplib:
    """Python's own client; what it has seen is remembered by unique-id."""

    name = "python3"
    letters = ALL

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        seen, brought = home / "seen", []
        known = seen.read_bytes().split() if seen.exists() else []
        # RFC 5321 §4.5.3.1.6 bounds lines to 1000 octets, the library to 2048; some letters have longer ones.
        poplib._MAXLINE = 1_000_000  # type: ignore[attr-defined]
        client = self._connected(maildrop, way)
        try:
            client.encoding = "UTF-8"
            client.user(maildrop.account.address)
            client.pass_(maildrop.account.password)
            entries = [line.split() for line in client.uidl()[1]]
            for number, unique_id in entries:
                if unique_id not in known:
                    brought.append(b"".join(line + b"\r\n" for line in client.retr(int(number))[1]))
                if not keep:
                    client.dele(int(number))
            client.quit()
        except poplib.error_proto as error:
            return Run(1, str(error), brought)
        finally:
            client.close()
        seen.write_bytes(b" ".join([*known, *(unique_id for _, unique_id in entries)]))
        return Run(0, "", brought)

    def _connected(self, maildrop: Maildrop, way: Way) -> poplib.POP3:
        at, context = place(maildrop, way), trusting(maildrop.demo)
        if way is Way.TLS:
            return poplib.POP3_SSL(at.host, at.port, context=context, timeout=60)
        client = poplib.POP3(at.host, at.port, timeout=60)
        if way is Way.STLS:
            client.stls(context)
        return client

    def stored(self, letter: Handed, message: bytes) -> bytes:
        return message


class OpensslClient:
    """A person at a terminal: everything typed at once, the answers read from the screen."""

    name = "openssl"
    letters = ALL

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        seen = home / "seen"
        done = int(seen.read_text()) if seen.exists() else 0
        count = int(self._typed(home, maildrop, way, ["STAT"]).split(b"+OK ")[-2].split()[0])
        wanted = range(done + 1, count + 1)
        lines = [f"RETR {number}" for number in wanted] + ([] if keep else [f"DELE {number}" for number in wanted])
        screen = self._typed(home, maildrop, way, lines)
        seen.write_text(str(count if keep else 0))
        return Run(0, "", _messages(screen, len(wanted)))

    def _typed(self, home: Path, maildrop: Maildrop, way: Way, lines: list[str]) -> bytes:
        account = maildrop.account
        text = "\n".join([f"USER {account.address}", f"PASS {account.password}", *lines, "QUIT", ""])
        options = ("-starttls", "pop3") if way is Way.STLS else ()
        trust = ("-CAfile", maildrop.demo.ca_file, "-verify_return_error")
        at = str(place(maildrop, way))
        command = (needed("openssl"), "s_client", "-quiet", "-crlf", *trust, *options, "-connect", at)
        return run(home, *command, told=text.encode()).stdout

    def stored(self, letter: Handed, message: bytes) -> bytes:
        return message


def _messages(screen: bytes, count: int) -> list[bytes]:
    """The messages among the answers: after each `+OK n octets`, that many, byte-stuffed."""
    found, rest = [], screen
    for _ in range(count):
        _, octets, rest = re.split(rb"\+OK (\d+) octets\r\n", rest, maxsplit=1)
        stuffed, _, rest = (b"\r\n" + rest).partition(b"\r\n.\r\n")
        found.append((stuffed + b"\r\n")[2:].replace(b"\r\n.", b"\r\n"))
        assert len(found[-1]) == int(octets)
    return found


def needed_beside_python(name: str) -> str:
    """The path of a script that came with a package of this Python; skips the test where it isn't installed."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else needed(name)


PRIVATE: list[tuple[Program, Way]] = [
    (Curl(), Way.STLS),
    (Curl(), Way.TLS),
    (Fetchmail(), Way.STLS),
    (Fetchmail(), Way.TLS),
    (Getmail(), Way.TLS),
    (Mpop(), Way.STLS),
    (Mpop(), Way.TLS),
    (Poplib(), Way.STLS),
    (Poplib(), Way.TLS),
    (OpensslClient(), Way.STLS),
    (OpensslClient(), Way.TLS),
]
CLEAR: list[Program] = [Curl(), Fetchmail(), Getmail(), Mpop(), Poplib()]
