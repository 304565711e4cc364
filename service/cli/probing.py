"""`poplar probe`: look at a running Poplar from outside; for `helm test`, containers' health and people.

Owns the options. Refuses to know what is said on the wire. A password comes from a file or the environment, never
from the command line, where others on the machine could read it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.gathering import gathering

if TYPE_CHECKING:
    from service.app.probing import Target

Place = Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where it listens.")]
User = Annotated[str | None, typer.Option("--user", envvar="PROBE_USER", help="Log in with this name.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", dir_okay=False, exists=True, help="The password's file; or set PROBE_PASSWORD."),
]
Password = Annotated[str | None, typer.Option("--password", envvar="PROBE_PASSWORD", hidden=True)]


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach a listener."""

    tls: Annotated[
        Literal["none", "starttls", "implicit", "terminated"],
        typer.Option("--tls", help="terminated: as a balancer that has ended the client's TLS."),
    ] = "none"
    proxy_from: Annotated[
        str | None, typer.Option("--proxy-from", metavar="ADDRESS", help="Begin with a PROXY header for this client.")
    ] = None
    ca: Annotated[Path | None, typer.Option("--ca", help="Certificates to trust instead of the machine's.")] = None
    server_name: Annotated[
        str, typer.Option("--server-name", help="The name that the certificate must hold; * takes any certificate.")
    ] = ""


app = typer.Typer(help="Look at a running Poplar from outside.", no_args_is_help=True)


def mount(root: typer.Typer) -> None:
    """Add the group to `root`."""
    app.command()(gathering(pop3))
    app.command()(gathering(lmtp))
    app.command()(http)
    app.command()(live)
    root.add_typer(app, name="probe")


def pop3(
    place: Place, way: Way, user: User = None, password_file: PasswordFile = None, password: Password = None
) -> None:
    """Greeting, CAPA, with --user a login and STAT, QUIT; exits with 1 if anything is wrong."""
    from service.app.probing import probe_pop3

    secret = password_file.read_text("utf-8").rstrip("\n") if password_file else password
    if user and secret is None:
        raise typer.BadParameter("--user needs --password-file or PROBE_PASSWORD")
    _tell(probe_pop3(_target(place, way), (user, secret) if user and secret is not None else None))


def lmtp(place: Place, way: Way) -> None:
    """Greeting, LHLO, QUIT; exits with 1 if anything is wrong."""
    from service.app.probing import probe_lmtp

    _tell(probe_lmtp(_target(place, way)))


def http(place: Place, path: Annotated[str, typer.Argument(help="Such as /readyz.")] = "/readyz") -> None:
    """What a page of the ops port says; exits with 1 unless its status is 200."""
    from service.app.probing import probe_http

    host, port = _host_and_port(place)
    with _exiting():
        typer.echo(f"{path}: {probe_http(host, port, path)}")


def live() -> None:
    """Whether the process with these settings, on this machine, lives; exits with 1 if not."""
    from service.app.probing import probe_http
    from service.settings import load_settings

    listening = load_settings().http
    host = "127.0.0.1" if listening.host in {"*", "0.0.0.0", "::"} else listening.host  # noqa: S104 - compared
    with _exiting():
        typer.echo(f"/livez: {probe_http(host, listening.port, '/livez')}")


def _target(place: str, way: Way) -> "Target":
    from service.app.probing import Target

    host, port = _host_and_port(place)
    return Target(host, port, way.tls, way.proxy_from, way.ca, way.server_name)


def _host_and_port(place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise typer.BadParameter("must be HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _tell(lines: Iterator[str]) -> None:
    with _exiting():
        for line in lines:
            typer.echo(line)


@contextmanager
def _exiting() -> Iterator[None]:
    from service.app.probing import ProbeFailed

    try:
        yield
    except ProbeFailed as failed:
        typer.echo(f"poplar: {failed}", err=True)
        sys.exit(1)
