"""Certificates of this process: loaded once, watched, told to the metrics.

Owns the one warning about a file that can't be loaded. Refuses to read certificates itself.
"""

from pathlib import Path

from service.app.background import Background
from service.net.certificates import Certificates
from service.settings.listening import TlsSettings
from service.telemetry import metrics
from service.telemetry.logs import get_log


def watched_certificates(
    settings: TlsSettings, alpn: tuple[str, ...], tasks: Background, client_ca: Path | None = None
) -> Certificates:
    """The certificates of the directory, taken up anew when its files change.

    Raises OSError or ValueError when none can be loaded.
    """
    certificates = Certificates(settings.directory, alpn, _failed, client_ca)

    async def look() -> None:
        try:
            await certificates.reload()
        except OSError as error:
            # The folder itself is away: the pairs in use stay.
            _failed(settings.directory.name, error)
            _measure(certificates, 1)
        else:
            _measure(certificates, certificates.broken)

    tasks.every("certificates", settings.watch_every, look)
    _measure(certificates, certificates.broken)
    return certificates


def _measure(certificates: Certificates, broken: int) -> None:
    expiries = [moment.timestamp() for moment in certificates.expires.values()]
    metrics.certificates(len(expiries), broken, min(expiries))


def _failed(name: str, error: Exception) -> None:
    metrics.certificate_failed()
    get_log("certificates").error("certificate not loaded", name=name, error=str(error))
