"""The keys for a SCRAM exchange: a maildrop's own, or some that no proof fits.

Owns which keys a name is answered with, so that neither salt, round trips nor time tell whether it exists (G13), and
the judgement whether keys still stand when the exchange is over (G11). Refuses to know the exchange's messages.
RFC 5802 §3, RFC 7677 §3.
"""

import contextlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

from service.mail.guard import Guard
from service.mail.policy import admitted
from service.mail.ports import Directory
from service.mail.viewing import bare, is_recent
from service.model.account import Account, Credential
from service.model.address import compared
from service.model.proof import ScramProof
from service.model.refusal import Refusal
from service.model.scram import ITERATIONS, SALT_OCTETS, ScramKeys, parse_scram

NONCE_OCTETS = 18
PLAIN_SCRAM = "SCRAM-SHA-256"


@dataclass(frozen=True, slots=True)
class ScramChallenges:
    """What a SCRAM exchange needs of the service; `secret` is the same in all front ends and stays the same."""

    directory: Directory
    secret: bytes = field(repr=False)
    guard: Guard = field(default_factory=Guard)
    """Has those wait who guess passwords; by itself nobody."""

    async def __call__(self, name: str, client: str, mechanism: str = PLAIN_SCRAM) -> tuple[ScramKeys, str]:
        """Keys for `name`, whoever has it or nobody, and a nonce that was never used; `client` is who asks, by address.

        A name without usable keys gets the same ones every time, as a name with keys does, and no other ones with
        `recent:` before it. Raises Refusal: UNAVAILABLE, and CREDENTIALS where the connection is to be closed.
        """
        recent, name = is_recent(name), bare(name)
        account, blocked = await self.guard.look_up(client, name, self.directory.find(name))
        fake = self.nobodys(name)
        own = _with_keys(account)
        keys = own[1] if own else fake
        # The exchange tells a right password before the login is judged: whoever is refused anyhow is to learn nothing
        # by that. Neither the suspension of a tenant, domain or maildrop nor a policy nor a block may show in another
        # salt. The end or suspension of the credential itself does: the look-up finds none that is over.
        if account is None or own is None or blocked or _stands_against(account, own[0], (mechanism, client, recent)):
            keys = replace(fake, salt=keys.salt, iterations=keys.iterations)
        # RFC 5802 §7: `c-nonce = printable`, which has no comma; 18 octets are 24 letters of URL-safe base64.
        return keys, secrets.token_urlsafe(NONCE_OCTETS)

    def nobodys(self, name: str) -> ScramKeys:
        """Keys that come of the name and the service's secret alone, and that no password has."""
        base = compared(name).encode()
        salt, stored, server = (
            hmac.digest(self.secret, b"scram " + part + b"\0" + base, "sha256")
            for part in (b"salt", b"stored", b"server")
        )
        return ScramKeys(salt[:SALT_OCTETS], ITERATIONS, stored, server)


def proved(account: Account | None, proof: ScramProof) -> Credential | None:
    """The credential that `proof` opens, if its keys are still the account's; None for a proof that didn't fit."""
    own = _with_keys(account)
    return own[0] if own and proof.valid and own[1] == proof.keys else None


def _stands_against(account: Account, credential: Credential, how: tuple[str, str, bool]) -> bool:
    """Whether a login with the right password is refused; `how` is the mechanism, the client and `recent:` or not."""
    mechanism, client, recent = how
    if not account.active or (recent and account.policy.recent_days is None):
        return True
    try:
        admitted(account.policy, credential, mechanism, client)
    except Refusal:
        return True
    return False


def _with_keys(account: Account | None) -> tuple[Credential, ScramKeys] | None:
    """The newest credential that has keys, since an exchange has room for one salt."""
    for credential in account.credentials if account else ():
        if credential.scram is not None:
            with contextlib.suppress(ValueError):
                return credential, parse_scram(credential.scram)
    return None
