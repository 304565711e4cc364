"""`poplar maildrop` (create, list, show, set, suspend, resume, remove, removed, restore) and `poplar alias`.

Owns the verbs' words. Refuses to know rules: they are `mail/provisioning.py`'s.
"""

from typing import Annotated
from uuid import UUID

import typer

from service.cli.gathering import gathering
from service.cli.tenancy_options import AddressName, AsJson, OfTenant, PolicyFlags, Yes, confirmed
from service.cli.tenancy_output import print_one, print_rows, say
from service.cli.tenancy_running import listed, perform, throughout
from service.model.account import Status
from service.model.tenancy import counted

COLUMNS = ("address", "tenant", "status", "messages", "octets", "policy")
REMOVED_COLUMNS = ("unique_id", "octets", "received", "removed_at", "restorable_until")

AliasName = Annotated[str, typer.Argument(metavar="ALIAS", help="The other address.")]

app = typer.Typer(help="Maildrops: one address, its messages, its policy.", no_args_is_help=True)
alias = typer.Typer(help="Aliases: other addresses of maildrops.", no_args_is_help=True)


@app.command()
@gathering
def create(address: AddressName, flags: PolicyFlags, as_json: AsJson = False) -> None:
    """Create a maildrop in one of its tenant's domains; its policy goes before the tenant's."""
    change = flags.change()
    print_one(perform(lambda desk: desk.maildrops.create(address, change.values)), as_json)


@app.command("list")
def list_(tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """List the maildrops, of one tenant or of all."""
    print_rows(perform(lambda desk: listed(throughout(desk, tenant, desk.maildrops.every))), COLUMNS, as_json)


@app.command()
def show(address: AddressName, as_json: AsJson = False) -> None:
    """Show a maildrop and the policy that binds it, each value with the level that set it."""
    print_one(perform(lambda desk: desk.maildrops.show(address)), as_json)


@app.command("set")
@gathering
def set_(address: AddressName, flags: PolicyFlags) -> None:
    """Change a maildrop's own policy; what isn't named stays, 'inherit' gives a value back to the tenant."""
    change = flags.asked()
    perform(lambda desk: desk.maildrops.set_policy(address, change))
    say(f"Changed the policy of {address}.")


@app.command()
def suspend(address: AddressName) -> None:
    """Refuse logins and deliveries from now on; nothing is lost."""
    perform(lambda desk: desk.maildrops.set_status(address, Status.SUSPENDED))
    say(f"Suspended {address}.")


@app.command()
def resume(address: AddressName) -> None:
    """End a suspension."""
    perform(lambda desk: desk.maildrops.set_status(address, Status.ACTIVE))
    say(f"Resumed {address}.")


@app.command()
def remove(address: AddressName, yes: Yes = False) -> None:
    """Remove a maildrop, its credentials, aliases and messages; the sweep deletes what was stored."""
    confirmed(f"Remove {address} and all its messages?", yes)
    messages = perform(lambda desk: desk.maildrops.remove(address))
    say(f"Removed {address} and {counted(messages, 'message')}.")


@app.command()
def removed(
    address: AddressName, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, as_json: AsJson = False
) -> None:
    """List messages that were removed and can still be restored, last removed first."""
    print_rows(perform(lambda desk: desk.maildrops.removed(address, limit)), REMOVED_COLUMNS, as_json)


@app.command()
def restore(address: AddressName, unique_ids: Annotated[list[UUID], typer.Argument(metavar="UNIQUE_ID...")]) -> None:
    """List removed messages again; sessions that log in from now on see them."""
    messages = perform(lambda desk: desk.maildrops.restore(address, unique_ids))
    say(f"Restored {messages} of {counted(len(unique_ids), 'message')}.")


@alias.command("create")
def create_alias(name: AliasName, address: AddressName, as_json: AsJson = False) -> None:
    """Deliver mail for another address into a maildrop of the same tenant."""
    print_one(perform(lambda desk: desk.aliases.create(name, address)), as_json)


@alias.command("list")
def list_aliases(tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """List the aliases, of one tenant or of all."""
    views = perform(lambda desk: listed(throughout(desk, tenant, desk.aliases.every)))
    print_rows(views, ("alias", "address", "tenant"), as_json)


@alias.command("remove")
def remove_alias(name: AliasName) -> None:
    """Remove an alias; mail for it is refused from now on."""
    perform(lambda desk: desk.aliases.remove(name))
    say(f"Removed alias {name}.")
