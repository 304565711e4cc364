"""What the image is made of: a Dockerfile without complaints, pinned wheels alone, and a bill of materials."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "deploy/image/build.lock"]


def program(name: str) -> str:
    """The program beside this Python, where the tests' dependencies are installed."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed for this machine")
    return str(path)


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([program("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    pinned = re.findall(r"^[\w.-]+==\S+.*((?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+)", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^\w", text, re.MULTILINE)) > 0


def test_the_context_holds_what_the_image_is_made_of_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[1] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert sorted(let_in) == ["README.md", "deploy/image/build.lock", "pyproject.toml", "requirements.lock", "service"]
    assert all((ROOT / path).exists() for path in let_in)


def test_the_bill_of_materials_names_every_package_with_its_hash(tmp_path: Path) -> None:
    bill = tmp_path / "poplar.cdx.json"
    command = [program("cyclonedx-py"), "requirements", "--pyproject", "pyproject.toml", "--output-reproducible"]
    subprocess.run(
        [*command, "--mc-type=application", "-o", str(bill), "requirements.lock"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    told = json.loads(bill.read_text("utf-8"))
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "poplar")
    pinned = set(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    assert {(each["name"], each["version"]) for each in told["components"]} == pinned
    assert all(each["externalReferences"][0]["hashes"] for each in told["components"])
