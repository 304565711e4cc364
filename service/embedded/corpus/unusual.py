"""Mail that is hard to carry unharmed: dots, 8-bit text, long lines, no body, large files, mail in mail.

Owns these texts, written octet by octet where a library would smooth them.
RFC 5321 §4.5.2 (transparency), §4.5.3.1.6 (long lines), RFC 2047 (encoded words), RFC 6532 (UTF-8 in headers),
RFC 3464 (delivery status), RFC 2045 §6 (transfer encodings).
"""

from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP

from service.embedded.corpus.attachments import archive, png
from service.embedded.corpus.letter import Letter, Sheet

_AUTHOR = "Odd Fellow <odd@letters.example>"
_SENDER = "odd@letters.example"
_PLAIN = 'Content-Type: text/plain; charset="us-ascii"'
_UTF8 = ('Content-Type: text/plain; charset="utf-8"', "Content-Transfer-Encoding: 8bit")


def dotted(sheet: Sheet) -> Letter:
    """Lines that begin with dots, as patches, recipes and configuration files have them."""
    body = b".profile and .bashrc live here\r\n..\r\n...\r\n.hidden\r\n a line\r\n.last line\r\n"
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: Dot files", _PLAIN) + body)


def lone_dot(sheet: Sheet) -> Letter:
    """A line of one dot in the middle, which must not end the mail data."""
    body = b"before the dot\r\n.\r\nafter the dot\r\n.\r\n"
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: Nothing ends here", _PLAIN) + body)


def eight_bit(sheet: Sheet) -> Letter:
    """UTF-8 text sent as it is, in several scripts."""
    text = "Grüße aus Köln.\r\nПривет из Твери.\r\n京都からこんにちは。\r\nمرحبا من عمّان\r\n🌳🌳🌳\r\n"
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: Many greetings", *_UTF8) + text.encode())


def latin(sheet: Sheet) -> Letter:
    """8-bit text that is no UTF-8."""
    fields = ('Content-Type: text/plain; charset="iso-8859-1"', "Content-Transfer-Encoding: 8bit")
    body = "Zürich, Malmö, São Paulo, Besançon: 50 £\r\n".encode("latin-1")
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: Old letters", *fields) + body)


def encoded_words(sheet: Sheet) -> Letter:
    """A subject and names in encoded words, folded over several lines."""
    subject = "Пожалуйста, подтвердите встречу в четверг: обсуждение бюджета, план посадок и летний праздник"
    message = sheet.begin('"Жанна Дубова" <zhanna@letters.example>', subject)
    message.set_content("До встречи!\n", cte="quoted-printable")
    return sheet.finish(message, "zhanna@letters.example")


def raw_utf8_header(sheet: Sheet) -> Letter:
    """A header in UTF-8 as it is, allowed where SMTPUTF8 was announced."""
    head = sheet.head("Jürgen Weiß <jürgen@letters.example>", "Subject: Grüße vom Ärmelkanal ☕", *_UTF8)
    return Letter(_SENDER, sheet.recipients, head + "Bis später!\r\n".encode(), utf8=True)


def long_lines(sheet: Sheet) -> Letter:
    """Lines beyond 998 octets, as broken programs send them; under 2,048, where Python's poplib gives up."""
    body = b"x" * 1800 + b"\r\n" + b"." * 1500 + b"\r\n" + b"word " * 400 + b"\r\n"
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: One long breath", _PLAIN) + body)


def no_body(sheet: Sheet) -> Letter:
    """A header and nothing below it."""
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: (nothing to add)"))


def no_subject(sheet: Sheet) -> Letter:
    """A message without the Subject field, and trailing spaces and tabs that must survive."""
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, _PLAIN) + b"columns\t1\t2\t \r\n   \r\n-- \r\n")


def large_archive(sheet: Sheet) -> Letter:
    """An attachment of a few megabytes."""
    message = sheet.begin(_AUTHOR, "All measurements of 2025")
    message.set_content("The raw data, as promised. Please don't print it.\n")
    file = archive("measurements-2025", 6_000_000)
    message.add_attachment(file, maintype="application", subtype="zip", filename="measurements-2025.zip")
    return sheet.finish(message, _SENDER)


def large_picture(sheet: Sheet) -> Letter:
    """A picture of three megabytes, four in base64."""
    message = sheet.begin(_AUTHOR, "Aerial view")
    message.set_content("Taken from the balloon.\n")
    message.add_attachment(png("aerial view", 1000), maintype="image", subtype="png", filename="aerial.png")
    return sheet.finish(message, _SENDER)


def forwarded(sheet: Sheet) -> Letter:
    """A message within a message."""
    inner = EmailMessage(policy=SMTP)
    inner["From"], inner["To"], inner["Subject"] = "a@letters.example", "b@letters.example", "Lost keys"
    inner.set_content("Found them.\n.They were in the dot file.\n")
    message = sheet.begin(_AUTHOR, "Fwd: Lost keys")
    message.set_content("For your records.\n")
    message.add_attachment(inner)
    return sheet.finish(message, _SENDER)


def bounce(sheet: Sheet) -> Letter:
    """A report of failed delivery, sent with the null reverse-path."""
    kind = 'Content-Type: multipart/report; report-type=delivery-status; boundary="report"'
    status = "Reporting-MTA: dns; mx.letters.example\r\n\r\nFinal-Recipient: rfc822; gone@away.example\r\n"
    parts = [
        "Content-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n",
        f"Content-Type: message/delivery-status\r\n\r\n{status}Action: failed\r\nStatus: 5.1.1\r\n",
    ]
    body = "".join(f"--report\r\n{part}\r\n" for part in parts) + "--report--\r\n"
    author = "Mail Delivery System <MAILER-DAEMON@letters.example>"
    head = sheet.head(author, "Subject: Undelivered mail returned to sender", kind)
    return Letter("", sheet.recipients, head + body.encode())


def many_fields(sheet: Sheet) -> Letter:
    """A header longer than its body, as mail that passed many hands has it."""
    trace = [f"X-Hop-{hop}: relay{hop}.letters.example;\r\n\tpassed on {sheet.date}" for hop in range(120)]
    return Letter(_SENDER, sheet.recipients, sheet.head(_AUTHOR, "Subject: A long way", *trace) + b"Hi.\r\n")


def tagged(sheet: Sheet) -> Letter:
    """Mail to an address with a tag after a plus sign."""
    local, _, domain = sheet.recipients[0].partition("@")
    to_tag = Sheet(sheet.day, (f"{local}+shop@{domain}",))
    message = to_tag.begin(_AUTHOR, "Your order 4711")
    message.set_content("Thank you for your order.\n")
    return to_tag.finish(message, _SENDER)


KINDS: tuple[Callable[[Sheet], Letter], ...] = (
    dotted,
    lone_dot,
    large_picture,
    eight_bit,
    latin,
    encoded_words,
    raw_utf8_header,
    long_lines,
    no_body,
    no_subject,
    large_archive,
    forwarded,
    bounce,
    many_fields,
    tagged,
)
