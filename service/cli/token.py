"""`poplar token`: create, list, rotate and revoke the HTTP API's tokens.

Owns what is printed; a token's text is printed once, when it is made. Refuses to know rules.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from service.cli.tenancy_options import AsJson, OfTenant
from service.cli.tenancy_output import print_one, print_rows, tell
from service.cli.tenancy_running import actor
from service.model.token import Scope, TokenKey, TokenView

if TYPE_CHECKING:
    from service.mail.tokens import Issued, TokenOffice

T = TypeVar("T")
COLUMNS = ("name", "scope", "tenant", "created", "expires", "last_used", "revoked")
PAGE = 500

TokenName = Annotated[str, typer.Argument(metavar="NAME", help="The token's name: a-z, 0-9, '.', '_' and '-'.")]
Wanted = Annotated[Scope, typer.Option("--scope", help="What it allows.")]
Expires = Annotated[
    datetime | None, typer.Option("--expires", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it ends, in UTC.")
]

app = typer.Typer(help="Tokens of the HTTP API.", no_args_is_help=True)


def mount(root: typer.Typer) -> None:
    """Add the group to `root`."""
    root.add_typer(app, name="token")


@app.command()
def create(
    name: TokenName, scope: Wanted, tenant: OfTenant = None, expires: Expires = None, as_json: AsJson = False
) -> None:
    """Make a token and print it, once; with --scope tenant, name the --tenant it is for."""
    _print(_perform(lambda office: office.issue(actor(), name, scope, tenant, _utc(expires))), as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all tokens, never their texts."""
    views = _perform(_every)
    print_rows([{"id": view.key.id} | asdict(view) for view in views] if as_json else views, COLUMNS, as_json)


@app.command()
def rotate(name: TokenName, tenant: OfTenant = None, expires: Expires = None, as_json: AsJson = False) -> None:
    """Give a token another text and print it, once; the old one opens nothing from now on."""

    async def use(office: "TokenOffice") -> "Issued":
        return await office.rotate(actor(), await office.named(tenant, name), _utc(expires))

    _print(_perform(use), as_json)


@app.command()
def revoke(name: TokenName, tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """Revoke a token; it opens nothing from now on."""

    async def use(office: "TokenOffice") -> None:
        await office.tokens.revoke(actor(), (await office.named(tenant, name)).key)

    _perform(use)
    tell(f"Revoked token {name}.", as_json, {"revoked": name, "tenant": tenant})


def _perform(use: "Callable[[TokenOffice], Awaitable[T]]") -> T:
    from service.app.tokens import with_tokens
    from service.settings import load_settings

    return with_tokens(load_settings(), use)


async def _every(office: "TokenOffice") -> list[TokenView]:
    views: list[TokenView] = []
    after: TokenKey | None = None
    while page := await office.tokens.page(after, PAGE):
        views += page
        after = page[-1].key
    return views


def _print(issued: "Issued", as_json: bool) -> None:
    facts = {"id": issued.view.key.id} | {name: getattr(issued.view, name) for name in COLUMNS}
    print_one(None, as_json, facts | {"token": issued.text})


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)
