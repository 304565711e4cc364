"""A letter and the sheet it is written on.

Owns the header lines that every letter has, and how a finished message becomes octets with CRLF.
RFC 5322 §3.6 (fields), RFC 2045 §2.8 (8-bit text).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime

_BEGINNING = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivery: the reverse-path, the recipients, and the message with CRLF line ends."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    utf8: bool = False
    """Whether its header holds UTF-8 as it is, so that SMTPUTF8 must be announced (RFC 6531 §3.4)."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where a letter goes and when it was written, counted in half days."""

    day: int
    recipients: tuple[str, ...]

    @property
    def date(self) -> str:
        """The Date field's value."""
        return format_datetime(_BEGINNING + timedelta(hours=12 * self.day, minutes=17 * self.day))

    @property
    def message_id(self) -> str:
        """A Message-ID of its own."""
        return f"<letter-{self.day}@letters.example>"

    def begin(self, author: str, subject: str) -> EmailMessage:
        """A message with its usual fields and no body yet."""
        message = EmailMessage(policy=SMTP)
        message["From"] = author
        message["To"] = ", ".join(self.recipients)
        message["Subject"] = subject
        message["Date"] = self.date
        message["Message-ID"] = self.message_id
        return message

    def head(self, author: str, *fields: str) -> bytes:
        """The header of a message written by hand, down to the empty line that ends it."""
        lines = [f"From: {author}", f"To: {', '.join(self.recipients)}", f"Date: {self.date}"]
        lines += [f"Message-ID: {self.message_id}", "MIME-Version: 1.0", *fields, "", ""]
        return "\r\n".join(lines).encode()

    def finish(self, message: EmailMessage, sender: str = "bounce@letters.example") -> Letter:
        """The letter of a finished message; multipart boundaries follow from its place in the post."""
        for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
            _bound(part, f"part-{self.day}-{number}")
        return Letter(sender, self.recipients, message.as_bytes(policy=SMTP.clone(cte_type="8bit")))


def _bound(part: "Message[str, str]", boundary: str) -> None:
    if part.get_content_maintype() == "multipart":
        part.set_boundary(boundary)
