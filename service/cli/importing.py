"""`poplar import`: an mbox file or a Maildir into a maildrop, with a progress bar.

Owns what is shown. Refuses to read archives itself.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.mail.archives import Archive
    from service.mail.importing import Imported
    from service.model.refusal import Refusal

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The maildrop's address.")]
Source = Annotated[Path, typer.Argument(metavar="PATH", help="An mbox file, or a Maildir.")]
Uidl = Annotated[
    str,
    typer.Option("--uidl", metavar="FORMAT", help="What `doveconf pop3_uidl_format` says at the earlier server."),
]
Unlisted = Annotated[
    bool, typer.Option("--unlisted", help="Take also what Dovecot has given no UIDL yet, with one of Poplar's own.")
]


def mount(root: typer.Typer) -> None:
    """Add the command to `root`."""
    root.command("import")(import_)


def import_(address: Address, path: Source, uidl: Uidl = "%08Xu%08Xv", unlisted: Unlisted = False) -> None:
    """Add the messages of an mbox file or a Maildir to a maildrop; running it again adds only what is missing.

    A message keeps the UIDL that clients know it by, so that they don't download it again, where dovecot-uidlist or an
    mbox's X-UID headers have its number and --uidl says how Dovecot made a UIDL of it, or where an mbox without these
    has an X-UIDL. The last line says how many did.

    What was removed since is known for as long as the sweep keeps its rows (sweep.removed_retention_days): a later run
    brings it back.
    """
    from service.mail.importing import open_archive

    tally = _imported(address, open_archive(path, uidl, unlisted=unlisted))
    stored = f"{tally['stored']} imported, {tally['kept']} of them with the earlier server's UIDL"
    typer.echo(f"{stored}, {tally['known']} known already, {tally['refused']} refused")
    sys.exit(1 if tally["refused"] else 0)


def _imported(address: str, archive: "Archive") -> Counter[str]:
    from rich.console import Console
    from rich.progress import Progress

    from service.app.importing import import_archive
    from service.settings import load_settings

    tally: Counter[str] = Counter()
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Importing", total=archive.octets)

        def tell(imported: "Imported") -> None:
            tally[_outcome(imported)] += 1
            tally["kept"] += imported.kept
            progress.advance(bar, imported.octets)

        asyncio.run(import_archive(load_settings(), address, archive, tell))
    return tally


def _outcome(imported: "Imported") -> str:
    if imported.refusal is not None:
        typer.echo(f"poplar: {imported.name}: {_why(imported.refusal)}", err=True)
        return "refused"
    return "known" if imported.known else "stored"


def _why(refusal: "Refusal") -> str:
    """The reason in words; the cause alone may be no more than an id."""
    words = refusal.reason.value.replace("_", " ")
    return f"{words}: {refusal.cause}" if refusal.cause else words
