"""The HTTP API, under /v1: what the provider's staff and systems, and tenants' own admins, do with a token.

Owns paths, forms, status codes and which right each operation needs. Refuses to know rules (`mail/provisioning.py`
has them) and vendors. RFC 9110 (HTTP), RFC 9457 (problem details), RFC 6750 (bearer tokens).
"""
