"""What was tried lately, in plain words: what each refusal meant and what helps against it.

Owns the words for every `Why`. Refuses to weigh them: `findings` and `verdict` do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from service.mail.recent import Attempt
from service.model.event import Kind
from service.model.why import Why


@dataclass(frozen=True, slots=True)
class Told:
    """One sort of attempt, and what it means."""

    attempt: Attempt
    text: str
    advice: str = ""


_WORDS: Mapping[Why, tuple[str, str]] = MappingProxyType(
    {
        Why.UNKNOWN_NAME: (
            "nobody had this name",
            "The user name in the mail program is the whole address; compare it letter by letter.",
        ),
        Why.WRONG_SECRET: (
            "the password was wrong, or one that was suspended or had expired",
            "Enter the password anew in the mail program, on each device; or set another one.",
        ),
        Why.UNUSABLE_SECRET: (
            "the password was empty or too long, was not sent as UTF-8, or has characters that no password may have",
            "Set a password of plain letters and digits, and enter it anew in the mail program, on each device.",
        ),
        Why.NO_PROOF: (
            "the client gave up its login or broke the rules of its mechanism",
            "Have the mail program use another way to log in, such as a normal password.",
        ),
        Why.SUSPENDED: ("the tenant, the domain or the maildrop was suspended", "See above whether it still is."),
        Why.NOT_FOR_ANOTHER: (
            "it asked to act for another account",
            "Leave the authorization name in the mail program empty.",
        ),
        Why.POLICY: ("the password was right, but", "Use what the policy allows, or change the policy."),
        Why.BLOCKED: (
            "too many wrong passwords had come from there",
            "Correct the password on every device there; then it passes by itself, or at once by `poplar block clear`.",
        ),
        Why.IN_USE: (
            "another session held the maildrop",
            "One client at a time may hold it: let devices check for mail less often, or end the other session.",
        ),
        Why.LOGIN_DELAY: (
            "it came too soon after the login before",
            "Have the mail program check for mail less often, or shorten the policy's login_delay.",
        ),
        Why.TOO_MANY_SESSIONS: (
            "the tenant, or the client's address, had as many sessions at once as the policy allows",
            "Wait until some end, or raise sessions_per_address or sessions_per_tenant.",
        ),
        Why.UNAVAILABLE: (
            "a system that this service needs was out of reach",
            "Nothing is wrong at the client: the operators' dashboards and logs tell more.",
        ),
        Why.OVERLOADED: ("the service had too much to do", "Nothing is wrong at the client: it may try again."),
        Why.DRAINING: ("the process was being stopped", "Nothing is wrong at the client: it may try again."),
        Why.OTHER: ("for a reason that has no words yet", "Look for the session's id in the log."),
    }
)


_TOKENS = frozenset({"OAUTHBEARER", "XOAUTH2"})
_CERTIFICATES = frozenset({"EXTERNAL"})
_SIGN_IN = "Sign in anew in the mail program; compare the tenant's issuers: poplar issuer list"
_OWN_CERTIFICATE = "Choose, in the mail program, the client certificate that has this address as an rfc822Name."


def told(attempt: Attempt) -> Told:
    """The attempt in words."""
    if attempt.kind is Kind.LOGIN:
        by = f" by the credential {attempt.credential}" if attempt.credential else ""
        return Told(attempt, f"logged in{by}")
    why = _why(attempt)
    text, advice = _WORDS[why]
    if why is Why.WRONG_SECRET and attempt.mechanism in _TOKENS:
        text, advice = f"its token was not accepted ({attempt.detail})", _SIGN_IN
    if why is Why.WRONG_SECRET and attempt.mechanism in _CERTIFICATES:
        text, advice = "its client certificate doesn't have this address", _OWN_CERTIFICATE
    if why is Why.POLICY:
        text = f"the {_shown(attempt.mechanism)} was right, but"
    if why is Why.POLICY and attempt.detail:
        text = f"{text} {attempt.detail}"
    return Told(attempt, f"refused: {text}", advice)


def _shown(mechanism: str) -> str:
    """What a client proves itself with."""
    if mechanism in _TOKENS:
        return "token"
    return "client certificate" if mechanism in _CERTIFICATES else "password"


def _why(attempt: Attempt) -> Why:
    """A later release may know more reasons."""
    try:
        return Why(attempt.reason)
    except ValueError:
        return Why.OTHER
