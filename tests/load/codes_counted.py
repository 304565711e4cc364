"""A program of ours with its byte codes counted by function, between two signals.

    python tests/load/codes_counted.py FILE python -m service serve ...

Owns the counting, by Python's own tracing of byte codes; FILE gets it as JSON: file, line, name, byte codes, calls.
Refuses to know what the program does. Each further step of a coroutine is a call, too.
"""

import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

TOLD = signal.SIGRTMIN + 3
"""Begins to count, and ends it."""


class Counting:
    """Counts while it is on."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._on = False
        self._codes: Counter[CodeType] = Counter()
        self._calls: Counter[CodeType] = Counter()

    def told(self, _signal: int, _frame: FrameType | None) -> None:
        """Begin, or end and write."""
        self._on = not self._on
        sys.settrace(self._called if self._on else None)
        if not self._on:
            counted = [
                (code.co_filename, code.co_firstlineno, code.co_qualname, number, self._calls[code])
                for code, number in self._codes.most_common()
            ]
            partial = self._out.with_suffix(".partial")
            partial.write_text(json.dumps(counted), "utf-8")
            partial.rename(self._out)

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._calls[frame.f_code] += 1
        return self._executed

    def _executed(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            self._codes[frame.f_code] += 1
        return self._executed


def main(out: str, _python: str, _option: str, module: str, *arguments: str) -> None:
    """Run the module as `python -m` would."""
    signal.signal(TOLD, Counting(Path(out)).told)
    sys.argv = [module, *arguments]
    sys.path[0] = ""
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
