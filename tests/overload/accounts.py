"""Who there is in a site that is besieged: names alone, for programs that must start quickly."""

GOOD = "good"
GOOD_MAILDROPS = 64
HOSTILE = tuple(f"hostile{n}" for n in range(5))
"""Several tenants, as no tenant alone may hold more than its part of a process; that is measured elsewhere (G16)."""
