"""Message blobs in object storage: S3 and compatibles, Google Cloud, Azure, a local directory, memory.

Owns URLs, keys, parts, ranges and durability; implements `mail.ports.BlobStore` on obstore. A blob is plain
RFC 5322 text with CRLF that any S3 tool can read. Refuses to know what a message is and whose it is.
"""

from service.stores.objects.blobs import ObjectBlobStore
from service.stores.objects.keys import probe_key
from service.stores.objects.opening import open_blobs
from service.stores.objects.options import ObjectOptions
from service.stores.objects.spread import SpreadBlobStore

__all__ = ["ObjectBlobStore", "ObjectOptions", "SpreadBlobStore", "open_blobs", "probe_key"]
