"""What Python's cyclic collector looks at while a process serves.

Owns that the modules and objects that a process starts with are looked at once. A full collection walks every object
that there is and stops the event loop meanwhile: some 90 ms every few seconds under load, nearly all of it over code
and settings that never become garbage. Refuses to know what was started.
"""

import gc


def keep_what_is_there() -> None:
    """Collect once, and leave what is left out of every later collection; for when a process begins to serve."""
    gc.collect()
    gc.freeze()
