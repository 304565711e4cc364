"""`poplar audit`: who did what, to a tenant or to the service itself.

Owns the filters' words. Refuses to change the audit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from service.cli.gathering import gathering
from service.cli.tenancy_options import AsJson
from service.cli.tenancy_output import print_rows
from service.cli.tenancy_running import perform
from service.mail.tenancy import AuditQuery

COLUMNS = ("moment", "actor", "action", "subject", "details")
FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


@dataclass(frozen=True, slots=True)
class AuditFlags:
    """Which entries are wanted."""

    actor: Annotated[
        str | None, typer.Option(help="Only what this one did, such as token:ops or token:TENANT/ops.")
    ] = None
    action: Annotated[str | None, typer.Option(help="Only this, such as maildrop.create.")] = None
    subject: Annotated[str | None, typer.Option(help="Only what was done to this name.")] = None
    since: Annotated[datetime | None, typer.Option(formats=FORMATS, help="From then on, in UTC.")] = None
    until: Annotated[datetime | None, typer.Option(formats=FORMATS, help="Before then, in UTC.")] = None
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 100

    def query(self) -> AuditQuery:
        """What is asked for."""
        return AuditQuery(None, self.limit, self.actor, self.action, self.subject, _utc(self.since), _utc(self.until))


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)


def mount(root: typer.Typer) -> None:
    """Add the command to `root`."""
    root.command("audit")(audit)


@gathering
def audit(
    flags: AuditFlags,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="This tenant's; else the service's own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a tenant and in it, or to the service itself, newest first."""
    entries = perform(lambda desk: desk.tenants.audited(tenant, flags.query()))
    print_rows(entries, COLUMNS, as_json)
