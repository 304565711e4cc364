"""Bytes to values and back: POP3, LMTP, SASL, framing. Synchronous and pure.

Owns the RFCs' grammar and state machines. Refuses to know sockets, clocks, logs and stores:
a session takes bytes in, gives responses and effects out, and pauses until told the outcome.
"""
