"""Verifies passwords by any accepted scheme and hashes them by Argon2id, on threads of their own.

Owns the cost of every refusal (G13) and the bounded queue: a login storm is refused as overload, never answered late
without end. Refuses to know whose password it is, and to hash one of more than 255 octets (RFC 4616 §2 asks for no
more).
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from service.model.refusal import Reason, Refusal
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.passwords import argon2
from service.stores.passwords.matching import Matcher
from service.stores.passwords.verifiers import matcher
from service.stores.standing_back import stand_back

MAX_PASSWORD_OCTETS = 255

Result = TypeVar("Result")


class Argon2Hashes:
    """Implements `mail.ports.PasswordHashes` on `threads` threads, with at most `queue` more callers waiting."""

    def __init__(
        self,
        cost: argon2.Cost | None = None,
        *,
        threads: int,
        queue: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._cost = cost or argon2.Cost()
        # At some 30 ms each, the last in the queue waits about a second.
        waiting = queue if queue is not None else 32 * threads
        self._threads = ThreadPoolExecutor(threads, "argon2", initializer=stand_back)
        self._room = threading.BoundedSemaphore(threads + waiting)
        self._calls = Calls("passwords", observer or Unobserved(), lambda _: "protocol")
        self._nobodys = argon2.new_verifier(os.urandom(32), self._cost).encode("ascii")

    async def verify(self, verifier: str | None, password: str) -> bool:
        """Whether `password` matches. No refusal costs less than a wrong password does for a verifier of today.

        Raises Refusal(OVERLOADED) when the queue is full.
        """
        secret = password.encode("utf-8", "surrogatepass")
        possible = verifier if verifier and len(secret) <= MAX_PASSWORD_OCTETS else None
        with self._calls.observed("verify"):
            return await self._run(lambda: self._matches(possible, secret))

    async def hash(self, password: str) -> str:
        """A new verifier. Raises Refusal: INVALID for more than 255 octets, OVERLOADED when the queue is full."""
        secret = password.encode("utf-8", "surrogatepass")
        if len(secret) > MAX_PASSWORD_OCTETS:
            raise Refusal(Reason.INVALID, f"a password has at most {MAX_PASSWORD_OCTETS} octets")
        with self._calls.observed("hash"):
            return await self._run(lambda: argon2.new_verifier(secret, self._cost))

    def current(self, verifier: str) -> bool:
        """Whether it is Argon2id at today's cost: a dearer one is not, as its refusals would take longer (G13)."""
        return verifier.startswith(self._cost.form)

    def adopt(self, verifier: str) -> str:
        """The verifier of another system, without white space around it. Raises Refusal(INVALID) in plain words."""
        text = verifier.strip()
        try:
            matcher(text)
        except ValueError as error:
            raise Refusal(Reason.INVALID, str(error)) from error
        return text

    def close(self) -> None:
        """Let running computations end and start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, verifier: str | None, secret: bytes) -> bool:
        proves = _readable(verifier)
        if proves is not None and proves(secret):
            return True
        if proves is None or verifier is None or not self.current(verifier):
            # What can't match is still computed, on an empty password, so that time tells nothing (G13).
            argon2.matches(self._nobodys, b"")
        return False

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


def _readable(verifier: str | None) -> Matcher | None:
    try:
        return matcher(verifier) if verifier else None
    except ValueError:
        return None
