"""What the policy makes of the mail itself, in plain words: what a session sees, and what DELE and RETR come to.

Owns the answers to "where is my mail?" and "why does it come back?". Refuses to judge logins, save by a name that asks
for the last days alone. RFC 1939 §5 (DELE, RETR).
"""

from collections.abc import Iterator

from service.mail.explaining.facts import Facts
from service.mail.viewing import PREFIX
from service.model.explanation import Finding, Weight
from service.model.policy import Policy

DELE = {
    "keep": "DELE only pretends: what a client removes is listed again in its next session",
    "refuse": "DELE is refused: no client can remove anything",
    "undo": "What DELE removes can be restored for {} days",
}


def treatment(facts: Facts) -> Iterator[Finding]:
    """A finding for each value that isn't the usual one."""
    if facts.maildrop is None:
        return
    settings = facts.maildrop.settings
    for code, text in _told(facts.policy):
        yield Finding(Weight.NOTE, code, f"{text} (set by the {settings[code].origin.value}).")
    if facts.recent and facts.policy.recent_days is None:
        text = f"The policy has {PREFIX} off: with it before the name, the name is nobody's."
        yield Finding(Weight.WRONG, "recent_off", text, f"The user name is {facts.address.base}; or set recent_days.")
    elif facts.recent:
        text = f"A client that logs in with {PREFIX} sees mail of the last {facts.policy.recent_days} days alone"
        yield Finding(Weight.NOTE, "recent_days", f"{text} (set by the {settings['recent_days'].origin.value}).")


def _told(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.shown_since is not None:
        yield "shown_since", f"Clients see only mail received from {policy.shown_since} on"
    if policy.shown_days is not None:
        yield "shown_days", f"Clients see only mail received in the last {policy.shown_days} days"
    if policy.dele in DELE:
        yield "dele", DELE[policy.dele].format(policy.undo_days)
    if policy.expire_days is not None:
        yield "expire_days", f"Mail is removed {policy.expire_days} days after it came, whether it was retrieved or not"
    if policy.retrieved_days == 0:
        yield "retrieved_days", "What a client retrieves is removed when it quits, whether it asks for that or not"
    elif policy.retrieved_days is not None:
        yield "retrieved_days", f"What a client retrieved is removed {policy.retrieved_days} days later"
    if policy.octets_per_day is not None:
        text = f"Clients may retrieve {policy.octets_per_day} octets of messages in 24 hours"
        yield "octets_per_day", f"{text}, and are told then for how long they get no more"
