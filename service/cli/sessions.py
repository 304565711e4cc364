"""`poplar session`: who is logged in, and ending a session.

Owns what is printed. Refuses to know where live sessions are registered.
"""

import asyncio
from typing import Annotated

import typer

from service.cli.tenancy_output import print_rows

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

    print_rows(asyncio.run(live_sessions(load_settings())), COLUMNS, as_json)


@app.command("kick")
def kick(address: Address) -> None:
    """End the session that holds this maildrop; it removes nothing, and ends within the renewal of its lease."""
    from service.app.staff import evict
    from service.settings import load_settings

    settings = load_settings()
    held = asyncio.run(evict(settings, address))
    soon = f"the session of {address} ends within {settings.redis.renew_every:g} seconds"
    typer.echo(soon if held else f"nobody holds {address}")
