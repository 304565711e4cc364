"""Who is held back now, and lifting it: what the support desk does when a customer calls.

Owns what is listed, how whom to forgive is named, and that it is audited. Refuses to know where scores are kept.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from service.mail.attempts import Attempts
from service.mail.counting import Rules, account_of
from service.mail.provisioning import Office
from service.model.attempts import PLACES, Kind, Limit, Standing, Subject, judge
from service.model.refusal import Reason, Refusal

SERVICE = ""
"""Stands for the tenant where an act concerns the whole service."""


@dataclass(frozen=True, slots=True)
class Block:
    """Somebody whose logins are held back; in `lifts_in` seconds they are held back no more, if none fails again."""

    by: str
    """What is counted: address, network, pair (of account and address), account or tenant."""
    whom: str
    state: str
    """delayed; refused (without a look at the password); closed (the connection as well)."""
    wrong_passwords: float
    lifts_in: int


@dataclass(frozen=True, slots=True)
class Blocks:
    """Those that are held back, over all front ends; `half_life` in seconds."""

    attempts: Attempts
    rules: Rules
    half_life: float

    async def every(self) -> Sequence[Block]:
        """The hardest first. Raises Refusal(UNAVAILABLE)."""
        found = [block for each in await self.attempts.scored() if (block := self._block(each)) is not None]
        return sorted(found, key=lambda block: (-block.lifts_in, block.by, block.whom))

    async def clear(self, office: Office, whom: str) -> int:
        """Forget the wrong passwords of an address, network, account or tenant; of how many subjects that was.

        Raises Refusal: INVALID, NOT_FOUND if nobody of that name has any, UNAVAILABLE.
        """
        named = meant(whom)
        subjects = [each.subject for each in await self.attempts.scored() if named(each.subject)]
        if not subjects:
            raise Refusal(Reason.NOT_FOUND, f"no wrong passwords are counted for {whom}")
        await office.tenancy.audit.note(office.act(SERVICE), ("block.clear", whom))
        return await self.attempts.forget(subjects)

    def _block(self, standing: Standing) -> Block | None:
        verdict = judge([standing], self.rules.limits, self.rules.longest_delay)
        if verdict.by is None:
            return None
        limit = self.rules.limits.get(standing.subject.kind, Limit())
        lowest = limit.delay_from or limit.refuse_from
        half_lives = max(0.0, math.log2(standing.score / (lowest - 0.5)))
        state = "closed" if verdict.closes else "refused" if verdict.refused else "delayed"
        seconds = math.ceil(half_lives * self.half_life)
        return Block(standing.subject.kind.value, standing.subject.name, state, round(standing.score, 1), seconds)


def meant(whom: str) -> Callable[[Subject], bool]:
    """Whether a subject is meant by `whom`: an address, a network (CIDR), an account's address, or a tenant's name.

    Raises Refusal(INVALID) for what is none of them.
    """
    text = whom.strip()
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return _account(text) if "@" in text else _tenant(text)
    return lambda subject: any(
        place.version == network.version and place.overlaps(network)
        for place in ([ip_network(_place(subject))] if _place(subject) else [])
    )


def _place(subject: Subject) -> str:
    """The network in a subject's name, if it has one."""
    if subject.kind in PLACES:
        return subject.name
    return subject.name.rpartition(" ")[2] if subject.kind is Kind.PAIR else ""


def _account(text: str) -> Callable[[Subject], bool]:
    address = account_of(text)
    if address is None:
        raise Refusal(Reason.INVALID, "not the address of a maildrop")
    account = Subject(Kind.ACCOUNT, str(address))
    return lambda each: each == account or (each.kind is Kind.PAIR and each.name.startswith(f"{address} "))


def _tenant(text: str) -> Callable[[Subject], bool]:
    if not text or any(character.isspace() or not character.isprintable() for character in text):
        raise Refusal(Reason.INVALID, "name an address, a network, a maildrop or a tenant")
    return lambda each: each == Subject(Kind.TENANT, text)
