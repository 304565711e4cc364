"""Export: the messages that a maildrop's clients are shown, written into a Maildir for another server to serve.

Owns that each is verified as for RETR (G8), that a second run adds only what is missing, and that the audit says that
somebody was given the mail, before he is given any of it. Refuses to end or to hold back sessions: nothing changes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.mail.exported_maildir import ExportedMaildir
from service.mail.provisioning import Office
from service.mail.retrieval import Retrieval
from service.mail.tenancy import Act
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import ListedMessage, MaildropView

AT_ONCE = 16
"""Messages read at the same time; each comes in pieces, so this bounds memory too."""
PAGE = 512
"""Messages asked for together."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one message: written, `known` from an earlier run, or refused."""

    unique_id: str
    """What UIDL tells of it."""
    known: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """One run of one maildrop's."""

    office: Office
    retrieval: Retrieval
    act: Act
    address: Address
    view: MaildropView
    maildir: ExportedMaildir

    async def run(self) -> AsyncIterator[Exported]:
        """Export everything, telling of each message once it is written, or refused because its blob is damaged.

        Raises Refusal(UNAVAILABLE) when a store fails, OSError when a file can't be written: what was told of stays,
        and another run goes on from there.
        """
        try:
            async for page in self._pages():
                for start in range(0, len(page), AT_ONCE):
                    batch = page[start : start + AT_ONCE]
                    for listed, outcome in zip(batch, await self._written(batch), strict=True):
                        if outcome.refusal is None:
                            self.maildir.name(listed)
                        yield outcome
        finally:
            self.maildir.finish()

    async def _pages(self) -> AsyncIterator[Sequence[ListedMessage]]:
        after, messages = 0, self.office.tenancy.listed_messages
        while page := await messages.page(self.act.tenant, self.address, after, PAGE):
            yield page
            after = page[-1].message.sequence

    async def _written(self, batch: Sequence[ListedMessage]) -> Sequence[Exported]:
        """In their order. Raises only once none of them is under way any more."""
        outcomes = await asyncio.gather(*(self._write(listed) for listed in batch), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Exported)]

    async def _write(self, listed: ListedMessage) -> Exported:
        if self.maildir.has(listed):
            return Exported(listed.unique_id, known=True)
        try:
            await self.maildir.write(listed, self.retrieval.pieces(listed.message))
        except Refusal as refusal:
            if refusal.reason is Reason.UNAVAILABLE:
                raise
            return Exported(listed.unique_id, refusal=refusal)
        return Exported(listed.unique_id)


async def begin_export(office: Office, retrieval: Retrieval, address: str, path: Path) -> Export:
    """An export of the maildrop of this address into the Maildir at `path`.

    Raises Refusal: INVALID for the address or the path, NOT_FOUND.
    """
    act, name = await office.acting(address, None)
    view = await office.tenancy.maildrops.find(act.tenant, name)
    if view is None:
        raise Refusal(Reason.NOT_FOUND, f"there is no maildrop {name}")
    maildir = ExportedMaildir(path, view.maildrop_id)
    await office.tenancy.audit.note(act, ("maildrop.export", str(name)), {"path": str(path), "messages": view.messages})
    return Export(office, retrieval, act, name, view, maildir)
