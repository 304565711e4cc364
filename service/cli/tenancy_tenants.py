"""`poplar tenant`: create, list, show, set, suspend, resume, remove, audit, directory.

Owns the verbs' words. Refuses to know rules: they are `mail/provisioning.py`'s.
"""

from typing import Annotated

import typer

from service.cli.gathering import gathering
from service.cli.tenancy_directory import directory
from service.cli.tenancy_options import AsJson, Cascade, PolicyFlags, TenantName, WithStatus, Yes, confirmed, standing
from service.cli.tenancy_output import print_one, print_rows, tell
from service.cli.tenancy_running import only, perform, perform_and_look
from service.model.account import Status
from service.model.tenancy import TenantView

COLUMNS = ("name", "status", "policy", "created")
AUDIT_COLUMNS = ("moment", "actor", "action", "subject", "details")

app = typer.Typer(help="Tenants: the customers of this service.", no_args_is_help=True)
app.command()(directory)


@app.command()
@gathering
def create(name: TenantName, flags: PolicyFlags, as_json: AsJson = False) -> None:
    """Create a tenant; its policy binds every maildrop that sets no value of its own."""
    change = flags.change()
    print_one(perform(lambda desk: desk.tenants.create(name, change.values)), as_json)


@app.command("list")
def list_(status: WithStatus = None, as_json: AsJson = False) -> None:
    """List the tenants."""
    print_rows(perform(lambda desk: only(desk.tenants.every(), standing(status))), COLUMNS, as_json)


@app.command()
def show(name: TenantName, as_json: AsJson = False) -> None:
    """Show a tenant, its policy and what it holds."""
    view = perform(lambda desk: desk.tenants.show(name))
    print_one(view, as_json, {"usage": perform(lambda desk: desk.tenants.usage(name))})


@app.command("set")
@gathering
def set_(name: TenantName, flags: PolicyFlags, as_json: AsJson = False) -> None:
    """Change a tenant's policy; what isn't named stays."""
    change = flags.asked()
    view = perform_and_look(lambda desk: desk.tenants.set_policy(name, change), lambda desk: desk.tenants.show(name))
    tell(f"Changed the policy of tenant {name}.", as_json, view)


@app.command()
def suspend(name: TenantName, as_json: AsJson = False) -> None:
    """Refuse logins and deliveries of all its maildrops from now on; nothing is lost.

    Retention waits too, until the first sweep after it is resumed.
    """
    tell(f"Suspended tenant {name}.", as_json, _put(name, Status.SUSPENDED))


@app.command()
def resume(name: TenantName, as_json: AsJson = False) -> None:
    """End a suspension."""
    tell(f"Resumed tenant {name}.", as_json, _put(name, Status.ACTIVE))


def _put(name: str, status: Status) -> TenantView:
    return perform_and_look(lambda desk: desk.tenants.set_status(name, status), lambda desk: desk.tenants.show(name))


@app.command()
def remove(name: TenantName, cascade: Cascade = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove a tenant; one that still has maildrops only with --cascade."""
    confirmed(f"Remove tenant {name}?", yes)
    perform(lambda desk: desk.tenants.remove(name, cascade))
    tell(f"Removed tenant {name}.", as_json, {"removed": name})


@app.command()
def audit(
    name: TenantName, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, as_json: AsJson = False
) -> None:
    """Show who did what to it and in it, newest first."""
    print_rows(perform(lambda desk: desk.tenants.history(name, limit)), AUDIT_COLUMNS, as_json)
