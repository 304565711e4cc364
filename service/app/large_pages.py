"""The interpreter's code, copied to large pages of memory and put in its own place.

Owns the copying and what must hold before it. A session passes through more of CPython's code than the processor's
tables of pages hold: with 512 of them in one, a poll takes some 5 % less of its time (`deploy/decisions/speed.md`).
Refuses to know settings. Linux alone; the kernel's own way for code in files is left out of most of its builds, so this
is what Chrome OS, Node.js (`--use-largepages`) and PHP (`opcache.huge_code_pages`) do.
"""

import ctypes
import os
import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

KERNELS = Path("/sys/kernel/mm/transparent_hugepage")
MAPS = Path("/proc/self/maps")
SMAPS = Path("/proc/self/smaps")
_ADDRESSES = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ")

_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE, _ANONYMOUS = 0x02, 0x20
_MAY_MOVE, _FIXED = 1, 2
_LARGE = 14
"""What mmap, mremap and madvise call these (mman.h)."""


class LargePagesError(Exception):
    """The code stays where it was; says why."""


class Mapping(NamedTuple):
    """A part of this process's memory: addresses, what may be done there, and which part of a file it shows."""

    start: int
    end: int
    permissions: str
    offset: int
    path: str


def use_large_pages() -> int:
    """Put the interpreter's code on large pages; how many octets are on such. Raises LargePagesError.

    Each page becomes the process's own, so this costs their memory. What is copied with the code, as it lies within the
    same large pages, may be executed from then on. Programs that look for code by its file find none there.
    """
    try:
        size, maps = _size(KERNELS), MAPS.read_text("utf-8", "surrogateescape")
        mappings = _of_code(_mappings(maps), _address())
    except (OSError, ValueError) as error:
        raise LargePagesError("the kernel doesn't say where the code is, or has no large pages") from error
    start, end = _whole(mappings, size)
    for mapping in mappings:
        if "x" in mapping.permissions:
            _unchanged(mapping)
    return _replace(start, end - start, size)


def _size(kernels: Path) -> int:
    """Octets of a large page."""
    if "[never]" in (kernels / "enabled").read_text("ascii"):
        raise LargePagesError("the kernel's transparent_hugepage/enabled is never")
    return int((kernels / "hpage_pmd_size").read_text("ascii"))


def _address() -> int:
    """Some address within the code."""
    return ctypes.cast(ctypes.pythonapi.PyEval_EvalCode, ctypes.c_void_p).value or 0


def _mappings(maps: str) -> list[Mapping]:
    """What /proc/self/maps says, in order of addresses (proc_pid_maps(5))."""
    found = []
    for line in filter(None, maps.split("\n")):
        addresses, permissions, offset, _device, _inode, *path = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        found.append(Mapping(start, end, permissions, int(offset, 16), path[0] if path else ""))
    return found


def _of_code(mappings: Sequence[Mapping], address: int) -> list[Mapping]:
    """The one at `address`, and those of the same file that join it on either side and are never written to."""
    at = next((place for place, each in enumerate(mappings) if each.start <= address < each.end), None)
    if at is None or not mappings[at].path.startswith("/") or mappings[at].permissions != "r-xp":
        raise LargePagesError("the code isn't where it was loaded")

    def joins(pair: tuple[Mapping, Mapping]) -> bool:
        low, high = sorted(pair)
        return low.end == high.start and low.path == high.path and pair[1].permissions in {"r--p", "r-xp"}

    below = [pair[1] for pair in takewhile(joins, pairwise(mappings[at::-1]))]
    above = [pair[1] for pair in takewhile(joins, pairwise(mappings[at:]))]
    return [*reversed(below), mappings[at], *above]


def _whole(mappings: Sequence[Mapping], size: int) -> tuple[int, int]:
    """The large pages that lie wholly within these, if half of the code does, too."""
    start, end = -(-mappings[0].start // size) * size, mappings[-1].end // size * size
    code = [each for each in mappings if "x" in each.permissions]
    within = sum(max(0, min(each.end, end) - max(each.start, start)) for each in code)
    if 2 * within < sum(each.end - each.start for each in code):
        raise LargePagesError("most of the code lies in no whole large page")
    return start, end


def _unchanged(mapping: Mapping) -> None:
    """A probe or a debugger writes its own instructions into code, which would end the process anywhere else."""
    length = mapping.end - mapping.start
    try:
        with Path(mapping.path).open("rb") as file:
            written = os.pread(file.fileno(), length, mapping.offset)
    except OSError as error:
        raise LargePagesError("the code's file is gone") from error
    if ctypes.string_at(mapping.start, len(written)) != written:
        raise LargePagesError("the code isn't as in its file: a debugger or a probe is at work, or the file is another")


def _replace(start: int, length: int, size: int) -> int:
    """Have what is at `start` be a copy of itself on pages of `size`, in one step, as all threads execute it.

    How many octets of the copy are on such pages: all, or some where memory is in pieces.
    """
    system = _system()
    copy = _aligned(system, length, size)
    try:
        if system.madvise(copy, length, _LARGE):
            raise _failed("madvise")
        ctypes.memmove(copy, start, length)
        large = _given(_on_large_pages(copy, SMAPS.read_text("utf-8", "surrogateescape")))
        # Never to be written and executed at once; where not even this is allowed (SELinux' execmem), nothing is.
        if system.mprotect(copy, length, _READ | _EXECUTE):
            raise _failed("mprotect")
        if system.mremap(copy, length, length, _MAY_MOVE | _FIXED, start) != start:
            raise _failed("mremap")
    except (LargePagesError, OSError):
        system.munmap(copy, length)
        raise
    return large


def _given(octets: int) -> int:
    if not octets:
        raise LargePagesError("the kernel gave no large page")
    return octets


def _on_large_pages(start: int, smaps: str) -> int:
    """How many octets of the mapping that holds `start` are (proc_pid_smaps(5))."""
    within = False
    for line in smaps.split("\n"):
        if found := _ADDRESSES.match(line):
            within = int(found[1], 16) <= start < int(found[2], 16)
        elif within and line.startswith("AnonHugePages:"):
            return int(line.split()[1]) * 1024
    return 0


def _aligned(system: ctypes.CDLL, length: int, size: int) -> int:
    """Where so much memory of this process's own begins, at a multiple of `size`."""
    taken: int | None = system.mmap(None, length + size, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    if taken is None or taken == ctypes.c_void_p(-1).value:
        raise _failed("mmap")
    begin = -(-taken // size) * size
    # What lies outside goes now: once the copy was moved, another thread's memory might be there.
    if begin > taken:
        system.munmap(taken, begin - taken)
    system.munmap(begin + length, taken + size - begin)
    return begin


def _failed(call: str) -> LargePagesError:
    return LargePagesError(f"{call}: {os.strerror(ctypes.get_errno())}")


def _system() -> ctypes.CDLL:
    """The C library, which isn't what is moved."""
    system = ctypes.CDLL(None, use_errno=True)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    system.mmap.restype, system.mmap.argtypes = pointer, (pointer, size, number, number, number, ctypes.c_long)
    system.mremap.restype, system.mremap.argtypes = pointer, (pointer, size, size, number, pointer)
    for call in (system.madvise, system.mprotect):
        call.argtypes = (pointer, size, number)
    system.munmap.argtypes = (pointer, size)
    return system
