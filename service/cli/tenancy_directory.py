"""`poplar tenant directory`: which outside directory keeps a tenant's users.

Owns the verb's words. Refuses to know rules: they are `mail/outside/choosing.py`'s.
"""

from typing import Annotated

import typer

from service.cli.tenancy_options import AsJson, TenantName
from service.cli.tenancy_output import print_one, tell
from service.cli.tenancy_running import perform

DEFAULT = "default"
Use = Annotated[
    str | None,
    typer.Option("--use", metavar="NAME", help="A directory of the settings; 'own' for Poplar's own, or 'default'."),
]


def directory(name: TenantName, use: Use = None, as_json: AsJson = False) -> None:
    """Show or choose where its users are kept; binds the next login of all its maildrops."""
    if use is None:
        print_one(perform(lambda desk: desk.directories.show(name)), as_json)
        return
    chosen = None if use == DEFAULT else use
    view = perform(lambda desk: desk.directories.choose(name, chosen))
    tell(f"Tenant {name} uses the directory {use}.", as_json, view)
