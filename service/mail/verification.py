"""Which credential a password opens: named by an app password's text, remembered from a moment ago, or computed.

Owns the order: an app password names its credential and is compared at once; what is remembered is asked before the
queue of computations, so that a flood of wrong passwords, which fills that queue, never slows a login that went well
lately. Every refusal costs one computation (G13).
Refuses to know where the account came from; it is read anew for each login, so that whatever changed binds (G11).
RFC 4616 §2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.mail.passwords import KIND
from service.mail.ports import PasswordHashes
from service.mail.renewals import Renewals
from service.mail.verdicts import Verdicts
from service.model.account import Account, Credential, MaildropKey
from service.model.app_password import KIND as APP
from service.model.app_password import parse_app_password


@dataclass(frozen=True, slots=True)
class Verification:
    """Verifies passwords against the credentials of an account."""

    hashes: PasswordHashes
    verdicts: Verdicts
    renewals: Renewals

    async def __call__(self, account: Account | None, secret: str) -> Credential | None:
        """The credential that `secret` opens, or None; None for an account costs as much as a wrong password.

        Raises Refusal(OVERLOADED) when there is no room to compute.
        """
        if account is not None and account.outside is not None and account.outside.vouched is not None:
            return account.outside.vouched
        # Which are in date the directory has said, by one clock for all: this process's own may be wrong (G14).
        if account is not None and (opened := _app(account, secret)) is not None:
            return opened
        usable = [each for each in account.credentials if each.kind == KIND] if account else []
        if account is None or not usable:
            await self.hashes.verify(None, secret)
            return None
        known = self.verdicts.recall(account.key, usable, secret)
        return known or await self._computed(account.key, usable, secret)

    async def _computed(self, key: MaildropKey, credentials: Sequence[Credential], secret: str) -> Credential | None:
        for credential in credentials:
            if await self.hashes.verify(credential.verifier, secret):
                self.verdicts.remember(key, credential, secret)
                self.renewals.begin(key, credential, secret)
                return credential
        return None


def _app(account: Account, secret: str) -> Credential | None:
    """The credential that an app password names and opens; a wrong one goes on and costs what every refusal does."""
    presented = parse_app_password(secret)
    if presented is None:
        return None
    named = (c for c in account.credentials if c.kind == APP and presented.names(c.credential_id))
    return next((c for c in named if presented.opens(c.credential_id, c.verifier)), None)
