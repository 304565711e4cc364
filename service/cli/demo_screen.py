"""What a person sees of the demo: its progress while it starts, then one page that says it all.

Owns the words and the command lines, which are plain text so that they can be copied whole.
Refuses to start or stop anything.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from service.app.demo import Demo


class StartScreen:
    """Progress while the block lasts, until `show` or `stopping` ends it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"))
        bar = (BarColumn(bar_width=30), MofNCompleteColumn())
        self._progress = Progress(*columns, *bar, console=self._console, transient=True)
        self._current: tuple[str, TaskID] | None = None

    def __enter__(self) -> "StartScreen":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, step: str, done: int, total: int) -> None:
        """Show a step; one that is named anew finishes the step before it."""
        if self._current is None or self._current[0] != step:
            self._finish()
            self._current = step, self._progress.add_task(step, total=total, completed=done)
        else:
            self._progress.update(self._current[1], completed=done)

    def _finish(self) -> None:
        for task in self._progress.tasks:
            self._progress.update(task.id, completed=task.total)

    def show(self, demo: Demo) -> None:
        """End the progress and say what runs where and how to use it."""
        self._finish()
        self._progress.stop()
        out = self._console
        out.print("\n[bold green]Poplar is ready.[/]\n")
        out.print(_places(demo))
        out.print(_accounts(demo))
        for title, line in command_lines(demo):
            out.print(f"[bold]{title}[/]")
            out.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)
        out.print("\n[bold]Ctrl-C stops everything; the next start finds the same mail.[/]")

    def stopping(self) -> None:
        """Say that the end was understood."""
        self._progress.stop()
        self._console.print("\nStopping ...")


def _places(demo: Demo) -> Table:
    table = Table(title="What runs where", title_justify="left", show_header=False)
    for name, meaning in (("pop3", "POP3 with STLS"), ("pop3s", "POP3 over TLS"), ("lmtp", "LMTP, delivery")):
        host, port = demo.running.ports[name]
        table.add_row(meaning, f"{host}:{port}")
    table.add_row("Metrics and health", f"{demo.running.http_url}/metrics")
    table.add_row("HTTP API, with a token", f"{demo.running.http_url}/v1")
    table.add_row("Postgres", f"127.0.0.1:{demo.servers.postgres.port}")
    table.add_row("Valkey", f"127.0.0.1:{demo.servers.valkey.port}")
    table.add_row("Authority to trust", str(demo.servers.certificates.ca_file), style="dim")
    table.add_row("All data, and poplar.log", str(demo.servers.state), style="dim")
    return table


def _accounts(demo: Demo) -> Table:
    table = Table("Tenant", "Address", "Password", title="Accounts", title_justify="left")
    for account in demo.accounts:
        table.add_row(account.tenant, account.address, account.password)
    return table


def command_lines(demo: Demo) -> Iterator[tuple[str, str]]:
    """What to try, and a line for a shell that does it."""
    first = demo.accounts[0]
    ca, who = shlex.quote(str(demo.servers.certificates.ca_file)), f"{first.address}:{first.password}"
    places = {name: f"{host}:{port}" for name, (host, port) in demo.running.ports.items()}
    host, port = demo.running.ports["lmtp"]
    fetch = f"curl --silent --show-error --cacert {ca} --user {who}"
    yield "List the messages, over STLS", f"{fetch} --ssl-reqd pop3://{places['pop3']}/"
    yield "Read the first one, over TLS", f"{fetch} pop3s://{places['pop3s']}/1"
    yield "Talk POP3 by hand", f"openssl s_client -quiet -crlf -CAfile {ca} -starttls pop3 -connect {places['pop3']}"
    yield "Deliver a message", _delivery(host, port, first.address)
    yield "Look at the metrics", f"curl --silent --show-error {demo.running.http_url}/metrics"
    config = shlex.quote(str(demo.config))
    yield "See the maildrops", f"{_poplar()} --config {config} maildrop list"


def _poplar() -> str:
    """This very command, as a shell calls it."""
    program = Path(sys.executable).with_name("poplar")
    return shlex.quote(str(program)) if program.exists() else f"{shlex.quote(sys.executable)} -m service"


def _delivery(host: str, port: int, address: str) -> str:
    message = rf"Subject: Hello\r\nFrom: me@example.org\r\nTo: {address}\r\n\r\nHello from the shell.\r\n"
    post = f"s.sendmail('me@example.org', ['{address}'], '{message}')"
    return (
        f"""{shlex.quote(sys.executable)} -c "import smtplib; s = smtplib.LMTP('{host}', {port}); {post}; s.quit()\""""
    )
