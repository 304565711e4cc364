"""`poplar demo`: the whole service on this machine, with mail in it, until Ctrl-C.

Owns the options, the ready file and the order of start and end. Refuses to know how the parts are put
together (`app/demo.py`) and how it all looks (`cli/demo_screen.py`).
"""

import asyncio
import json
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.cli.gathering import gathering

if TYPE_CHECKING:
    from service.app.demo import Demo, Servers
    from service.app.demo_settings import DemoPorts
    from service.cli.demo_screen import StartScreen

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")]


@dataclass(frozen=True)
class Places:
    """Where the demo keeps its files."""

    state: Annotated[Path, typer.Option(help="Folder of all data, used again at the next start.")] = Path(".demo")
    ready_file: Annotated[
        Path | None, typer.Option(help="JSON file written once everything answers; by default ready.json in the state.")
    ] = None
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what earlier starts left in the state.")] = False


@dataclass(frozen=True)
class Ports:
    """Where the demo listens."""

    pop3: Port = 2110
    pop3s: Port = 2995
    lmtp: Port = 2424
    http: Port = 2080


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(gathering(demo))


def demo(places: Places, ports: Ports) -> None:
    """Run the whole service on this machine, with accounts and mail, until Ctrl-C."""
    from service.embedded.process import EmbeddedError

    try:
        _refuse_taken_ports(ports)
        with _ended_by_signals():
            _run(places, ports)
    except EmbeddedError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("service"):
            raise
        _fail(f"The demo needs {error.name}. In Poplar's source tree: make demo, or pip install '.[demo]'.")
    except PermissionError as error:
        _fail(f"{error.filename} belongs to another user. Choose another folder with --state.")
    except (KeyboardInterrupt, _Ended):
        typer.echo("Stopped.")


def _fail(text: str) -> NoReturn:
    typer.echo(f"poplar: {text}", err=True)
    raise typer.Exit(1)


class _Ended(BaseException):
    """SIGTERM came while no event loop was there to take it."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    def end(*_: object) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse_taken_ports(ports: Ports) -> None:
    from service.embedded.process import EmbeddedError

    for name, port in vars(ports).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                advice = f"Choose another with --{name} PORT, or --{name} 0 for a free one."
                raise EmbeddedError(f"Port {port} can't be used: {error.strerror}. {advice}") from None


def _run(places: Places, ports: Ports) -> None:
    from service.app.demo import demo_servers
    from service.app.demo_settings import DemoPorts
    from service.cli.demo_screen import StartScreen
    from service.embedded.state import state_folder

    with StartScreen() as screen, state_folder(places.state, fresh=places.fresh) as state:
        ready = (places.ready_file or state / "ready.json").resolve()
        # Whoever waits for the file must not find that of an earlier run.
        ready.unlink(missing_ok=True)
        with demo_servers(state, screen.tell) as servers, _logging_to(state / "poplar.log"):
            try:
                _run_on_uvloop(_until_stopped(servers, DemoPorts(**vars(ports)), screen, ready))
            finally:
                ready.unlink(missing_ok=True)


def _run_on_uvloop(work: Coroutine[None, None, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Keep the screen for what people asked to see."""
    from service.telemetry.logs import configure

    with path.open("a", encoding="utf-8") as log:
        configure("console", stream=log)
        yield


async def _until_stopped(servers: "Servers", ports: "DemoPorts", screen: "StartScreen", ready: Path) -> None:
    """Serve until a signal; an end while starting is as orderly as one later."""
    from service.app.signals import Stop

    stop = Stop.on_signals()
    serving = asyncio.create_task(_serve(servers, ports, screen, ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        serving.cancel()
        screen.stopping()
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(servers: "Servers", ports: "DemoPorts", screen: "StartScreen", ready: Path) -> None:
    from service.app.demo import running_demo
    from service.embedded.state import write_whole

    async with running_demo(servers, ports, screen.tell) as poplar:
        screen.show(poplar)
        write_whole(ready, json.dumps(ready_values(poplar), indent=2) + "\n")
        await asyncio.Event().wait()


def ready_values(demo: "Demo") -> dict[str, object]:
    """What the ready file says: where each listener answers, what to trust, and the accounts."""
    listeners = {name: {"host": host, "port": port} for name, (host, port) in demo.running.ports.items()}
    return {
        **listeners,
        "http": demo.running.http_url,
        "ca_file": str(demo.servers.certificates.ca_file),
        "postgres": demo.owner_dsn,
        "redis": demo.servers.valkey.url,
        "accounts": [account.as_json() for account in demo.accounts],
    }
