"""Values and their invariants: addresses, listings, messages, policies, refusals.

Owns what is true of a value by itself. Refuses to know where values come from
or go to: it imports nothing of Poplar's, does no I/O and reads no clock.
"""
