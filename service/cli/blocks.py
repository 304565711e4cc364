"""`poplar block`: who is held back for wrong passwords, and lifting it.

Owns what is printed. Refuses to know what is counted and where.
"""

import asyncio
from typing import Annotated

import typer

from service.cli.tenancy_options import AsJson
from service.cli.tenancy_output import print_rows, tell
from service.cli.tenancy_running import actor

Whom = Annotated[
    str, typer.Argument(metavar="WHOM", help="An address or network (CIDR), a maildrop's address, or a tenant's name.")
]
COLUMNS = ("by", "whom", "state", "wrong_passwords", "lifts_in")

app = typer.Typer(help="Logins held back for wrong passwords.", no_args_is_help=True)


def mount(root: typer.Typer) -> None:
    """Add the group to `root`."""
    root.add_typer(app, name="block")


@app.command("list")
def list_blocks(as_json: AsJson = False) -> None:
    """Show whose logins are delayed, refused or closed, and in how many seconds that ends."""
    from service.app.guarding import blocks
    from service.settings import load_settings

    print_rows(asyncio.run(blocks(load_settings())), COLUMNS, as_json)


@app.command("clear")
def clear_block(whom: Whom, as_json: AsJson = False) -> None:
    """Forget the wrong passwords of WHOM, so that logins are looked at again."""
    from service.app.guarding import clear_block as clear
    from service.settings import load_settings

    count = asyncio.run(clear(load_settings(), actor(), whom))
    tell(f"forgot the wrong passwords of {whom} ({count} counts)", as_json, {"whom": whom, "forgotten": count})
