"""What counts byte codes counts them, each function's own, between two signals and at no other time."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.load import codes_counted

PROGRAM = f"""
import os

def measured(number):
    return number + 1

def between():
    for number in range(100):
        measured(number)

measured(0)
os.kill(os.getpid(), {codes_counted.TOLD})
between()
os.kill(os.getpid(), {codes_counted.TOLD})
measured(0)
"""


def test_each_function_has_its_byte_codes_and_calls(tmp_path: Path) -> None:
    (tmp_path / "measured_program.py").write_text(PROGRAM)
    out = tmp_path / "codes"
    command = [sys.executable, codes_counted.__file__, str(out), sys.executable, "-m", "measured_program"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(tmp_path)}, timeout=60)
    found = {name: (number, calls) for _, _, name, number, calls in json.loads(out.read_text())}
    number, calls = found["measured"]
    assert calls == 100
    # A number is loaded, another is, both are added, and that is returned: CPython's version says in how many codes.
    assert 300 <= number <= 700
    assert found["between"][1] == 1
