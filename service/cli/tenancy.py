"""`poplar tenant|domain|maildrop|alias|credential|issuer`: running a service by hand.

Owns which verb groups exist. Refuses to know what they do: each has a file of its own.
"""

import typer

from service.cli import (
    tenancy_aliases,
    tenancy_credentials,
    tenancy_domains,
    tenancy_issuers,
    tenancy_maildrops,
    tenancy_tenants,
)
from service.cli.bulk.command import import_csv


def mount(root: typer.Typer) -> None:
    """Add the groups to `root`."""
    root.add_typer(tenancy_tenants.app, name="tenant")
    root.add_typer(tenancy_domains.app, name="domain")
    tenancy_maildrops.app.command("import-csv")(import_csv)
    root.add_typer(tenancy_maildrops.app, name="maildrop")
    root.add_typer(tenancy_aliases.app, name="alias")
    root.add_typer(tenancy_credentials.app, name="credential")
    root.add_typer(tenancy_issuers.app, name="issuer")
