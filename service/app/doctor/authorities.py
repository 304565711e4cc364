"""Files of authorities without which a front end doesn't start: those of client certificates and of tokens' issuers.

Owns the advice. Refuses to read a file by itself: each is read as the front end does.
"""

from collections.abc import AsyncIterator

from service.app.bearer import check_authorities
from service.app.doctor.findings import Finding, good, wrong
from service.app.doctor.parts import parts_of
from service.net.tls import server_context
from service.settings import Settings
from service.settings.errors import SettingsError

ADVICE = "Put a PEM file of authorities there, readable for Poplar's user, or leave {} out: front ends don't start."


async def check_authority_files(settings: Settings) -> AsyncIterator[Finding]:
    """Those of the settings that a front end with these settings reads."""
    if "front" not in parts_of(settings):
        return
    asking = any(each.protocol == "pop3" and each.needs_certificate for each in settings.listeners)
    if settings.tls.client_ca is not None and asking:
        try:
            server_context((), settings.tls.client_ca)
        except OSError as error:
            text = f"{settings.tls.client_ca} can't be read: {error.strerror or error}"
            yield wrong("tls.client_ca", text, ADVICE.format("tls.client_ca"))
        else:
            yield good("tls.client_ca", "the authorities of client certificates can be read")
    if settings.oauth.ca_file is not None:
        try:
            check_authorities(settings.oauth)
        except SettingsError as error:
            text = "; ".join(problem.text for problem in error.problems)
            yield wrong("oauth.ca_file", f"{settings.oauth.ca_file} {text}", ADVICE.format("oauth.ca_file"))
        else:
            yield good("oauth.ca_file", "the issuers' authorities can be read")
