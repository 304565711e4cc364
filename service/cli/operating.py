"""`poplar migrate`, `doctor`, `settings` and `version`: looking after an installation.

Owns what they print. Refuses to know how anything is found out.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.app.doctor import Finding
    from service.settings import Explained

Explain = Annotated[bool, typer.Option("--explain", help="Print every setting, its meaning and where it comes from.")]
MARKS = {"good": "ok  ", "doubtful": "warn", "wrong": "FAIL"}


def mount(root: typer.Typer) -> None:
    """Add the commands to `root`."""
    root.command("migrate")(migrate)
    root.command("doctor")(doctor)
    root.command("settings")(settings)
    root.command("version")(version)


def migrate() -> None:
    """Bring the database up to this release. Safe to run twice, and from two places at once."""
    from service.app.migrating import migrate as apply
    from service.settings import load_settings

    applied = asyncio.run(apply(load_settings(), lambda sentence: typer.echo(f"note: {sentence}", err=True)))
    typer.echo("\n".join(f"applied {version}" for version in applied) or "nothing to do")


def doctor() -> None:
    """Check every dependency, and say what is wrong and what to do; exits with 1 if anything is."""
    from service.app.doctor import examine
    from service.settings import load_settings

    findings = asyncio.run(examine(load_settings()))
    for finding in findings:
        typer.echo("\n".join(_told(finding)))
    wrong, doubtful = (sum(finding.state == state for finding in findings) for state in ("wrong", "doubtful"))
    sentence = f"{wrong} of {len(findings)} checks failed" if wrong else f"all {len(findings)} checks passed"
    typer.echo(sentence + (f", {doubtful} with a warning" if doubtful else ""))
    sys.exit(1 if wrong else 0)


def _told(finding: "Finding") -> Iterator[str]:
    yield f"{MARKS[finding.state]}  {finding.subject}: {finding.text}"
    if finding.advice:
        yield f"      {finding.advice}"


def settings(explain: Explain = False) -> None:
    """Check the settings; with --explain, print them all, secrets masked."""
    from service.settings import explain as explained
    from service.settings import load

    sources = load()
    if not explain:
        typer.echo(f"the settings are good{f' ({sources.path})' if sources.path else ''}")
        return
    for row in explained(sources):
        typer.echo("\n".join(_explained(row)))


def _explained(row: "Explained") -> Iterator[str]:
    yield f"{row.key} = {row.value or '(unset)'}"
    yield f"    {row.meaning}"
    yield f"    from {row.origin}; default {row.default or '(unset)'}; {row.variable}"


def version() -> None:
    """Print which Poplar this is."""
    from service.telemetry.build import VERSION

    typer.echo(f"poplar {VERSION}")
