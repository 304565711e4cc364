"""What outside directories are to the service, as Protocols; `stores/directories` and `stores/postgres` implement them.

`OutsideDirectory` is the one port through which a provider's own users come in, whatever keeps them. Its answer is
clear or a refusal: whatever isn't a plain yes or no means that the directory is unavailable (G14), never that a
password is wrong. RFC 3206 §4, §5.
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from service.model.address import Address
from service.model.outside import Answer, Question
from service.model.policy import Policy
from service.model.refusal import Reason, Refusal


class AwayError(Refusal):
    """The directory could not be reached at all, or ended the connection: asking others of it now is of no use."""

    def __init__(self, cause: str) -> None:
        super().__init__(Reason.UNAVAILABLE, cause)


class OutsideDirectory(Protocol):
    """One system that keeps users."""

    @property
    def judges(self) -> bool:
        """Whether it judges passwords itself, and answers `Allowed`; else it answers `Stored`, asked without one."""

    async def ask(self, question: Question) -> Answer:
        """Whether the address is known and the password right; None for no.

        Whoever cancels it takes nothing from later questions. Raises Refusal(UNAVAILABLE) for whatever isn't a clear
        answer; AwayError when there was none.
        """


@dataclass(frozen=True, slots=True)
class Home:
    """The tenant that owns a domain: where a maildrop of that domain stands, or would."""

    tenant_id: UUID
    tenant: str
    active: bool
    """False when the tenant or the domain is suspended."""
    directory: str | None
    """The outside directory that the tenant chose; None for the service's default."""
    policy: Policy
    """The tenant's."""


class Homes(Protocol):
    """Domains with their tenants, and the making of maildrops for users whom a directory knows."""

    async def of(self, domain: str) -> Home | None:
        """The home of this domain, or None. Raises Refusal(UNAVAILABLE)."""

    async def provide(self, home: Home, address: Address, directory: str) -> UUID | None:
        """The maildrop of `address`, made now if there is none; audited as the directory's act. Idempotent.

        None where there may be none: tenant or domain isn't active, the tenant chose another directory, or an alias
        has the address. Raises Refusal(UNAVAILABLE).
        """
