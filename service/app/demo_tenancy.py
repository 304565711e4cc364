"""The demo's two tenants and four people.

Owns their names and passwords. They come to be through the same use cases that staff's commands call.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from service.app.provisioning import provisioning
from service.mail.passwords import generate_password
from service.mail.provisioning import Provisioning
from service.model.refusal import Reason, Refusal
from service.settings import Settings

ACTOR = "demo"
PEOPLE = (
    ("orchard", "anna@orchard.example"),
    ("orchard", "ben@orchard.example"),
    ("harbour", "carla@harbour.example"),
    ("harbour", "dmitri@harbour.example"),
)


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One maildrop and the password that opens it."""

    tenant: str
    address: str
    password: str

    def as_json(self) -> dict[str, str]:
        """As the ready file lists it."""
        return asdict(self)


def accounts_of(noted: Sequence[dict[str, Any]] | None) -> tuple[DemoAccount, ...]:
    """The accounts that an earlier start noted, or new ones with passwords of their own."""
    if noted is not None:
        return tuple(DemoAccount(**entry) for entry in noted)
    return tuple(DemoAccount(tenant, address, generate_password()) for tenant, address in PEOPLE)


async def provide_accounts(settings: Settings, accounts: Sequence[DemoAccount]) -> None:
    """Make each account's tenant, domain, maildrop and credential where they are missing."""
    async with provisioning(settings, ACTOR) as desk:
        for account in accounts:
            await _provide(desk, account)


async def _provide(desk: Provisioning, account: DemoAccount) -> None:
    with _unless_it_exists():
        await desk.tenants.create(account.tenant)
    with _unless_it_exists():
        await desk.domains.create(account.tenant, account.address.partition("@")[2])
    with _unless_it_exists():
        await desk.maildrops.create(account.address)
    with _unless_it_exists():
        await desk.credentials.create(account.address, await desk.passwords.credential(account.password))


@contextmanager
def _unless_it_exists() -> Iterator[None]:
    """Let an interrupted first start be taken up."""
    try:
        yield
    except Refusal as refusal:
        if refusal.reason is not Reason.EXISTS:
            raise
