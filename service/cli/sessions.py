"""`poplar session`: who is logged in, and ending a session.

Owns what is printed. Refuses to know where live sessions are registered.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.mail.ports import Holder

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The maildrop's address.")]
COLUMNS = ("address", "tenant", "client", "mechanism", "since", "process", "session_id")

app = typer.Typer(help="Live sessions.", no_args_is_help=True)


def mount(root: typer.Typer) -> None:
    """Add the group to `root`."""
    root.add_typer(app, name="session")


@app.command("list")
def list_sessions(as_json: AsJson = False) -> None:
    """Show who holds which maildrop."""
    from service.app.staff import live_sessions
    from service.settings import load_settings

    holders = asyncio.run(live_sessions(load_settings()))
    if as_json:
        typer.echo(json.dumps([asdict(holder) for holder in holders], default=str, indent=2))
    else:
        _print(holders)


def _print(holders: "Sequence[Holder]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*(column.replace("_", " ") for column in COLUMNS), box=None, pad_edge=False)
    for holder in holders:
        cells = (getattr(holder, column) for column in COLUMNS if column != "since")
        address, tenant, client, mechanism, process, session_id = map(str, cells)
        table.add_row(address, tenant, client, mechanism, f"{holder.since:%Y-%m-%d %H:%M:%SZ}", process, session_id)
    console = Console(highlight=False)
    console.print(table, soft_wrap=not console.is_terminal, markup=False)


@app.command("kick")
def kick(address: Address) -> None:
    """End the session that holds this maildrop; it removes nothing, and ends within the renewal of its lease."""
    from service.app.staff import evict
    from service.settings import load_settings

    held = asyncio.run(evict(load_settings(), address))
    typer.echo(f"the session of {address} ends within seconds" if held else f"nobody holds {address}")
