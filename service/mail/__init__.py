"""What the service does: login, retrieval, update, delivery, sweep, provisioning.

Owns the order of the steps and what is undone when one refuses. Refuses to know vendors,
sockets and wire formats: it speaks to stores through `ports` alone.
"""
