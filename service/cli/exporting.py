"""`poplar export`: a maildrop's messages into a Maildir, with a progress bar.

Owns what is shown. Refuses to write files itself.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.mail.exporting import Exported

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The maildrop's address.")]
Target = Annotated[Path, typer.Argument(metavar="PATH", help="A Maildir; it is made where it isn't there.")]


def mount(root: typer.Typer) -> None:
    """Add the command to `root`."""
    root.command("export")(export)


def export(address: Address, path: Target) -> None:
    """Write the messages of a maildrop into a Maildir; running it again adds only what is missing.

    Each message is verified first. Its dovecot-uidlist has the UIDLs that clients know, which Dovecot then serves, so
    that nothing is downloaded twice after a move. Nothing is removed, here or there, and no session ends. The audit
    says who exported which maildrop.
    """
    tally = _exported(address, path)
    typer.echo(f"{tally['written']} exported, {tally['known']} there already, {tally['refused']} refused")
    sys.exit(1 if tally["refused"] else 0)


def _exported(address: str, path: Path) -> Counter[str]:
    from rich.console import Console
    from rich.progress import Progress

    from service.app.exporting import export_maildrop
    from service.cli.tenancy_running import actor
    from service.settings import load_settings

    tally: Counter[str] = Counter()
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Exporting", total=None)

        def tell(exported: "Exported", messages: int) -> None:
            tally[_outcome(exported)] += 1
            progress.update(bar, advance=1, total=messages)

        asyncio.run(export_maildrop(load_settings(), actor(), address, path, tell))
    return tally


def _outcome(exported: "Exported") -> str:
    if exported.refusal is not None:
        typer.echo(f"poplar: {exported.unique_id}: {exported.refusal.cause}", err=True)
        return "refused"
    return "known" if exported.known else "written"
