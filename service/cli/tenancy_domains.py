"""`poplar domain`: create, list, show, catch-all, suspend, resume, remove.

Owns the verbs' words. Refuses to know rules: they are `mail/provisioning.py`'s.
"""

from typing import Annotated

import typer

from service.cli.tenancy_options import AsJson, Cascade, DomainName, OfTenant, Yes, confirmed
from service.cli.tenancy_output import print_one, print_rows, say
from service.cli.tenancy_running import listed, perform, throughout
from service.model.account import Status

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
def list_(tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """List the domains, of one tenant or of all."""
    print_rows(perform(lambda desk: listed(throughout(desk, tenant, desk.domains.every))), COLUMNS, as_json)


@app.command()
def show(name: DomainName, as_json: AsJson = False) -> None:
    """Show a domain and whose it is."""
    print_one(perform(lambda desk: desk.domains.show(name)), as_json)


@app.command("catch-all")
def catch_all(
    name: DomainName, address: Annotated[str, typer.Argument(help="A maildrop of the tenant's, or 'none'.")]
) -> None:
    """Deliver mail for unknown local parts to one maildrop, or refuse it again."""
    target = None if address == "none" else address
    perform(lambda desk: desk.domains.set_catch_all(name, target))
    say(f"Mail for unknown local parts of {name} " + (f"goes to {target}." if target else "is refused."))


@app.command()
def suspend(name: DomainName) -> None:
    """Refuse logins and deliveries of the domain's maildrops from now on; nothing is lost."""
    perform(lambda desk: desk.domains.set_status(name, Status.SUSPENDED))
    say(f"Suspended domain {name}.")


@app.command()
def resume(name: DomainName) -> None:
    """End a suspension."""
    perform(lambda desk: desk.domains.set_status(name, Status.ACTIVE))
    say(f"Resumed domain {name}.")


@app.command()
def remove(name: DomainName, cascade: Cascade = False, yes: Yes = False) -> None:
    """Remove a domain; one that still has maildrops or aliases only with --cascade."""
    confirmed(f"Remove domain {name}?", yes)
    perform(lambda desk: desk.domains.remove(name, cascade))
    say(f"Removed domain {name}.")
