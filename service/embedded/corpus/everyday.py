"""The mail that everybody gets: greetings, newsletters, invoices, invitations, conversations.

Owns these texts. Refuses to know who gets them.
RFC 2046 §5.1 (multipart), RFC 5545 (calendar), RFC 8058 (unsubscribe), RFC 3676 (flowed text).
"""

from collections.abc import Iterator, Sequence

from service.embedded.corpus.attachments import pdf, png
from service.embedded.corpus.letter import Letter, Sheet

_NEWS = """<!doctype html><html><head><meta charset="utf-8"><title>Poplar news</title></head>
<body style="font-family:sans-serif;background:#f4f4f0"><table width="600" align="center" bgcolor="#ffffff">
<tr><td style="padding:24px"><h1 style="color:#356b3c">Leaves are out</h1>
<p>Spring is here, and so is <b>our new tariff</b>: twice the octets at the same price &mdash; for everybody.</p>
<p><a href="https://shop.example/tariff?a=1&amp;b=2">Read more</a></p></td></tr></table></body></html>
"""
_INVITATION = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Poplar//Demo//EN\r
METHOD:REQUEST\r
BEGIN:VEVENT\r
UID:tree-planting-2026@letters.example\r
DTSTAMP:20260105T083000Z\r
DTSTART:20260321T090000Z\r
DTEND:20260321T120000Z\r
SUMMARY:Tree planting\r
LOCATION:Riverside\\, north gate\r
ORGANIZER:mailto:events@letters.example\r
END:VEVENT\r
END:VCALENDAR\r
"""
_TURNS = (
    "Shall we meet on Thursday to look at the numbers?",
    "Thursday is fine. Before or after lunch?",
    "After, please: I have the dentist in the morning.",
    "Ouch. 14:00 then, in the small room.",
    "See you there. I'll bring the printout and some cake.",
)


def welcome(sheet: Sheet) -> Letter:
    """One letter to several recipients."""
    message = sheet.begin("Poplar <postmaster@letters.example>", "Welcome to your new maildrop")
    message.set_content("Hello,\n\nthis maildrop is yours. Any mail program that speaks POP3 can fetch it.\n\nPoplar\n")
    return sheet.finish(message)


def newsletter(sheet: Sheet) -> Letter:
    """Plain text and HTML side by side, with a list's header fields."""
    message = sheet.begin('"The Shop" <news@shop.example>', "Leaves are out – our spring offers 🌱")
    message["List-Id"] = "Shop news <news.shop.example>"
    message["List-Unsubscribe"] = "<https://shop.example/leave?u=1>, <mailto:leave@shop.example>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content("Spring is here, and so is our new tariff.\n\nhttps://shop.example/tariff?a=1&b=2\n")
    message.add_alternative(_NEWS, subtype="html")
    return sheet.finish(message, "bounces+17@shop.example")


def invoice(sheet: Sheet) -> Letter:
    """A document attached under a name beyond ASCII."""
    message = sheet.begin("Büro Müller <rechnung@mueller.example>", "Ihre Rechnung für Januar: 1.234,56 €")
    message.set_content("Guten Tag,\n\nanbei die Rechnung für Januar.\n\nMit freundlichen Grüßen\nBüro Müller\n")
    document = pdf(f"Invoice {sheet.day:04d}: 1234.56 EUR")
    message.add_attachment(document, maintype="application", subtype="pdf", filename="Rechnung Jänner.pdf")
    return sheet.finish(message, "rechnung@mueller.example")


def invitation(sheet: Sheet) -> Letter:
    """A calendar's request beside its plain text."""
    message = sheet.begin("Events <events@letters.example>", "Invitation: Tree planting @ Sat 21 Mar 10:00")
    message.set_content("You are invited: Tree planting, Saturday 21 March, 10:00, Riverside, north gate.\n")
    message.add_alternative(_INVITATION.encode(), maintype="text", subtype="calendar", params={"method": "REQUEST"})
    return sheet.finish(message, "events@letters.example")


def photo(sheet: Sheet) -> Letter:
    """A picture of a megabyte inside HTML."""
    message = sheet.begin("Grandma <grandma@family.example>", "The poplars behind the house")
    message.set_content("Look how tall they are!\n")
    message.add_alternative('<p>Look how tall they are!</p><img src="cid:poplars@family.example">', subtype="html")
    picture = png(f"poplars {sheet.day}", 560)
    html = list(message.iter_parts())[1]
    html.add_related(picture, maintype="image", subtype="png", cid="<poplars@family.example>")
    return sheet.finish(message, "grandma@family.example")


KINDS = (newsletter, invoice, invitation, photo)


def thread(days: Iterator[int], members: Sequence[str]) -> Iterator[Letter]:
    """A conversation of two, each turn quoting the one before; both get every turn."""
    ids: list[str] = []
    for turn, text in enumerate(_TURNS):
        sheet = Sheet(next(days), tuple(members))
        message = sheet.begin(members[turn % 2], "Re: The numbers" if turn else "The numbers")
        if ids:
            message["In-Reply-To"] = ids[-1]
            message["References"] = " ".join(ids)
        quoted = f"> {_TURNS[turn - 1]}\n\n" if turn else ""
        message.set_content(f"{quoted}{text}\n\n-- \n{members[turn % 2]}\n", params={"format": "flowed"})
        ids.append(sheet.message_id)
        yield sheet.finish(message, members[turn % 2])
