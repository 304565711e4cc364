"""The interpreter's code on large pages: all goes on as before, and where it can't be had nothing is touched."""

import ctypes
import mmap
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.app.large_pages import (
    LargePagesError,
    Mapping,
    _mappings,
    _of_code,
    _on_large_pages,
    _size,
    _unchanged,
    _whole,
)

STATIC = """\
00400000-00421000 r--p 00000000 fe:00 10168427                           /usr/bin/python3.11
00421000-006cf000 r-xp 00021000 fe:00 10168427                           /usr/bin/python3.11
006cf000-00940000 r--p 002cf000 fe:00 10168427                           /usr/bin/python3.11
00941000-00a7f000 rw-p 00540000 fe:00 10168427                           /usr/bin/python3.11
00a7f000-00ac4000 rw-p 00000000 00:00 0
7ffe4b5c1000-7ffe4b5e2000 rw-p 00000000 00:00 0                          [stack]
"""
SHARED = """\
7fbfbd7ff000-7fbfbd800000 r--p 00000000 fe:00 77                         /lib/with a space/libm.so.6
7fbfbd800000-7fbfbd85f000 r--p 00000000 fe:00 9219                       /usr/local/lib/libpython3.13.so.1.0
7fbfbd85f000-7fbfbda7e000 r-xp 0005f000 fe:00 9219                       /usr/local/lib/libpython3.13.so.1.0
7fbfbda7e000-7fbfbdb6f000 r--p 0027e000 fe:00 9219                       /usr/local/lib/libpython3.13.so.1.0
7fbfbdb6f000-7fbfbdb74000 r--p 0036e000 fe:00 9219                       /usr/local/lib/libpython3.13.so.1.0
7fbfbdb74000-7fbfbdba9000 rw-p 00373000 fe:00 9219                       /usr/local/lib/libpython3.13.so.1.0
"""
MOVED = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
from service.app.large_pages import LargePagesError, MAPS, _address, _mappings, use_large_pages

stop, rounds = threading.Event(), []

def work():
    done = 0
    while not stop.is_set():
        try:
            raise KeyError(sum(number * number for number in range(100)))
        except KeyError as error:
            done += error.args == (328350,)
    return done

with ThreadPoolExecutor(4) as pool:
    working = [pool.submit(work) for _ in range(4)]
    time.sleep(0.05)
    try:
        octets = use_large_pages()
        there = next(each for each in _mappings(MAPS.read_text()) if each.start <= _address() < each.end)
        print("moved", octets, there.permissions, repr(there.path), flush=True)
    except LargePagesError as error:
        print("stayed:", error, flush=True)
    time.sleep(0.05)
    stop.set()
    assert all(each.result() for each in working)
try:
    use_large_pages()
except LargePagesError as error:
    print("again:", error)
"""


def test_code_goes_on_from_its_copy_while_threads_execute_it() -> None:
    told = subprocess.run([sys.executable, "-c", MOVED], capture_output=True, text=True, check=True).stdout
    if told.startswith("stayed: the kernel"):
        # A machine whose memory is in pieces, or that wants no large pages.
        assert "gave no large page" in told or "is never" in told
        return
    octets = re.search(r"^moved (\d+) r-xp ''$", told, re.MULTILINE)
    assert octets, told
    assert int(octets[1]) >= 2 * 1024 * 1024
    assert "again: the code isn't where it was loaded" in told


@pytest.mark.parametrize(
    ("maps", "address", "start", "end"),
    [(STATIC, 0x53A6C0, 0x400000, 0x940000), (SHARED, 0x7FBFBD900000, 0x7FBFBD800000, 0x7FBFBDB74000)],
)
def test_what_is_copied_is_code_and_what_joins_it_unwritten(maps: str, address: int, start: int, end: int) -> None:
    found = _of_code(_mappings(maps), address)
    assert (found[0].start, found[-1].end) == (start, end)
    assert len({each.path for each in found}) == 1
    assert all("w" not in each.permissions for each in found)


@pytest.mark.parametrize(
    ("maps", "start", "end"), [(STATIC, 0x400000, 0x800000), (SHARED, 0x7FBFBD800000, 0x7FBFBDA00000)]
)
def test_whole_large_pages_are_moved_that_hold_most_of_the_code(maps: str, start: int, end: int) -> None:
    code = next(each for each in _mappings(maps) if "x" in each.permissions)
    assert _whole(_of_code(_mappings(maps), code.start), 2**21) == (start, end)
    with pytest.raises(LargePagesError, match="most of the code"):
        _whole([code._replace(start=start + 4096, end=start + 2**21)], 2**21)


def test_what_stands_on_large_pages_is_what_the_kernel_says() -> None:
    smaps = (
        "00400000-00800000 r-xp 00000000 00:00 0\nRss: 4096 kB\nAnonHugePages:      2048 kB\nVmFlags: rd\n"
        "00800000-00900000 r--p 00000000 00:00 0 /a\vb\u2028c\nAnonHugePages:         0 kB\n"
    )
    assert [_on_large_pages(at, smaps) for at in (0x400000, 0x800000, 0x900000)] == [2 * 2**20, 0, 0]


def test_a_path_may_have_any_character_but_a_line_end() -> None:
    assert [each.path for each in _mappings("1000-2000 r-xp 0 0:0 1 /a\vb\u2028c d\n")] == ["/a\vb\u2028c d"]


def test_a_kernel_that_gives_no_large_page_is_named() -> None:
    """As one does whose memory is in pieces; here none is wanted (prctl(2), PR_SET_THP_DISABLE)."""
    program = (
        "import ctypes\nfrom service.app.large_pages import LargePagesError, use_large_pages\n"
        "assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0\n"
        "try:\n    use_large_pages()\nexcept LargePagesError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip() in {"the kernel gave no large page", "the kernel's transparent_hugepage/enabled is never"}


@pytest.mark.parametrize("address", [0x400100, 0xA80000, 0x1000], ids=["read only", "of no file", "nowhere"])
def test_what_isnt_code_of_a_file_stays(address: int) -> None:
    with pytest.raises(LargePagesError, match="isn't where it was loaded"):
        _of_code(_mappings(STATIC), address)


def test_code_that_somebody_changed_stays(tmp_path: Path) -> None:
    """A probe's instruction, copied to where the kernel knows of no probe, would end the process."""
    path = tmp_path / "code"
    path.write_bytes(bytes(range(256)) * 16)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as shown:
        begin = ctypes.addressof(ctypes.c_char.from_buffer(shown))
        mapping = Mapping(begin, begin + len(shown), "r-xp", 0, str(path))
        _unchanged(mapping)
        shown[1000] = 0xCC
        with pytest.raises(LargePagesError, match="a debugger or a probe"):
            _unchanged(mapping)
        path.unlink()
        with pytest.raises(LargePagesError, match="file is gone"):
            _unchanged(mapping)


def test_a_kernel_without_large_pages_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="enabled"):
        _size(tmp_path)
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    with pytest.raises(LargePagesError, match="is never"):
        _size(tmp_path)
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    (tmp_path / "hpage_pmd_size").write_text("2097152\n")
    assert _size(tmp_path) == 2_097_152
