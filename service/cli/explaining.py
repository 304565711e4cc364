"""`poplar maildrop explain`: why a client can't log in, for the support desk.

Owns how the answer looks. Refuses to know how it was found.
"""

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.tenancy_options import AsJson
from service.cli.tenancy_output import print_one, say, words
from service.model.event import Kind
from service.model.explanation import Weight

if TYPE_CHECKING:
    from service.mail.explaining import Explanation, Told

MARKS = {Weight.GOOD: "ok  ", Weight.NOTE: "note", Weight.DOUBTFUL: "warn", Weight.WRONG: "FAIL"}
SHOWN = 12
"""Attempts that a person is shown; --json has all."""

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="What the client uses for its user name.")]
Client = Annotated[str | None, typer.Option(metavar="IP", help="The client's address: only what concerns it.")]


def explain(address: Address, client: Client = None, as_json: AsJson = False) -> None:
    """Say why a client can't log in: what is stored, who holds the maildrop, what was tried lately, and what to do."""
    from service.app.explaining import explain as explained
    from service.settings import load_settings

    answer = asyncio.run(explained(load_settings(), address, _network_address(client)))
    if as_json:
        print_one(answer, as_json=True)
        return
    for line in _lines(answer):
        say(line)


def _network_address(text: str | None) -> str | None:
    try:
        return None if text is None else str(ip_address(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an IP address", param_hint="--client") from None


def _lines(answer: "Explanation") -> Iterator[str]:
    yield f"{answer.address}{f' (tenant {answer.tenant})' if answer.tenant else ''}: {answer.verdict}"
    yield ""
    for finding in answer.findings:
        yield f"{MARKS[finding.weight]}  {finding.text}"
        if finding.advice:
            yield f"      {finding.advice}"
    if answer.attempts:
        yield ""
        yield "Lately, the last first:"
    for told in answer.attempts[:SHOWN]:
        yield from _attempt(told)
    if len(answer.attempts) > SHOWN:
        yield f"  ... and {len(answer.attempts) - SHOWN} sorts of attempts before; --json shows all"


def _attempt(told: "Told") -> Iterator[str]:
    attempt = told.attempt
    often = f", {attempt.count} times since {words(attempt.first)}" if attempt.count > 1 else ""
    over = f"{attempt.mechanism} on {attempt.listener}, {attempt.tls or 'TLS not ended here'}"
    yield f"{words(attempt.last)}  {attempt.client}  {told.text} ({over}{often}; session {attempt.session})"
    if told.advice and attempt.kind is Kind.REFUSAL:
        yield f"      {told.advice}"
