"""Argon2id verifiers (RFC 9106) through libsodium.

Owns the cost, the equal cost of every refusal (G13) and the bounded queue: a login storm is refused as
overload, never answered late without end. Refuses to know whose password it is, and to hash one of more than
255 octets (RFC 4616 §2 asks for no more).
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from service.model.refusal import Reason, Refusal
from service.stores.observing import Calls, Observer, Unobserved

MAX_PASSWORD_OCTETS = 255
MAX_MEMORY_KIB = 1 << 18
MAX_PASSES = 16
_VERIFIER = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=\d{1,3}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{16,86}"
)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a new verifier costs to compute. OWASP's advice for Argon2id: 19 MiB, two passes, one lane."""

    memory_kib: int = 19456
    passes: int = 2


class Argon2Hashes:
    """Implements `mail.ports.PasswordHashes` on `threads` threads, with at most `queue` more callers waiting."""

    def __init__(
        self,
        cost: Cost | None = None,
        *,
        threads: int | None = None,
        queue: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._cost = cost or Cost()
        workers = threads or os.cpu_count() or 1
        # At some 30 ms each, the last in the queue waits about a second.
        waiting = queue if queue is not None else 32 * workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._room = threading.BoundedSemaphore(workers + waiting)
        self._calls = Calls("passwords", observer or Unobserved(), lambda _: "protocol")
        self._nobodys = self._new(os.urandom(32))

    async def verify(self, verifier: str | None, password: str) -> bool:
        """Whether `password` matches. Costs the same for None, for what is no verifier and for any password.

        Raises Refusal(OVERLOADED) when the queue is full.
        """
        secret = password.encode("utf-8", "surrogatepass")
        possible = verifier is not None and is_verifier(verifier) and len(secret) <= MAX_PASSWORD_OCTETS
        against = verifier.encode() if possible and verifier is not None else self._nobodys
        with self._calls.observed():
            # What can't match is still computed, on an empty password, so that time tells nothing (G13).
            matches = await self._run(lambda: _matches(against, secret if possible else b""))
        return possible and matches

    async def hash(self, password: str) -> str:
        """A new verifier. Raises Refusal: INVALID for more than 255 octets, OVERLOADED when the queue is full."""
        secret = password.encode("utf-8", "surrogatepass")
        if len(secret) > MAX_PASSWORD_OCTETS:
            raise Refusal(Reason.INVALID, f"a password has at most {MAX_PASSWORD_OCTETS} octets")
        with self._calls.observed():
            return (await self._run(lambda: self._new(secret))).decode("ascii")

    def close(self) -> None:
        """Let running computations end and start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _new(self, secret: bytes) -> bytes:
        return argon2id.str(secret, opslimit=self._cost.passes, memlimit=self._cost.memory_kib * 1024)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if not self._room.acquire(blocking=False):
            raise Refusal(Reason.OVERLOADED, "passwords: queue full")
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            self._room.release()
            raise
        # A caller that gave up leaves its place only when the thread is done with it, or never began.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: "Future[Result]") -> None:
        self._room.release()


def is_verifier(text: str) -> bool:
    """Whether `text` is an Argon2id verifier at a cost that this service will pay."""
    found = _VERIFIER.fullmatch(text)
    return bool(found) and int(found[1]) <= MAX_MEMORY_KIB and 1 <= int(found[2]) <= MAX_PASSES if found else False


def _matches(verifier: bytes, secret: bytes) -> bool:
    try:
        return bool(argon2id.verify(verifier, secret))
    except (CryptoError, ValueError):
        # CryptoError is also PyNaCl's word for a wrong password.
        return False
