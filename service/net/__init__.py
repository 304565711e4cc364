"""asyncio: sockets, TLS, deadlines, backpressure, drain.

Owns time and connections. Refuses to know vendors and grammar: it moves bytes between sockets and
the sessions of `protocol/`, and performs their effects through `mail/`.
"""
