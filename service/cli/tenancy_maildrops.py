"""`poplar maildrop` (create, list, show, set, suspend, resume, remove, removed, restore).

Owns the verbs' words. Refuses to know rules: they are `mail/provisioning.py`'s.
"""

from typing import Annotated
from uuid import UUID

import typer

from service.cli.explaining import explain
from service.cli.gathering import gathering
from service.cli.tenancy_options import AddressName, AsJson, OfTenant, PolicyFlags, WithStatus, Yes, confirmed, standing
from service.cli.tenancy_output import print_one, print_rows, tell
from service.cli.tenancy_running import only, perform, perform_and_look, throughout
from service.mail.naming import domain_name
from service.model.account import Status
from service.model.tenancy import MaildropView, counted

COLUMNS = ("address", "tenant", "status", "messages", "octets", "policy")
REMOVED_COLUMNS = ("unique_id", "octets", "received", "removed_at", "restorable_until")

app = typer.Typer(help="Maildrops: one address, its messages, its policy.", no_args_is_help=True)


@app.command()
@gathering
def create(address: AddressName, flags: PolicyFlags, as_json: AsJson = False) -> None:
    """Create a maildrop in one of its tenant's domains; its policy goes before the tenant's."""
    change = flags.change()
    print_one(perform(lambda desk: desk.maildrops.create(address, change.values)), as_json)


@app.command("list")
def list_(
    tenant: OfTenant = None,
    domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Only this domain's.")] = None,
    status: WithStatus = None,
    as_json: AsJson = False,
) -> None:
    """List the maildrops, of one tenant or of all."""
    wanted, ending = standing(status), "@" if domain is None else f"@{domain_name(domain)}"

    def keep(view: MaildropView) -> bool:
        return wanted(view) and (domain is None or view.address.endswith(ending))

    print_rows(perform(lambda desk: only(throughout(desk, tenant, desk.maildrops.every), keep)), COLUMNS, as_json)


@app.command()
def show(address: AddressName, as_json: AsJson = False) -> None:
    """Show a maildrop and the policy that binds it, each value with the level that set it."""
    print_one(perform(lambda desk: desk.maildrops.show(address)), as_json)


@app.command("set")
@gathering
def set_(address: AddressName, flags: PolicyFlags, as_json: AsJson = False) -> None:
    """Change a maildrop's own policy; what isn't named stays, 'inherit' gives a value back to the tenant."""
    change = flags.asked()
    view = perform_and_look(
        lambda desk: desk.maildrops.set_policy(address, change), lambda desk: desk.maildrops.show(address)
    )
    tell(f"Changed the policy of {address}.", as_json, view)


@app.command()
def suspend(address: AddressName, as_json: AsJson = False) -> None:
    """Refuse logins and deliveries from now on; nothing is lost.

    Retention waits too, until the first sweep after it is resumed.
    """
    tell(f"Suspended {address}.", as_json, _put(address, Status.SUSPENDED))


@app.command()
def resume(address: AddressName, as_json: AsJson = False) -> None:
    """End a suspension."""
    tell(f"Resumed {address}.", as_json, _put(address, Status.ACTIVE))


def _put(address: str, status: Status) -> MaildropView:
    return perform_and_look(
        lambda desk: desk.maildrops.set_status(address, status), lambda desk: desk.maildrops.show(address)
    )


@app.command()
def remove(address: AddressName, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove a maildrop, its credentials, aliases and messages; the sweep deletes what was stored."""
    confirmed(f"Remove {address} and all its messages?", yes)
    messages = perform(lambda desk: desk.maildrops.remove(address))
    facts = {"removed": address, "messages": messages}
    tell(f"Removed {address} and {counted(messages, 'message')}.", as_json, facts)


@app.command()
def removed(
    address: AddressName, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, as_json: AsJson = False
) -> None:
    """List messages that were removed and can still be restored, last removed first."""
    print_rows(perform(lambda desk: desk.maildrops.removed(address, limit)), REMOVED_COLUMNS, as_json)


@app.command()
def restore(
    address: AddressName,
    unique_ids: Annotated[list[UUID], typer.Argument(metavar="UNIQUE_ID...")],
    as_json: AsJson = False,
) -> None:
    """List removed messages again; sessions that log in from now on see them."""
    messages = perform(lambda desk: desk.maildrops.restore(address, unique_ids))
    tell(f"Restored {messages} of {counted(len(unique_ids), 'message')}.", as_json, {"messages": messages})


app.command()(explain)
