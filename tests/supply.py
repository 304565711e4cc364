"""`make audit`: whether any pinned dependency has a known vulnerability, as pip-audit and the databases it asks say.

Owns the verdict. A vulnerability fails, by its id, unless `.ci/reviewed.yaml` names it with a reason and a day until
which that holds. What could not be asked is said in so many words and passes, since a network that is away says nothing
about a dependency: with AUDIT=strict it fails too. pip-audit alone would call that "No known vulnerabilities found".
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "service/embedded/requirements.lock", "deploy/image/build.lock")
REVIEWED = ROOT / ".ci" / "reviewed.yaml"
DATABASES = ("pypi", "osv")
SECONDS = 300


@dataclass(frozen=True)
class Exemption:
    """A vulnerability that was looked at and does no harm here."""

    id: str
    package: str
    reason: str
    until: date


@dataclass
class Report:
    """What the databases said of all packages together."""

    asked: set[str] = field(default_factory=set)
    """Packages of which at least one database knew."""
    unasked: dict[str, str] = field(default_factory=dict)
    """Packages of which none did, and why."""
    vulnerable: dict[tuple[str, str], str] = field(default_factory=dict)
    """What mends it, by id and package."""

    def add(self, told: Mapping[str, Any]) -> None:
        """Take what pip-audit said in JSON."""
        for each in told["dependencies"]:
            if "skip_reason" in each:
                self.unasked[each["name"]] = each["skip_reason"]
                continue
            self.asked.add(each["name"])
            for found in each["vulns"]:
                mended = ", ".join(found["fix_versions"]) or "nothing yet"
                self.vulnerable[found["id"], f"{each['name']} {each['version']}"] = mended

    @property
    def left(self) -> list[str]:
        """Packages that nobody was asked about, or nobody knew."""
        return sorted(self.unasked.keys() - self.asked)


def reviewed(path: Path = REVIEWED) -> list[Exemption]:
    """The exemptions. Raises KeyError or TypeError for one that isn't whole."""
    return [
        Exemption(each["id"], each["package"], each["reason"], each["until"])
        for each in yaml.safe_load(path.read_text("utf-8")) or []
    ]


def verdict(report: Report, exemptions: Iterable[Exemption], today: date, strict: bool) -> tuple[int, list[str]]:
    """The exit code, and what to print."""
    lines, code, by_key = [], 0, {(each.id, each.package): each for each in exemptions}
    for (name, package), mended in sorted(report.vulnerable.items()):
        exemption = by_key.get((name, package.partition(" ")[0]))
        if exemption is not None and today <= exemption.until:
            lines.append(f"reviewed: {name} in {package}, until {exemption.until}: {exemption.reason}")
            continue
        over = f"; its review ended on {exemption.until}" if exemption is not None else ""
        lines.append(f"VULNERABLE: {name} in {package}, mended by {mended}{over}")
        code = 1
    if report.left:
        why = report.unasked[report.left[0]]
        lines.append(f"NOT ASKED about {len(report.left)} packages, so nothing is known of them. The first: {why}")
        code = code or int(strict)
    lines.append(f"{len(report.asked)} packages asked about, {len(report.vulnerable)} vulnerabilities found.")
    return code, lines


def asked(program: str, lock: Path, database: str) -> Mapping[str, Any] | str:
    """What pip-audit says of a lock; why not, where it says nothing."""
    options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    command = [program, "-s", database, *options, "-r", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        told: Mapping[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    except ValueError:
        return (done.stderr.strip().splitlines() or ["no answer"])[-1][:300]
    return told


def audited(program: str, locks: Sequence[Path]) -> Report:
    """What all databases say of all locks; the second is asked where the first didn't know everything."""
    report = Report()
    for lock in locks:
        for database in DATABASES:
            told = asked(program, lock, database)
            if isinstance(told, str):
                report.unasked |= dict.fromkeys(_names(lock), f"{database}: {told}")
            else:
                report.add(told)
            if not report.left:
                break
    return report


def _names(lock: Path) -> list[str]:
    lines = lock.read_text("utf-8").splitlines()
    return [line.partition("==")[0].strip() for line in lines if line[:1].isalnum() and "==" in line]


def main() -> None:
    program = sys.argv[1] if len(sys.argv) > 1 else "pip-audit"
    report = audited(program, [ROOT / lock for lock in LOCKS])
    code, lines = verdict(report, reviewed(), datetime.now(UTC).date(), os.environ.get("AUDIT") == "strict")
    print("\n".join(lines))  # noqa: T201 - what it is called for
    sys.exit(code)


if __name__ == "__main__":
    main()
