"""A blob store from its URL.

    s3://bucket/prefix    gs://bucket/prefix    az://container/prefix    file:///directory    memory://

Owns the choice of the class. Refuses to say whether the storage answers: `ping` does.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from service.stores.objects.blobs import ObjectBlobStore
from service.stores.objects.directory import DirectoryBlobStore
from service.stores.objects.options import ObjectOptions
from service.stores.observing import Observer, Unobserved


def open_blobs(url: str, options: ObjectOptions | None = None, observer: Observer | None = None) -> ObjectBlobStore:
    """The store at `url`; a local directory is made if it isn't there.

    Raises ValueError, without any secret in its text, for a URL or an option that means nothing.
    """
    chosen = options or ObjectOptions()
    seen = observer or Unobserved()
    parts = urlsplit(url)
    if parts.scheme == "file":
        root = Path(unquote(parts.path))
        return DirectoryBlobStore(LocalStore(root, mkdir=True), root, deadline=chosen.deadline, observer=seen)
    times = {"deadline": chosen.deadline, "again_after": chosen.again_after}
    if parts.scheme == "memory":
        return ObjectBlobStore(MemoryStore(), **times, observer=seen)
    if parts.scheme not in {"s3", "gs", "az"} or not parts.netloc:
        raise ValueError("a store's URL begins with s3://bucket, gs://bucket, az://container, file:/// or memory://")
    return ObjectBlobStore(_remote(url, parts.scheme, chosen), **times, observer=seen)


def _remote(url: str, scheme: str, options: ObjectOptions) -> ObjectStore:
    try:
        # Its overloads know each vendor's settings one by one; ours are chosen by scheme.
        make: Callable[..., ObjectStore] = from_url
        config = options.config(scheme, urlsplit(url).netloc)
        return make(url, config=config, client_options=options.client(), retry_config=options.retry())
    except (BaseError, TypeError) as error:
        # The vendor's text may quote the settings, secrets among them.
        raise ValueError(f"the settings of {scheme}:// storage are not valid ({type(error).__name__})") from None
