"""LMTP (RFC 2033): commands, replies, effects and the session, as pure steps.

Owns what is said and in which order: octets in, replies and effects out. Refuses to know sockets, clocks and
stores, and POP3.
"""
