"""Poplar: a multi-tenant POP3 service for hosting providers.

Owns the order of its parts, each of which imports only what stands below it:
`cli` > `app` > `net | admin | stores | embedded | settings` > `telemetry` > `mail | protocol` > `model`.
"""
