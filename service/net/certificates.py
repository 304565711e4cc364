"""The certificates of a directory, chosen by SNI and replaced while connections go on.

Owns which pair answers which name. `context()` never changes: its SNI callback gives each handshake the
pair of the moment, so a reload reaches listeners that already listen, and no session is dropped.
Refuses to know where the files come from: a Kubernetes secret, cert-manager or a person.
RFC 8314 §4.4 (a valid certificate for every name served), RFC 6066 §3 (SNI), RFC 6125 §6.4.3 (wildcards).
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from math import inf
from pathlib import Path
from time import time
from typing import cast

from cryptography import x509

from service.net.tls import server_context
from service.net.tls_identity import UNREADABLE, Handshake, end_point

Report = Callable[[str, Exception], object]
"""Told the name of a pair that could not be loaded, and why; the pair's former certificate stays in use."""


@dataclass(frozen=True, slots=True)
class _Files:
    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Rules:
    """What all contexts have in common."""

    alpn: tuple[str, ...]
    client_ca: Path | None

    def context(self) -> ssl.SSLContext:
        return server_context(self.alpn, self.client_ca)


@dataclass(frozen=True, slots=True)
class _Pair:
    context: ssl.SSLContext
    names: tuple[str, ...]
    begins: datetime
    expires: datetime
    end_point: bytes
    """What connections that are shown it can be bound to (RFC 5929 §4)."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What is served at one moment."""

    pairs: Mapping[str, _Pair] = field(default_factory=dict)
    begun: Mapping[str, _Pair] = field(default_factory=dict)
    """Those whose certificate holds already; all of them where none does."""
    by_name: Mapping[str, _Pair] = field(default_factory=dict)
    """Which of those that have begun answers to a name."""
    staged: Mapping[str, _Pair] = field(default_factory=dict)
    """Which of those that begin later answers to a name, as long as no other does."""
    until: float = inf
    """When the next of these begins, Unix seconds: then it has to be arranged anew."""
    signature: bytes = b""
    """Of the files as they are now; empty where they are to be tried again at the next look."""
    broken: int = 0
    """Pairs that can't be loaded as their files are now."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Why each of these can't be, by name, as it was reported."""


class Certificates:
    """The pairs of `directory`: each NAME.crt or NAME.pem with NAME.key, each folder with tls.crt and tls.key.

    Names are the certificates' own (SAN). A client that names none, or an unknown one, gets the pair called
    `default`, or else the first by name. Where two hold the same name, the one that expires later answers, and one that
    isn't valid yet only where nothing else does.
    Where `client_ca` names a file of authorities, clients are asked for a certificate of theirs.
    Raises OSError (ssl.SSLError is one) or ValueError if no pair can be loaded at the start.
    """

    def __init__(
        self,
        directory: Path,
        alpn: tuple[str, ...] = (),
        report: Report = lambda _name, _error: None,
        client_ca: Path | None = None,
    ):
        self._directory = directory
        self._rules = _Rules(alpn, client_ca)
        self._report = report
        self._shelf = _Shelf()
        self._context = self._rules.context()
        self._context.sni_callback = self._choose
        self._put(*self._read())
        if not self._shelf.pairs:
            raise FileNotFoundError(f"no usable certificate and key in {directory}")

    def context(self) -> ssl.SSLContext:
        """The server context for listeners, STLS and STARTTLS; always the same one."""
        return self._context

    @property
    def expires(self) -> Mapping[str, datetime]:
        """When the certificate of each pair ends, in UTC, by the pair's name."""
        return {name: pair.expires for name, pair in self._shelf.pairs.items()}

    @property
    def begins(self) -> Mapping[str, datetime]:
        """From when on the certificate of each pair holds, in UTC, by the pair's name."""
        return {name: pair.begins for name, pair in self._shelf.pairs.items()}

    @property
    def broken(self) -> int:
        """How many pairs can't be loaded as their files are now, though each may have a former certificate in use."""
        return self._shelf.broken

    async def reload(self) -> bool:
        """Take up what changed in the directory; whether anything had. Broken pairs are reported, once a change."""
        before = self._shelf.signature
        self._put(*await asyncio.to_thread(self._read))
        return self._shelf.signature != before

    async def watch(self, interval: float) -> None:
        """Reload every `interval` seconds until cancelled: by content, as symlinks are swapped under us."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.reload()
            except OSError as error:
                self._report(self._directory.name, error)

    def _choose(self, handshake: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        pair = self._pair_for(name)
        chosen = cast("Handshake", handshake)
        chosen.server_name, chosen.end_point, chosen.context = name or None, pair.end_point, pair.context

    def _pair_for(self, name: str | None) -> _Pair:
        shelf = self._shelf
        if shelf.until <= time():
            shelf = self._shelf = _arranged(shelf)
        if not name:
            return _default(shelf.begun)
        wanted = name.lower().removesuffix(".")
        # RFC 6125 §6.4.3: "the client SHOULD NOT compare against anything but the left-most label of the
        # reference identifier (e.g., *.example.com would match foo.example.com but not bar.foo.example.com or
        # example.com)."
        wildcard = "*." + wanted.partition(".")[2]
        found = shelf.by_name.get(wanted) or shelf.by_name.get(wildcard)
        return found or shelf.staged.get(wanted) or shelf.staged.get(wildcard) or _default(shelf.begun)

    def _read(self) -> tuple[_Shelf, dict[str, Exception]]:
        files = _find(self._directory)
        # Before the contents are loaded: a file replaced meanwhile shows as a change at the next look.
        signature = _signature(files, self._rules.client_ca)
        if signature == self._shelf.signature:
            return self._shelf, {}
        pairs: dict[str, _Pair] = {}
        problems: dict[str, Exception] = {}
        for name, pair in files.items():
            try:
                pairs[name] = _load(pair, self._rules)
            except (OSError, ValueError) as error:
                problems[name] = error
                if name in self._shelf.pairs:
                    pairs[name] = self._shelf.pairs[name]
        if any(_may_pass(error) for error in problems.values()):
            signature = b""
        told = {name: repr(error) for name, error in problems.items()}
        known = {} if self._shelf.signature else self._shelf.told
        news = {name: error for name, error in problems.items() if told[name] != known.get(name)}
        return _arranged(_Shelf(pairs, signature=signature, broken=len(problems), told=told)), news

    def _put(self, shelf: _Shelf, problems: Mapping[str, Exception]) -> None:
        for name, error in problems.items():
            self._report(name, error)
        if shelf.pairs or not self._shelf.pairs:
            self._shelf = shelf
            return
        if shelf.signature or self._shelf.signature:
            self._report(self._directory.name, FileNotFoundError("all certificates are gone; the old ones stay"))
        self._shelf = replace(self._shelf, signature=shelf.signature, broken=max(1, shelf.broken), told=shelf.told)


def _find(directory: Path) -> dict[str, _Files]:
    found: dict[str, _Files] = {}
    for path in sorted(directory.iterdir()):
        # Kubernetes keeps the real files of a mounted secret in folders that start with two dots.
        if path.name.startswith("."):
            continue
        if path.is_dir():
            files = _Files(path / "tls.crt", path / "tls.key")
            name = path.name
        else:
            files = _Files(path, path.with_suffix(".key"))
            name = path.stem
        if files.chain.suffix in {".crt", ".pem"} and files.chain.is_file() and files.key.is_file():
            found.setdefault(name, files)
    return found


def _signature(files: Mapping[str, _Files], client_ca: Path | None) -> bytes:
    digest = sha256(client_ca.read_bytes() if client_ca else b"")
    for name, pair in files.items():
        for part in (name.encode(), pair.chain.read_bytes(), pair.key.read_bytes()):
            digest.update(sha256(part).digest())
    return digest.digest()


def _load(files: _Files, rules: _Rules) -> _Pair:
    """Raises OSError or ValueError where the pair can't be served, or its names can't be read."""
    context = rules.context()
    # An empty password makes an encrypted key an error; without one OpenSSL asks for it on the terminal.
    context.load_cert_chain(files.chain, files.key, password="")
    try:
        leaf = x509.load_pem_x509_certificates(files.chain.read_bytes())[0]
        return _Pair(context, _names(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc, end_point(leaf))
    except UNREADABLE as error:
        raise ValueError(f"the certificate can't be read: {error}") from error


def _may_pass(error: Exception) -> bool:
    """Whether a pair failed for what isn't in its files, such as a want of descriptors; those raise ssl.SSLError."""
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLError)


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common)
    return tuple(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))


def _arranged(shelf: _Shelf) -> _Shelf:
    """The same pairs by what has begun by now."""
    now = time()
    begun = {name: pair for name, pair in shelf.pairs.items() if pair.begins.timestamp() <= now}
    staged = [pair for name, pair in shelf.pairs.items() if name not in begun]
    until = min((pair.begins.timestamp() for pair in staged), default=inf)
    by_name = _by_name(begun.values())
    return replace(shelf, begun=begun or shelf.pairs, by_name=by_name, staged=_by_name(staged), until=until)


def _by_name(pairs: Iterable[_Pair]) -> dict[str, _Pair]:
    oldest_first = sorted(pairs, key=lambda pair: pair.expires)
    return {name: pair for pair in oldest_first for name in pair.names}


def _default(pairs: Mapping[str, _Pair]) -> _Pair:
    return pairs["default"] if "default" in pairs else pairs[min(pairs)]
