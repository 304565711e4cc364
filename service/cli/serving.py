"""`poplar serve`, `lmtp`, `api` and `sweep`: what runs until a signal.

Owns their options. Refuses to know how anything is served.
"""

import sys
from typing import Annotated

import typer

Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that share the ports; 1 inside Kubernetes.")]
Worker = Annotated[int | None, typer.Option("--worker", hidden=True)]
Loop = Annotated[bool, typer.Option("--loop", help="Sweep again and again, and serve metrics meanwhile.")]


def mount(root: typer.Typer) -> None:
    """Add the commands to `root`."""
    root.command("serve")(serve)
    root.command("lmtp")(lmtp)
    root.command("api")(api)
    root.command("sweep")(sweep)


def serve(workers: Workers = 1, worker: Worker = None) -> None:
    """Serve POP3 on the listeners of that protocol."""
    from service.app import processes
    from service.settings import load_settings

    settings = load_settings()
    if worker is not None:
        processes.run_worker(settings, worker, "pop3")
    elif workers > 1:
        sys.exit(processes.run_workers(settings, workers, "pop3"))
    else:
        processes.run_front_end(settings)


def lmtp(workers: Workers = 1, worker: Worker = None) -> None:
    """Take deliveries by LMTP on the listeners of that protocol."""
    from service.app import processes
    from service.settings import load_settings

    settings = load_settings()
    if worker is not None:
        processes.run_worker(settings, worker, "lmtp")
    elif workers > 1:
        sys.exit(processes.run_workers(settings, workers, "lmtp"))
    else:
        processes.run_lmtp(settings)


def api() -> None:
    """Serve the HTTP API under /v1, on the port of metrics and health."""
    from service.app import processes
    from service.settings import load_settings

    processes.run_api(load_settings())


def sweep(loop: Loop = False) -> None:
    """Delete for good what was removed long enough ago, and blobs that no message names."""
    from service.app import processes
    from service.settings import load_settings

    report = processes.run_sweep(load_settings(), loop)
    if report is not None:
        typer.echo(report)
