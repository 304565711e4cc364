"""`poplar alias`: create, list, show, point, remove.

Owns the verbs' words. Refuses to know rules: they are `mail/provisioning.py`'s.
"""

from typing import Annotated

import typer

from service.cli.sessions import OfAddress
from service.cli.tenancy_options import AddressName, AsJson, OfTenant
from service.cli.tenancy_output import print_one, print_rows, tell
from service.cli.tenancy_running import only, perform, perform_and_look, throughout
from service.mail.naming import maildrop_address

COLUMNS = ("alias", "address", "tenant")

AliasName = Annotated[str, typer.Argument(metavar="ALIAS", help="The other address.")]

app = typer.Typer(help="Aliases: other addresses of maildrops.", no_args_is_help=True)


@app.command()
def create(name: AliasName, address: AddressName, as_json: AsJson = False) -> None:
    """Deliver mail for another address into a maildrop of the same tenant."""
    print_one(perform(lambda desk: desk.aliases.create(name, address)), as_json)


@app.command("list")
def list_(tenant: OfTenant = None, address: OfAddress = None, as_json: AsJson = False) -> None:
    """List the aliases, of one maildrop, of one tenant or of all."""
    target = None if address is None else maildrop_address(address).base
    every = perform(
        lambda desk: only(throughout(desk, tenant, desk.aliases.every), lambda view: target in (None, view.address))
    )
    print_rows(every, COLUMNS, as_json)


@app.command()
def show(name: AliasName, as_json: AsJson = False) -> None:
    """Show where an alias leads."""
    print_one(perform(lambda desk: desk.aliases.show(name)), as_json)


@app.command()
def point(name: AliasName, address: AddressName, as_json: AsJson = False) -> None:
    """Have an alias lead to another maildrop; mail under way finds the one or the other."""
    view = perform_and_look(lambda desk: desk.aliases.point(name, address), lambda desk: desk.aliases.show(name))
    tell(f"Mail for {view.alias} goes to {view.address}.", as_json, view)


@app.command()
def remove(name: AliasName, as_json: AsJson = False) -> None:
    """Remove an alias; mail for it is refused from now on."""
    perform(lambda desk: desk.aliases.remove(name))
    tell(f"Removed alias {name}.", as_json, {"removed": name})
