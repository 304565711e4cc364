"""What opens a maildrop: its passwords, and beside them tokens and client certificates.

Owns why one of them can't be used. Refuses to say why a client's own attempt failed: `attempts` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from service.mail.explaining.facts import Facts, when
from service.mail.passwords import KIND as PASSWORD
from service.mail.policy import obstacle
from service.model.account import Status
from service.model.explanation import Finding, Weight
from service.model.policy_table import APP_PASSWORD_WAYS, policy_of
from service.model.tenancy import CredentialView

SOON = timedelta(days=7)
TOKENS, CERTIFICATES = "tokens", "client certificates"
PASSWORD_WAYS = {*APP_PASSWORD_WAYS, "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
_MECHANISMS = {TOKENS: {"OAUTHBEARER", "XOAUTH2"}, CERTIFICATES: {"EXTERNAL"}}


def credentials(facts: Facts) -> Iterator[Finding]:
    """Which of them open it, which don't, and why."""
    if facts.directory is not None:
        text = f"Its password is judged by the outside directory {facts.directory}, by none that is kept here."
        yield Finding(
            Weight.NOTE, "directory", text, "Look there whether the account may log in; `poplar doctor` asks it."
        )
    elif facts.maildrop is not None:
        beside = _beside_passwords(facts)
        if TOKENS in beside:
            yield Finding(Weight.GOOD, "issuers", f"Tokens of these issuers open it: {', '.join(facts.issuers)}.")
        if CERTIFICATES in beside:
            yield Finding(Weight.GOOD, "certificates", "A client certificate with its address opens it, by EXTERNAL.")
        yield from _passwords(facts, facts.maildrop.address, beside)


def _beside_passwords(facts: Facts) -> Sequence[str]:
    """What opens it without a password, as far as the policy allows its mechanisms."""
    there = [TOKENS] * bool(facts.issuers) + [CERTIFICATES] * facts.certificates
    allowed = facts.policy.mechanisms
    return [way for way in there if allowed is None or not _MECHANISMS[way].isdisjoint(allowed)]


def _passwords(facts: Facts, address: str, beside: Sequence[str]) -> Iterator[Finding]:
    usable = [each for each in facts.credentials if _obstacle(each, facts) is None]
    others = f"{' and '.join(beside)} alone open it" if beside else "nothing can open it"
    if not facts.credentials and beside:
        code = "tokens_alone" if TOKENS in beside else "certificates_alone"
        yield Finding(Weight.NOTE, code, f"It has no password: {others}.", f"To set one: {_creation(address)}")
    elif not facts.credentials:
        advice = f"To set one: {_creation(address)}"
        yield Finding(Weight.WRONG, "no_credential", f"It has no password, so {others}.", advice)
    elif not usable:
        text = f"None of its credentials can be used, so {others}: {_listed(facts.credentials, facts)}."
        weight = Weight.DOUBTFUL if beside else Weight.WRONG
        yield Finding(weight, "no_usable_credential", text, _ways_out(address, facts))
    else:
        yield Finding(Weight.GOOD, "credentials", f"It can be opened by: {_listed(usable, facts)}.")
        if useless := [each for each in facts.credentials if each not in usable]:
            text = f"These can't be used: {_listed(useless, facts)}."
            yield Finding(Weight.DOUBTFUL, "useless_credentials", text, "A client that has one of them is refused.")


def _ways_out(address: str, facts: Facts) -> str:
    """What lets one be used again. A new password alone opens nothing where one is suspended or has ended."""
    suspended = any(each.status is Status.SUSPENDED for each in facts.credentials)
    ends = [each.expires for each in facts.credentials if each.kind == PASSWORD]
    ended = any(end is not None and end <= facts.now for end in ends)
    ways = [f"resume one (poplar credential resume {address} LABEL)"] * suspended
    ways += [f"change one and give an end (poplar credential change {address} --expires)"] * ended
    way, *others = [*ways, f"add another: {_creation(address)} --label LABEL"]
    return ", or ".join([way[0].upper() + way[1:], *others])


def _creation(address: str) -> str:
    return f"poplar credential create {address}"


def _listed(those: Sequence[CredentialView], facts: Facts) -> str:
    return "; ".join(_described(each, facts) for each in those)


def _described(credential: CredentialView, facts: Facts) -> str:
    used = f"last used about {when(credential.last_used)}" if credential.last_used else "never used yet"
    parts = [credential.kind, *filter(None, [_obstacle(credential, facts)]), used]
    if credential.expires is not None and facts.now < credential.expires < facts.now + SOON:
        parts.append(f"expires {when(credential.expires)}")
    return f"{credential.label} ({', '.join(parts)})"


def _obstacle(credential: CredentialView, facts: Facts) -> str | None:
    """Why this credential opens nothing; None if it does."""
    if credential.status is Status.SUSPENDED:
        return "suspended"
    if credential.expires is not None and credential.expires <= facts.now:
        return f"expired {when(credential.expires)}"
    if facts.policy.app_passwords == "required" and credential.kind == PASSWORD:
        return "the policy wants an app password"
    own = policy_of(credential.policy)
    if not _ways(credential.kind, facts.policy.mechanisms, own.mechanisms):
        return "no way to log in that takes it is allowed"
    return "not for this client's network" if own.networks is not None and outside(facts, own.networks) else None


def _ways(kind: str, *allowed: tuple[str, ...] | None) -> set[str]:
    """The ways to log in that take a credential of this kind, and are allowed by all."""
    taking = PASSWORD_WAYS if kind == PASSWORD else {*APP_PASSWORD_WAYS}
    return taking.intersection(*(each for each in allowed if each is not None))


def outside(facts: Facts, networks: tuple[str, ...]) -> bool:
    """Whether the client that is asked about is in none of these networks; False where none is named."""
    only = replace(policy_of({}), networks=networks)
    return facts.client is not None and obstacle(only, "", facts.client) is not None
