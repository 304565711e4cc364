"""LMTP (RFC 2033): commands, replies, effects and the session, as pure steps."""
