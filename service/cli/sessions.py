"""`poplar session`: who is logged in, and ending a session.

Owns what is printed. Refuses to know where live sessions are registered.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.tenancy_options import AddressName, AsJson, OfTenant
from service.cli.tenancy_output import print_rows, tell
from service.cli.tenancy_running import actor
from service.mail.naming import maildrop_address

if TYPE_CHECKING:
    from service.mail.ports import Holder

OfAddress = Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="Only this maildrop's.")]
COLUMNS = ("address", "tenant", "client", "mechanism", "since", "process", "session_id")

app = typer.Typer(help="Live sessions.", no_args_is_help=True)


def mount(root: typer.Typer) -> None:
    """Add the group to `root`."""
    root.add_typer(app, name="session")


@app.command("list")
def list_sessions(tenant: OfTenant = None, address: OfAddress = None, as_json: AsJson = False) -> None:
    """Show who holds which maildrop."""
    from service.app.staff import live_sessions
    from service.settings import load_settings

    of = None if address is None else maildrop_address(address).base
    holders = asyncio.run(live_sessions(load_settings()))
    print_rows(_those(holders, tenant, of), COLUMNS, as_json)


def _those(holders: "Sequence[Holder]", tenant: str | None, address: str | None) -> "list[Holder]":
    return [each for each in holders if tenant in (None, each.tenant) and address in (None, each.address)]


@app.command("kick")
def kick(address: AddressName, as_json: AsJson = False) -> None:
    """End the session that holds this maildrop; it removes nothing, and ends within the renewal of its lease.

    Where nobody holds it, a session is ended that stayed in a maildrop of this address when that was removed.
    """
    from service.app.staff import evict
    from service.settings import load_settings

    settings = load_settings()
    asyncio.run(evict(settings, actor(), address))
    seconds = settings.redis.renew_every
    facts = {"address": address, "ends_within_seconds": seconds}
    tell(f"the session of {address} ends within {seconds:g} seconds", as_json, facts)
