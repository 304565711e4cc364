"""Outside directories: a provider's own users, behind a query on Postgres or MySQL, or behind an HTTP hook.

Owns the vendors; each implements `mail.outside.ports.OutsideDirectory`. Refuses to know tenants, bounds and breakers:
they are asked through a guard, which says how many questions there are at once and when one is given up.
"""
