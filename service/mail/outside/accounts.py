"""The directory as it is where some tenants' users are kept outside: Poplar's own rows, and the answers of others.

Owns that an outside directory is asked for every name of such a tenant, whether or not there is a maildrop and whatever
its status, so that neither an answer, nor its time, nor an outage tells which names exist (G13). What Poplar's own rows
suspend stays suspended. Refuses to judge a password: `verification.py` and `vouching.py` do.
"""

from dataclasses import dataclass, replace
from uuid import uuid4

from service.mail.outside.directories import Directories, Known
from service.mail.outside.ports import Home, Homes
from service.mail.ports import Directory
from service.model.account import Account, MaildropKey, Outside, Recipient
from service.model.address import Address
from service.model.outside import Question, Stored, login_address
from service.model.policy import Announced
from service.model.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class OutsideAccounts:
    """Implements `mail.ports.Directory` over another one."""

    directory: Directory
    homes: Homes
    directories: Directories

    async def find(self, name: str) -> Account | None:
        """The account, with the credentials that its tenant's directory brings, if it brings any.

        Where the directory makes maildrops, somebody without one has an account that isn't housed.
        """
        account = await self.directory.find(name)
        address = login_address(name)
        if address is None:
            return account
        home = await self._home(account, address)
        known = self.directories.of(home.directory) if home else None
        return await _outside(known, home, account, address) if known and home else account

    async def resolve(self, address: Address) -> Recipient:
        """Where mail for `address` goes; one whom a directory knows gets a maildrop first, where it makes them.

        A catch-all takes no mail of theirs. Raises Refusal as the port says.
        """
        refused = None
        try:
            found = await self.directory.resolve(address)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_RECIPIENT:
                raise
            refused = refusal
        else:
            if found.delivered_to == found.address:
                return found
        if await self._provided(address):
            return await self.directory.resolve(address)
        if refused is not None:
            raise refused
        return found

    async def announced(self) -> Announced:
        """As the port says: by Poplar's own rows."""
        return await self.directory.announced()

    async def _home(self, account: Account | None, address: Address) -> Home | None:
        if account is not None:
            key = account.key
            return Home(key.tenant_id, account.tenant, account.active, account.directory, account.policy)
        return await self.homes.of(address.domain) if self.directories.named else None

    async def _provided(self, address: Address) -> bool:
        """Whether a maildrop was made for `address`, or is there by now."""
        if not any(known.provides for known in self.directories.named.values()):
            return False
        home = await self.homes.of(address.domain)
        known = self.directories.of(home.directory) if home else None
        if home is None or known is None or not (known.provides and home.active):
            return False
        named = Address(address.local, address.domain)
        if await known.guard.ask(Question(named, home.tenant)) is None:
            return False
        return await self.homes.provide(home, named, known.guard.name) is not None


async def _outside(known: Known, home: Home, account: Account | None, address: Address) -> Account:
    """The account as the directory knows it: with what it brought, or for it to judge."""
    guard = known.guard
    standing = account or _without_maildrop(known, home, address)
    outside = Outside(guard.name, housed=account is not None)
    if guard.judges:
        return replace(standing, credentials=(), outside=outside)
    answer = await guard.ask(Question(address, home.tenant))
    if not isinstance(answer, Stored):
        return replace(standing, active=False, credentials=(), outside=replace(outside, known=False))
    return replace(standing, credentials=answer.credentials, outside=outside)


def _without_maildrop(known: Known, home: Home, address: Address) -> Account:
    """Somebody whom the directory may know and who has no maildrop yet; nobody logs in where none is made."""
    key = MaildropKey(home.tenant_id, uuid4())
    return Account(key, home.tenant, address.base, home.active and known.provides, home.policy)
