"""Names as the mechanisms of SCRAM's family write them: with commas and equals signs escaped.

Owns their grammar and what they stand for. Refuses to know whose name it is.
RFC 5802 §5.1 and §7; RFC 7628 §3.1 writes the name to act for the same way.
"""

from service.protocol.sasl.login_name import login_name

# RFC 5802 §5.1: "If the server receives a username that contains '=' not followed by either '2C' or '3D', then the
# server MUST fail the authentication."
SASLNAME = r"(?:[^\0=,]|=2C|=3D)+"


def unescaped(text: str) -> str:
    """The login name that a saslname stands for. Raises ValueError as `login_name` does.

    RFC 5802 §5.1: "The characters ',' or '=' in usernames are sent as '=2C' and '=3D' respectively."
    """
    return login_name(text.replace("=2C", ",").replace("=3D", "="))
