"""Postgres: the judge of who may log in, which messages exist and which session may remove them.

Owns the schema, its migrations and every SQL statement. Refuses to know sockets, sessions and
the wire: it takes and gives the values of `model`, and raises `Refusal`, never a vendor's error.
"""
