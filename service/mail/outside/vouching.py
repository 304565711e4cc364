"""What a login asks of outside directories besides the account: is this password right, and where is the maildrop.

Owns the two steps around the verification: the question to a directory that judges passwords itself, and the maildrop
that a first login makes. A directory is asked even for an account that can't be opened (G13). Refuses to know vendors.
RFC 3206 §5, RFC 4616 §2.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from service.mail.outside.directories import Directories
from service.mail.outside.ports import Home, Homes
from service.model.account import Account, Credential, MaildropKey
from service.model.address import parse_address
from service.model.outside import Allowed, Question
from service.model.proof import Password
from service.model.refusal import Reason, Refusal

if TYPE_CHECKING:
    from service.mail.login import Attempt

KIND = "outside"


@dataclass(frozen=True, slots=True)
class Vouching:
    """The two steps."""

    directories: Directories
    homes: Homes

    async def judged(self, account: Account | None, attempt: "Attempt") -> Account | None:
        """`account`, vouched for if its directory judges passwords and found this one right.

        What isn't a password, such as a token, opens nothing either for somebody whom the directory doesn't know. A
        password that isn't usable opens nothing at all, and no directory is shown it.
        Raises Refusal: UNAVAILABLE, OVERLOADED.
        """
        proof = attempt.proof
        if account is None or account.outside is None or proof is None:
            return account
        if isinstance(proof, Password) and not proof.usable:
            return account
        guard = self.directories.named[account.outside.directory].guard
        if not guard.judges:
            return account
        answer = await guard.ask(_question(account, attempt))
        if not isinstance(proof, Password):
            unknown = replace(account.outside, known=False)
            return account if answer is not None else replace(account, active=False, outside=unknown)
        return _vouched_for(account, guard.name, answer) if isinstance(answer, Allowed) else account

    async def housed(self, account: Account) -> Account:
        """`account` with a maildrop, made now if it had none. Raises Refusal: CREDENTIALS if none may be made."""
        if account.outside is None or account.housed:
            return account
        name = account.outside.directory
        home = Home(account.key.tenant_id, account.tenant, account.active, account.directory, account.policy)
        maildrop = await self.homes.provide(home, parse_address(account.address), name)
        if maildrop is None:
            raise Refusal(Reason.CREDENTIALS, f"directory {name} knows it, but there may be no such maildrop")
        return replace(account, key=MaildropKey(home.tenant_id, maildrop))


def _question(account: Account, attempt: "Attempt") -> Question:
    address, proof = parse_address(account.address), attempt.proof
    if not isinstance(proof, Password):
        return Question(address, account.tenant)
    facts = (attempt.client, attempt.mechanism, attempt.listener, attempt.session_id)
    return Question(address, account.tenant, proof.secret, *facts)


def _vouched_for(account: Account, directory: str, answer: Allowed) -> Account:
    which = uuid5(NAMESPACE_URL, f"poplar-directory:{directory}:{answer.label}")
    vouched = Credential(which, KIND, "", answer.label or directory, kept_outside=True)
    outside = account.outside and replace(account.outside, vouched=vouched)
    return replace(account, policy=answer.over(account.policy), outside=outside)
