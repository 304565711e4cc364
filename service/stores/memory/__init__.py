"""In-memory twins of every port, for tests.

Owns the same semantics as the real stores, over one plain state object. Refuses to outlive its
process, to be shared between processes and to be used in production.
"""
