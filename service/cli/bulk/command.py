"""`poplar maildrop import-csv`: what is typed and what is shown.

Owns the bar on standard error, quiet where that is no terminal, and the report. Exits with 1 if a line was bad.
Refuses to read the list itself.
"""

import asyncio
import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from service.cli.gathering import gathering

if TYPE_CHECKING:
    from service.mail.bulk import Entry, Told

SHOWN = 20
"""Bad lines that are told on standard error; the report has them all."""

Source = Annotated[
    Path, typer.Argument(metavar="FILE", help="The list; - for standard input. Its first line names columns.")
]


@dataclass(frozen=True, slots=True)
class ImportFlags:
    """How it is done."""

    update: Annotated[
        bool, typer.Option("--update", help="Change status and policy of maildrops that are there, and add aliases.")
    ] = False
    reset_passwords: Annotated[
        bool, typer.Option("--reset-passwords", help="Replace the passwords of maildrops that are there.")
    ] = False
    tenant: Annotated[str | None, typer.Option(metavar="TENANT", help="Only in this tenant's domains.")] = None
    label: Annotated[str, typer.Option(help="What the credentials are called.")] = "main"
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write bad lines there, as CSV.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False


@gathering
def import_csv(file: Source, flags: ImportFlags) -> None:
    """Create the maildrops of a list; running it again creates only what is missing.

    Columns: address; password or verifier; status; aliases, with spaces between; and policy values by name.
    A verifier costs nothing, a password some 30 ms of a core.
    """
    with ExitStack() as files:
        source = files.enter_context(file.open("rb")) if file != Path("-") else sys.stdin.buffer
        report = files.enter_context(flags.report.open("w", encoding="utf-8", newline="")) if flags.report else None
        tally = Tally(csv.writer(report).writerow if report else lambda _: None)
        tally.write(("line", "address", "why"))
        try:
            asyncio.run(_Run(flags, tally).through(source, _octets(file)))
        finally:
            tally.conclude(flags.as_json)
    sys.exit(1 if tally.bad else 0)


def _octets(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


@dataclass
class Tally:
    """What became of the lines."""

    write: Callable[[Sequence[object]], object]
    counts: Counter[str] = field(default_factory=Counter)
    bad: int = 0

    def add(self, told: "Told") -> None:
        """Count one line, and tell of a bad one."""
        from service.mail.batches import Outcome

        entry, outcome = told
        if isinstance(outcome, Outcome):
            self.counts[outcome.value] += 1
            return
        self.bad += 1
        why = outcome.cause or outcome.reason.value
        self.write((entry.line, entry.text, why))
        if self.bad <= SHOWN:
            typer.echo(f"poplar: line {entry.line}: {_named(entry)}{why}", err=True)

    def conclude(self, as_json: bool) -> None:
        """Say how many there were."""
        if self.bad > SHOWN:
            typer.echo(f"poplar: and {self.bad - SHOWN} more bad lines; --report lists them all", err=True)
        counts = {name: self.counts[name] for name in ("created", "updated", "kept")} | {"bad": self.bad}
        if as_json:
            typer.echo(json.dumps(counts))
        else:
            typer.echo("{created} created, {updated} updated, {kept} there already, {bad} bad lines".format(**counts))


def _named(entry: "Entry") -> str:
    return f"{entry.text}: " if entry.text else ""


@dataclass(frozen=True, slots=True)
class _Run:
    flags: ImportFlags
    tally: Tally

    async def through(self, source: BinaryIO, octets: int | None) -> None:
        from rich.console import Console
        from rich.progress import Progress

        from service.app.bulk import bulk_import
        from service.cli.bulk.lists import Reading
        from service.cli.tenancy_running import actor
        from service.mail.batches import Manner
        from service.settings import load_settings

        console, manner = Console(stderr=True), Manner(self.flags.update, self.flags.reset_passwords)
        async with bulk_import(load_settings(), actor(), manner, self.flags.tenant) as bulk:
            entries = Reading(bulk.passwords.adopted, self.flags.label).entries(source)
            with Progress(console=console, disable=not console.is_terminal) as progress:
                bar = progress.add_task("Importing", total=octets)
                async for batch in bulk.run(entries):
                    for told in sorted(batch, key=lambda each: each[0].line):
                        self.tally.add(told)
                    progress.advance(bar, sum(entry.octets for entry, _ in batch))
                # The line of the columns and empty ones are no entries.
                progress.update(bar, total=1, completed=1)
