"""POP3 (RFC 1939, 2449, 2595, 3206, 5034, 6856): commands, responses, effects and the session.

Owns what is said and in which order: octets in, responses and effects out. Refuses to know sockets, clocks and
stores, and LMTP.
"""
