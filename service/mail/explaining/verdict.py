"""The one sentence that a support desk reads first.

Owns which finding or attempt it is about: what makes every login fail, then what was refused last, then what may stand
against the next one. Refuses to find anything itself.
"""

from collections.abc import Sequence

from service.mail.explaining.attempts import told
from service.mail.explaining.facts import Facts, when
from service.model.event import Kind
from service.model.explanation import Finding, Weight


def verdict(facts: Facts, findings: Sequence[Finding]) -> str:
    """What it comes to."""
    wrong = [finding for finding in findings if finding.weight is Weight.WRONG]
    if wrong:
        return f"No login{_by(facts)} can succeed now. {wrong[0].text}"
    doubts = [finding for finding in findings if finding.weight is Weight.DOUBTFUL]
    if not facts.tried:
        known = "can't be seen now" if facts.attempts is None else "was nothing"
        return f"{_now(doubts)} What was tried{_by(facts)} lately {known}."
    last = facts.tried[0]
    if last.kind is Kind.LOGIN:
        return f"{_now(doubts)} The last login, at {when(last.last)} from {last.client}, went well."
    words = told(last).text.removeprefix("refused: ")
    return f"The last attempt, at {when(last.last)} from {last.client}, was refused: {words}. {_now(doubts)}"


def _now(doubts: Sequence[Finding]) -> str:
    if not doubts:
        return "Nothing stands against a login now."
    return f"A login can succeed, but not each one: {doubts[0].text}"


def _by(facts: Facts) -> str:
    return f" from {facts.client}" if facts.client else ""
