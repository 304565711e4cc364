"""Whom a store tells of its calls: the metrics, and the trace of whoever they are made for.

Owns nothing but the grouping: fulfils `stores.observing.Observer`, so that both see the same calls, and a store names
each of them once. Refuses to know stores.
"""

from service.telemetry.spans import call
from service.telemetry.systems import blob_first_octets, blob_read, store_called, store_failed, well

__all__ = ["blob_first_octets", "blob_read", "call", "store_called", "store_failed", "well"]
