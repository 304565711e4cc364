"""Makes the store of blobs out of the settings.

Owns which setting goes where. Refuses to know what is stored. Nothing here connects: the store may be down when a
process starts, and come later.
"""

from service.settings import SettingsError
from service.settings.errors import Problem
from service.settings.explaining import masked_url
from service.settings.systems import ObjectStoreSettings
from service.stores.objects import ObjectBlobStore, ObjectOptions, SpreadBlobStore, open_blobs
from service.telemetry import watching


def make_blobs(settings: ObjectStoreSettings) -> ObjectBlobStore | SpreadBlobStore:
    """The blobs. Raises SettingsError for settings that mean nothing, OSError for a directory that can't be opened."""
    options = object_options(settings)
    try:
        stores = {settings.url: _opened("url", settings.url, options)}
        stores |= {url: _opened("more_urls", url, options) for url in settings.more_urls}
        only_read = {url: _opened("read_urls", url, options) for url in settings.read_urls}
        return SpreadBlobStore(stores, only_read) if settings.further_urls else stores[settings.url]
    except ValueError as error:
        raise SettingsError([Problem("object_store", str(error))]) from None


def _opened(setting: str, url: str, options: ObjectOptions) -> ObjectBlobStore:
    """The store at `url`. Raises ValueError; OSError that names the setting and the URL, which has no password."""
    try:
        return open_blobs(url, options, watching)
    except OSError as error:
        raise OSError(f"object_store.{setting}: {masked_url(url)} can't be opened: {error}") from error


def object_options(settings: ObjectStoreSettings) -> ObjectOptions:
    """The settings in the store's words."""
    return ObjectOptions(
        endpoint=settings.endpoint or "",
        region=settings.region or "",
        account=settings.account or "",
        access_key=settings.access_key.get_secret_value() if settings.access_key else "",
        secret_key=settings.secret_key.get_secret_value() if settings.secret_key else "",
        virtual_hosted=not settings.path_style,
        allow_http=settings.allow_http,
        checksum=settings.checksum,
        connect_timeout=settings.connect_timeout,
        deadline=settings.deadline,
        # The second request has as long as the first one until the client is refused.
        again_after=settings.first_octets / 2,
        retries=settings.retries,
    )
