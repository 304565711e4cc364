"""Certificates: loadable, not about to expire, with the name that clients ask for.

Owns the advice. Refuses to read a certificate: `net.certificates` does.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

from service.app.doctor.findings import Finding, doubtful, good, wrong
from service.app.doctor.parts import parts_of
from service.net.certificates import Certificates
from service.settings import Settings
from service.settings.systems import Role

SOON = timedelta(days=14)
PROTOCOLS: Mapping[Role, str] = {"front": "pop3", "lmtp": "lmtp"}


async def check_certificates(settings: Settings) -> AsyncIterator[Finding]:
    """Every certificate of the directory, if any listener of these parts needs one."""
    served = {PROTOCOLS[part] for part in parts_of(settings) & PROTOCOLS.keys()}
    if not any(listener.needs_certificate and listener.protocol in served for listener in settings.listeners):
        return
    broken: list[str] = []
    directory = settings.tls.directory
    try:
        certificates = Certificates(directory, report=lambda name, error: broken.append(f"{name}: {error}"))
    except (OSError, ValueError) as error:
        advice = f"Put NAME.crt and NAME.key (PEM) into {directory}, readable for Poplar's user."
        yield wrong("certificates", f"none can be loaded ({'; '.join(broken) or error})", advice)
        return
    for told in broken:
        yield wrong("certificates", f"can't be loaded: {told}", f"Put the right pair into {directory}.")
    for name, expires in certificates.expires.items():
        yield validity(name, certificates.begins[name], expires, datetime.now(UTC))


def validity(name: str, begins: datetime, expires: datetime, now: datetime) -> Finding:
    """Whether a certificate holds, and how long."""
    subject = f"certificate {name}"
    if now < begins:
        advice = "Until then another has to answer for its names. If it should hold now, look at this machine's clock."
        return doubtful(subject, f"begins on {begins:%Y-%m-%d %H:%MZ}", advice)
    if expires <= now:
        return wrong(subject, f"expired on {expires:%Y-%m-%d}", "Renew it: mail clients refuse to connect.")
    if expires - now < SOON:
        return doubtful(subject, f"expires in {(expires - now).days} days", "See why it wasn't renewed by itself.")
    return good(subject, f"holds until {expires:%Y-%m-%d}")
