"""Recipients that were looked up a moment ago, so that the next message for one needn't look it up again.

Owns for how long, and how many. Only who has the address itself is remembered, and only who was found: an alias or a
catch-all may lead elsewhere by now, and whoever is new gets mail at once. What changed since, a suspension or a full
maildrop, `MessageIndex.append` finds in any case; then the sender hears it after the text instead of at its RCPT, and
the recipient is forgotten. A maildrop that has gone since is no reason to bounce, as another, an alias or a catch-all
may have its address by now: the sender is asked to come again (451). Refuses to know where recipients come from.
RFC 5321 §3.3 (a recipient that was accepted may be refused after the text), RFC 2033 §4.2.
"""

from service.mail.ports import Clock
from service.model.account import Recipient
from service.model.address import Address

SECONDS = 10.0
"""For how long one is remembered: a queue that a mail server works off often has several messages for the same one."""
MOST = 4096
"""Recipients, at some 600 octets each."""


class FoundRecipients:
    """Who was found in the last `seconds`; 0 remembers nobody."""

    def __init__(self, clock: Clock, seconds: float = SECONDS, most: int = MOST) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._found: dict[str, tuple[float, Recipient]] = {}
        """By address, with when it is over: the oldest first, as all last equally long."""

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._found)

    def recall(self, address: Address) -> Recipient | None:
        """Who has this address, with whatever tag, if that was found lately."""
        until, recipient = self._found.get(address.base, (0.0, None))
        return recipient if recipient is not None and self._clock.monotonic() < until else None

    def remember(self, address: Address, recipient: Recipient) -> None:
        """Keep that `recipient` was found for `address`, if it is the one who has it."""
        if not self._seconds or not address.base == recipient.address == recipient.delivered_to:
            return
        now = self._clock.monotonic()
        self.forget(recipient)
        self._found[recipient.address] = (now + self._seconds, recipient)
        while len(self._found) > self._most or next(iter(self._found.values()))[0] <= now:
            del self._found[next(iter(self._found))]

    def forget(self, recipient: Recipient) -> None:
        """Look it up anew the next time."""
        self._found.pop(recipient.address, None)
