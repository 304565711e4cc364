"""One vendor each, implementing the ports of `mail/ports.py` and `mail/tenancy.py`.

Owns everything that is peculiar to a vendor, errors included. No store calls another, and none sees the wire.
"""
