"""What Python's cyclic collector looks at while a process serves, and how often.

Owns that it stops the event loop seldom: what a process starts with is looked at once, and what sessions hold only once
much more was made than went away again. Sessions make no rings that only the collector could free, but for a few after
errors. Refuses to know what was started and what sessions hold.
"""

import gc

YOUNG = 200_000
"""Objects that were made beyond those that went away before the collector looks: some thousand sessions' worth, or
40 MB where all of it is rings. With Python's 700, a crowd that comes and goes had it look through all that its sessions
held ten times a second, 15 ms each, and find nothing (G16)."""


def keep_what_is_there() -> None:
    """Collect once, and leave what is left out of every later collection; for when a process begins to serve.

    A full collection walks every object that there is: some 90 ms, nearly all of it over code and settings.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
