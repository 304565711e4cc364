"""What stands against a login as an address, what may, and what doesn't: the stored facts in plain words.

Owns the judgement of each fact and the advice. Refuses to gather: it is given all facts at once. The order is the one
in which a login meets them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from service.mail.explaining.credentials import credentials, outside
from service.mail.explaining.facts import Facts, when
from service.mail.explaining.treatment import treatment
from service.model.account import Status
from service.model.attempts import Kind
from service.model.event import Kind as Attempted
from service.model.explanation import Finding, Weight
from service.model.tenancy import MaildropView
from service.model.why import Why

LATELY = timedelta(hours=1)
"""How long a refusal tells of how many sessions there are now."""
GOOD, NOTE, DOUBTFUL, WRONG = Weight.GOOD, Weight.NOTE, Weight.DOUBTFUL, Weight.WRONG


def findings(facts: Facts) -> Sequence[Finding]:
    """All of them, in order."""
    return [finding for part in _PARTS for finding in part(facts)]


def _name(facts: Facts) -> Iterator[Finding]:
    if facts.domain is None:
        text = f"The domain {facts.address.domain} is nobody's here."
        yield Finding(WRONG, "no_domain", text, "Compare the domain letter by letter; mail for it isn't taken either.")
    elif facts.maildrop is None:
        yield from _no_maildrop(facts)
    elif facts.address.tag:
        text = f"A login has no tag: {facts.address} names nobody, though mail for it is delivered."
        yield Finding(WRONG, "tag", text, f"The user name is {facts.address.base}.")
    else:
        yield Finding(GOOD, "exists", f"The maildrop exists; it is tenant {facts.maildrop.tenant}'s.")


def _no_maildrop(facts: Facts) -> Iterator[Finding]:
    if facts.alias is not None:
        text = f"{facts.alias.alias} is an alias of {facts.alias.address}: it takes mail, and nobody can log in as it."
        yield Finding(WRONG, "alias", text, f"The user name is {facts.alias.address}.")
        return
    likely = f"Is {' or '.join(facts.alike)} meant?" if facts.alike else "Compare it letter by letter."
    yield Finding(WRONG, "no_maildrop", f"There is no maildrop {facts.address.base}.", likely)
    catch_all = facts.domain.catch_all if facts.domain else None
    if catch_all:
        text = f"Mail for it is taken all the same, by the domain's catch-all: it goes to {catch_all}."
        yield Finding(NOTE, "catch_all", text)


def _status(facts: Facts) -> Iterator[Finding]:
    tenant, domain, maildrop = facts.tenant, facts.domain, facts.maildrop
    named = [("tenant", tenant.name, tenant.status)] if tenant else []
    named += [("domain", domain.name, domain.status)] if domain else []
    named += [("maildrop", maildrop.address, maildrop.status)] if maildrop else []
    suspended = [(kind, name) for kind, name, status in named if status is Status.SUSPENDED]
    for kind, name in suspended:
        text = f"The {kind} {name} is suspended: every login is refused as if the password were wrong."
        yield Finding(WRONG, f"{kind}_suspended", text, f"To let it in again: poplar {kind} resume {name}")
    if maildrop is not None and not suspended:
        yield Finding(GOOD, "active", "Its tenant, its domain and the maildrop itself are active.")


def _policy(facts: Facts) -> Iterator[Finding]:
    policy = facts.policy
    if not policy.pop3:
        text = f"The policy has POP3 off{_origin(facts.maildrop, 'pop3')}: every login is refused."
        yield Finding(WRONG, "pop3_off", text, "To allow it: set the policy value pop3.")
    if policy.mechanisms is not None:
        ways = ", ".join(policy.mechanisms) or "none at all"
        text = f"The policy allows these ways to log in alone: {ways}{_origin(facts.maildrop, 'mechanisms')}."
        yield Finding(DOUBTFUL if policy.mechanisms else WRONG, "mechanisms", text)
    if policy.networks is not None:
        yield _networks(facts, policy.networks)


def _networks(facts: Facts, networks: tuple[str, ...]) -> Finding:
    listed = f"{', '.join(networks) or 'none at all'}{_origin(facts.maildrop, 'networks')}"
    if facts.client is None:
        text = f"The policy lets clients in from these networks alone: {listed}."
        return Finding(DOUBTFUL, "networks", text, "Ask with --client and the client's address.")
    if outside(facts, networks):
        text = f"The policy doesn't let {facts.client} in: only {listed}."
        return Finding(WRONG, "network_refused", text, "Connect from there, or change the policy value networks.")
    return Finding(GOOD, "network_allowed", f"The policy lets {facts.client} in: {listed}.")


def _held_back(facts: Facts) -> Iterator[Finding]:
    for client, verdict in facts.held_back.items():
        # No numbers, nor seconds, which tell them: failures at another tenant's accounts may be among them (G10).
        whom = _WHOM[verdict.by.subject.kind] if verdict.by else ""
        what = "refused without a look at its password" if verdict.refused else "made to wait"
        text = f"A login from {client} is {what} now: there were too many wrong passwords lately {whom}."
        weight = WRONG if verdict.refused and facts.client is not None else DOUBTFUL
        yield Finding(weight, "held_back", text, "Correct the password on each device; then it passes by itself.")


_WHOM: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ADDRESS: "from that address",
        Kind.NETWORK: "from that network",
        Kind.PAIR: "for this account from that address",
        Kind.ACCOUNT: "for this account, from anywhere",
        Kind.TENANT: "for the tenant's accounts",
    }
)


def _session(facts: Facts) -> Iterator[Finding]:
    holder = facts.holder
    if holder is not None and facts.maildrop is not None:
        text = (
            f"A session holds it since {when(holder.since)}, from {holder.client} by {holder.mechanism}"
            f" (session {holder.session_id} on {holder.process}): another login is told that it is in use."
        )
        advice = f"Wait until that client is done, or end it: poplar session kick {facts.maildrop.address}"
        yield Finding(DOUBTFUL, "in_use", text, advice)


def _delay(facts: Facts) -> Iterator[Finding]:
    delay = timedelta(seconds=facts.policy.login_delay)
    last = max((attempt.last for attempt in facts.logins), default=None)
    if not delay or facts.maildrop is None:
        return
    burst = f", after {facts.policy.login_burst} at once" if facts.policy.login_burst > 1 else ""
    wanted = f"{facts.policy.login_delay} seconds between two logins{burst}{_origin(facts.maildrop, 'login_delay')}"
    if last is not None and facts.now < last + delay:
        text = (
            f"The policy wants {wanted}; the last was at {when(last)}: one before {when(last + delay)} may be refused."
        )
        yield Finding(DOUBTFUL, "login_delay", text, "Wait, or shorten the policy's login_delay.")
    else:
        yield Finding(NOTE, "login_delay_policy", f"The policy wants {wanted}.")


def _places(facts: Facts) -> Iterator[Finding]:
    limits = [
        f"{limit} {whose}{_origin(facts.maildrop, name)}"
        for name, limit, whose in (
            ("sessions_per_address", facts.policy.sessions_per_address, "of the tenant from one client address"),
            ("sessions_per_tenant", facts.policy.sessions_per_tenant, "of all the tenant's maildrops"),
        )
        if limit is not None
    ]
    if not limits or facts.maildrop is None:
        return
    wanted = f"The policy allows so many sessions at once: {', '.join(limits)}"
    refused = _refused_for_sessions(facts)
    if refused is not None:
        text = f"{wanted}; a login was refused for that at {when(refused)}: another may be until some of them end."
        advice = "Look who is there (poplar session list), wait until some are done, or raise the limit."
        yield Finding(DOUBTFUL, "too_many_sessions", text, advice)
    else:
        yield Finding(NOTE, "sessions_policy", f"{wanted}.")


def _refused_for_sessions(facts: Facts) -> datetime | None:
    """When that was, unless it is long ago or a login succeeded since."""
    refused = [each.last for each in facts.tried if each.reason == Why.TOO_MANY_SESSIONS.value]
    logins = [each.last for each in facts.tried if each.kind is Attempted.LOGIN]
    last = max(refused, default=None)
    return last if last is not None and last > max([facts.now - LATELY, *logins]) else None


def _mail(facts: Facts) -> Iterator[Finding]:
    maildrop, policy = facts.maildrop, facts.policy
    if maildrop is None:
        return
    full = (policy.quota_messages is not None and maildrop.messages >= policy.quota_messages) or (
        policy.quota_octets is not None and maildrop.octets >= policy.quota_octets
    )
    held = f"It holds {maildrop.messages} messages of {maildrop.octets} octets"
    if full:
        text = f"{held}, which is its quota: mail for it bounces or waits. Logins don't mind."
        yield Finding(NOTE, "over_quota", text, "Have mail removed, or raise the quota.")
    else:
        # Nobody can tell from a message that it was restored or imported, so that it came by no delivery.
        last = f"the newest was stored {when(facts.last_delivery)}" if facts.last_delivery else "none ever came"
        yield Finding(NOTE, "mail", f"{held}; {last}.")


def _tried(facts: Facts) -> Iterator[Finding]:
    if facts.attempts is None:
        text = "What was tried lately, and who holds the maildrop now, can't be seen: Redis doesn't answer."
        yield Finding(NOTE, "no_register", text, "Ask again later; the event stream has it too.")
    elif not facts.tried:
        text = f"Nothing was tried under this name{f' from {facts.client}' if facts.client else ''} lately."
        advice = (
            "A client that fails all the same doesn't reach this service, or not under this name: look at its server"
            " name, its port, its TLS setting and its user name."
        )
        yield Finding(NOTE, "nothing_tried", text, advice)


def _origin(maildrop: MaildropView | None, name: str) -> str:
    return f" (set by the {maildrop.settings[name].origin.value})" if maildrop is not None else ""


_PARTS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _name,
    _status,
    _policy,
    credentials,
    _held_back,
    _session,
    _delay,
    _places,
    _tried,
    _mail,
    treatment,
)
