"""`poplar domain`: create, list, show, catch-all, suspend, resume, remove.

Owns the verbs' words. Refuses to know rules: they are `mail/provisioning.py`'s.
"""

from typing import Annotated

import typer

from service.cli.tenancy_options import AsJson, Cascade, DomainName, OfTenant, WithStatus, Yes, confirmed, standing
from service.cli.tenancy_output import print_one, print_rows, tell
from service.cli.tenancy_running import only, perform, perform_and_look, throughout
from service.model.account import Status
from service.model.tenancy import DomainView

COLUMNS = ("name", "tenant", "status", "catch_all", "created")

app = typer.Typer(help="Domains: each belongs to one tenant.", no_args_is_help=True)


@app.command()
def create(
    name: DomainName,
    tenant: Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Whose domain it is.")],
    as_json: AsJson = False,
) -> None:
    """Give a domain to a tenant."""
    print_one(perform(lambda desk: desk.domains.create(tenant, name)), as_json)


@app.command("list")
def list_(tenant: OfTenant = None, status: WithStatus = None, as_json: AsJson = False) -> None:
    """List the domains, of one tenant or of all."""
    views = perform(lambda desk: only(throughout(desk, tenant, desk.domains.every), standing(status)))
    print_rows(views, COLUMNS, as_json)


@app.command()
def show(name: DomainName, as_json: AsJson = False) -> None:
    """Show a domain and whose it is."""
    print_one(perform(lambda desk: desk.domains.show(name)), as_json)


@app.command("catch-all")
def catch_all(
    name: DomainName,
    address: Annotated[str, typer.Argument(help="A maildrop of the tenant's, or 'none'.")],
    as_json: AsJson = False,
) -> None:
    """Deliver mail for unknown local parts to one maildrop, or refuse it again."""
    target = None if address == "none" else address
    view = perform_and_look(lambda desk: desk.domains.set_catch_all(name, target), lambda desk: desk.domains.show(name))
    goes = f"goes to {target}." if target else "is refused."
    tell(f"Mail for unknown local parts of {name} {goes}", as_json, view)


@app.command()
def suspend(name: DomainName, as_json: AsJson = False) -> None:
    """Refuse logins and deliveries of the domain's maildrops from now on; nothing is lost.

    Retention waits too, until the first sweep after it is resumed.
    """
    tell(f"Suspended domain {name}.", as_json, _put(name, Status.SUSPENDED))


@app.command()
def resume(name: DomainName, as_json: AsJson = False) -> None:
    """End a suspension."""
    tell(f"Resumed domain {name}.", as_json, _put(name, Status.ACTIVE))


def _put(name: str, status: Status) -> DomainView:
    return perform_and_look(lambda desk: desk.domains.set_status(name, status), lambda desk: desk.domains.show(name))


@app.command()
def remove(name: DomainName, cascade: Cascade = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove a domain; one that still has maildrops or aliases only with --cascade."""
    confirmed(f"Remove domain {name}?", yes)
    perform(lambda desk: desk.domains.remove(name, cascade))
    tell(f"Removed domain {name}.", as_json, {"removed": name})
