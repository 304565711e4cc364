"""`poplar credential`: create, change, import, list, show, suspend, resume, remove.

Owns the verbs' words, and that a password is asked for without echo. Refuses to know rules and hashes.
"""

from datetime import UTC
from typing import TYPE_CHECKING

import typer

from service.cli.gathering import gathering
from service.cli.tenancy_options import (
    AddressName,
    AppFlags,
    AsJson,
    LabelName,
    NamingFlags,
    Replace,
    SecretFlags,
    typed_verifier,
)
from service.cli.tenancy_output import print_one, print_rows, say, tell
from service.cli.tenancy_running import perform, perform_and_look
from service.mail.passwords import generate_password
from service.model.account import Status
from service.model.tenancy import CredentialView

if TYPE_CHECKING:
    from service.mail.provisioning import Provisioning
    from service.model.tenancy import Overrides

COLUMNS = ("label", "kind", "status", "created", "expires", "last_used", "policy")

app = typer.Typer(help="Credentials: what opens a maildrop.", no_args_is_help=True)


@app.command()
@gathering
def create(
    address: AddressName, naming: NamingFlags, secret: SecretFlags, app_password: AppFlags, as_json: AsJson = False
) -> None:
    """Add a password to a maildrop; or, with --app, an app password, which may be allowed less."""
    narrowing = app_password.narrowing()
    if app_password.app:
        _create_app(address, naming, narrowing, as_json)
        return
    password = secret.password(generate_password())

    async def use(desk: "Provisioning") -> CredentialView:
        credential = await desk.passwords.credential(password, naming.label, naming.ends)
        return await desk.credentials.create(address, credential)

    print_one(perform(use), as_json, {"password": password} if secret.generate else None)


def _create_app(address: str, naming: NamingFlags, narrowing: "Overrides", as_json: bool) -> None:
    async def use(desk: "Provisioning") -> tuple[CredentialView, str]:
        credential, text = desk.passwords.app(naming.label, narrowing, naming.ends)
        return await desk.credentials.create(address, credential), text

    view, text = perform(use)
    print_one(view, as_json, {"password": text})


@app.command()
@gathering
def change(address: AddressName, naming: NamingFlags, secret: SecretFlags, as_json: AsJson = False) -> None:
    """Put another password under a label; the old one opens nothing from now on. It ends when the old one did.

    An app password can't be changed: remove it, and make a new one. Nor can a suspended one: resume it first.
    """
    password = secret.password(generate_password())

    async def use(desk: "Provisioning") -> CredentialView:
        credential = await desk.passwords.credential(password, naming.label, naming.ends)
        await desk.credentials.change(address, credential)
        return await desk.credentials.show(address, naming.label)

    view, shown = perform(use), {"password": password} if secret.generate else {}
    if as_json:
        print_one(view, as_json, shown)
    else:
        say(f"Changed {naming.label} of {address}" + (f" to {password}" if secret.generate else "."))
        if view.expires:
            say(f"It ends at {view.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")


@app.command("import")
@gathering
def import_(address: AddressName, naming: NamingFlags, replace: Replace = False, as_json: AsJson = False) -> None:
    """Add a password as another system hashed it, such as {SHA512-CRYPT}$6$...; it is read from standard input."""
    verifier = typed_verifier()

    async def use(desk: "Provisioning") -> CredentialView:
        credential = desk.passwords.adopted(verifier, naming.label, naming.ends)
        if not replace:
            return await desk.credentials.create(address, credential)
        await desk.credentials.change(address, credential)
        return await desk.credentials.show(address, naming.label)

    print_one(perform(use), as_json)


@app.command("list")
def list_(address: AddressName, as_json: AsJson = False) -> None:
    """List a maildrop's credentials, never their secrets."""
    print_rows(perform(lambda desk: desk.credentials.every(address)), COLUMNS, as_json)


@app.command()
def show(address: AddressName, label: LabelName, as_json: AsJson = False) -> None:
    """Show a credential, never its secret."""
    print_one(perform(lambda desk: desk.credentials.show(address, label)), as_json)


@app.command()
def suspend(address: AddressName, label: LabelName, as_json: AsJson = False) -> None:
    """Refuse a credential from now on."""
    tell(f"Suspended {label} of {address}.", as_json, _put(address, label, Status.SUSPENDED))


@app.command()
def resume(address: AddressName, label: LabelName, as_json: AsJson = False) -> None:
    """End a suspension."""
    tell(f"Resumed {label} of {address}.", as_json, _put(address, label, Status.ACTIVE))


def _put(address: str, label: str, status: Status) -> CredentialView:
    return perform_and_look(
        lambda desk: desk.credentials.set_status(address, label, status),
        lambda desk: desk.credentials.show(address, label),
    )


@app.command()
def remove(address: AddressName, label: LabelName, as_json: AsJson = False) -> None:
    """Remove a credential; it opens nothing from now on."""
    perform(lambda desk: desk.credentials.remove(address, label))
    tell(f"Removed {label} of {address}.", as_json, {"removed": label, "address": address})
