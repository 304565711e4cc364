"""`poplar issuer`: create, change, list, show, suspend, resume, remove.

Owns the verbs' words, and that a client's secret never stands on the command line. Refuses to know rules: they are
`mail/issuing.py`'s.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from service.cli.gathering import gathering
from service.cli.tenancy_options import AsJson, TenantName, Yes, confirmed, typed_secret
from service.cli.tenancy_output import print_one, print_rows, tell
from service.cli.tenancy_running import perform
from service.mail.issuing import unchanged
from service.model.account import Status
from service.model.issuer import IssuerTerms, IssuerView, Method, NewIssuer

COLUMNS = ("name", "tenant", "status", "url", "method", "mail_claim", "created")
IssuerName = Annotated[str, typer.Argument(metavar="NAME", help="The issuer's name: a-z, 0-9 and -.")]
SecretStdin = Annotated[bool, typer.Option("--secret-stdin", help="Read the client's secret from standard input.")]

app = typer.Typer(help="Issuers: whose tokens open a tenant's maildrops.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class TermsFlags:
    """The terms of an issuer, as far as they were typed."""

    url: Annotated[str | None, typer.Option(help="What the tokens' iss says, to the letter.")] = None
    audience: Annotated[list[str] | None, typer.Option(help="One of these must be in aud; may be repeated.")] = None
    method: Annotated[Method | None, typer.Option(help="How tokens are verified.")] = None
    algorithm: Annotated[list[str] | None, typer.Option(help="Of signatures, such as RS256; may be repeated.")] = None
    mail_claim: Annotated[str | None, typer.Option(help="The claim that holds the maildrop's address.")] = None
    verified_mail: Annotated[
        bool | None, typer.Option(help="Whether the claim email counts only with email_verified.")
    ] = None
    scope: Annotated[str | None, typer.Option(help="A scope that tokens must have.")] = None
    jwks_uri: Annotated[str | None, typer.Option(help="Where the keys are; else the issuer is asked.")] = None
    introspection_endpoint: Annotated[str | None, typer.Option(help="Whom to ask; else the issuer says.")] = None
    client_id: Annotated[str | None, typer.Option(help="As whom tokens are introspected.")] = None

    def applied(self, terms: IssuerTerms) -> IssuerTerms:
        """The terms with what was typed in the place of what was there."""
        plain = ("url", "method", "mail_claim", "verified_mail", "scope", "jwks_uri", "introspection_endpoint")
        given: dict[str, object] = {name: getattr(self, name) for name in (*plain, "client_id")}
        given |= {"audiences": self.audience and tuple(self.audience)}
        given |= {"algorithms": self.algorithm and tuple(self.algorithm)}
        return replace(terms, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


@app.command()
@gathering
def create(
    tenant: TenantName, name: IssuerName, terms: TermsFlags, secret_stdin: SecretStdin = False, as_json: AsJson = False
) -> None:
    """Have an issuer's tokens open the tenant's maildrops."""
    wanted = NewIssuer(name, terms.applied(IssuerTerms("", ())), client_secret=typed_secret() if secret_stdin else "")
    print_one(perform(lambda desk: desk.issuers.create(tenant, wanted)), as_json)


@app.command()
@gathering
def change(
    tenant: TenantName, name: IssuerName, terms: TermsFlags, secret_stdin: SecretStdin = False, as_json: AsJson = False
) -> None:
    """Change what is named; the rest stays, the secret too."""
    secret = typed_secret() if secret_stdin else None

    def wanted(view: IssuerView) -> NewIssuer:
        return replace(unchanged(view), terms=terms.applied(view.terms), client_secret=secret)

    print_one(perform(lambda desk: desk.issuers.change(tenant, name, wanted)), as_json)


@app.command("list")
def list_(tenant: TenantName, as_json: AsJson = False) -> None:
    """List the tenant's issuers, never their secrets."""
    views = perform(lambda desk: desk.issuers.every(tenant))
    print_rows(views if as_json else list(map(_row, views)), COLUMNS, as_json)


@app.command()
def show(tenant: TenantName, name: IssuerName, as_json: AsJson = False) -> None:
    """Show an issuer, never its secret."""
    print_one(perform(lambda desk: desk.issuers.show(tenant, name)), as_json)


@app.command()
def suspend(tenant: TenantName, name: IssuerName, as_json: AsJson = False) -> None:
    """Take no tokens of an issuer's from now on."""
    perform(lambda desk: desk.issuers.set_status(tenant, name, Status.SUSPENDED))
    tell(f"Suspended issuer {name} of {tenant}.", as_json, {"issuer": name, "status": Status.SUSPENDED.value})


@app.command()
def resume(tenant: TenantName, name: IssuerName, as_json: AsJson = False) -> None:
    """End a suspension."""
    perform(lambda desk: desk.issuers.set_status(tenant, name, Status.ACTIVE))
    tell(f"Resumed issuer {name} of {tenant}.", as_json, {"issuer": name, "status": Status.ACTIVE.value})


@app.command()
def remove(tenant: TenantName, name: IssuerName, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove an issuer; its tokens open nothing from now on."""
    confirmed(f"Remove issuer {name} of {tenant}?", yes)
    perform(lambda desk: desk.issuers.remove(tenant, name))
    tell(f"Removed issuer {name} of {tenant}.", as_json, {"removed": name})


@dataclass(frozen=True, slots=True)
class _Row:
    """What the table shows of an issuer."""

    name: str
    tenant: str
    status: Status
    url: str
    method: Method
    mail_claim: str
    created: object


def _row(view: IssuerView) -> _Row:
    terms = view.terms
    return _Row(view.name, view.tenant, view.status, terms.url, terms.method, terms.mail_claim, view.created)
