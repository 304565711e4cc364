"""What SIGTERM and SIGINT mean: the first asks for an orderly end, the second ends at once.

SIGHUP, a terminal's end, asks for the orderly one however often it comes. SIGUSR1 asks where each thread stands; the
answer goes to standard error. Owns the process's signals. Refuses to know what has to be ended.
"""

import asyncio
import faulthandler
import os
import signal
import sys


class Stop:
    """Set once this process should end, whoever asked for it."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    @classmethod
    def on_signals(cls) -> "Stop":
        """One that SIGTERM, SIGINT and SIGHUP set, for the running event loop."""
        stop = cls()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop._signalled, number)
        # Under nohup it stays ignored. The shell and the kernel may each send one for the same end of a terminal.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, stop.set)
        # Written by the handler itself, so that a process tells it whose event loop hangs: places in code, no values.
        faulthandler.register(signal.SIGUSR1, sys.__stderr__ or sys.stderr)
        return stop

    def set(self) -> None:
        """Ask for an orderly end."""
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._asked.is_set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Return once the end is asked for, or after `seconds`; whether it was asked for."""
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return False
        return True

    def _signalled(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            # Leases that are left behind expire by themselves (G6); nothing is removed without a QUIT (G2).
            os._exit(128 + number)
        self._asked.set()
