"""POP3 (RFC 1939, 2449, 2595, 3206, 5034, 6856): commands, responses, effects and the session."""
