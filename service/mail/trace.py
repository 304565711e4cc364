"""The lines that a delivery adds before a message.

Owns their wording. Return-Path and Received are the same for all recipients and begin the blob; Delivered-To is
each recipient's own and stands in its row. Refuses to know where they are kept.
RFC 5321 §4.4 (trace information), RFC 3848 and RFC 6531 §4.3 (the `with` keyword).
"""

from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import ip_address

from service.model.account import Recipient
from service.model.envelope import Envelope


def head(envelope: Envelope, client: str, host: str, moment: datetime, identifier: str) -> bytes:
    """Return-Path and Received, as whole lines.

    RFC 5321 §4.4: "When the delivery SMTP server makes the "final delivery" of a message, it inserts a return-path
    line at the beginning of the mail data." "When an SMTP server receives a message for delivery or further
    processing, it MUST insert trace ("time stamp" or "Received") information at the beginning of the message content".
    """
    return (
        f"Return-Path: <{envelope.reverse_path}>\r\n"
        f"Received: from {envelope.client_name}{_tcp_info(client)}\r\n"
        f"\tby {host} with {envelope.keyword} id {identifier};\r\n"
        f"\t{format_datetime(moment)}\r\n"
    ).encode()


def delivered_to(recipient: Recipient) -> bytes:
    """The line that tells which address the message was for.

    RFC 5321 §4.4: "the final mail data will begin with a return path line, followed by one or more time stamp lines."
    Deviates: this line stands before them, as it is its recipient's own and the blob that they begin is shared.
    """
    return f"Delivered-To: {recipient.delivered_to}\r\n".encode()


@lru_cache(256)
def _tcp_info(client: str) -> str:
    """RFC 5321 §4.4: the client's address as a literal, "determined from the TCP connection"."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return ""
    return f" ([IPv6:{address}])" if address.version == 6 else f" ([{address}])"
