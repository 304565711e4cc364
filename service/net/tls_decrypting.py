"""What one TLS connection has still to decrypt, a little at a time, and how much it may have TLS itself say.

Owns OpenSSL's state and the octets that came. OpenSSL 3.0 sets no bound to changes of keys, of 27 octets and some 50
microseconds each, every one of which may ask for another in return: so what came is decrypted in slices, for a short
while in one go, and whoever has too much said, or says too much that means nothing, is given up. Refuses to know
transports, and what was decrypted.
RFC 8446 §4.6.3 (KeyUpdate), §5.1 (records).
"""

import ssl
import time

SLICE = 4 * 1024
"""Octets between two looks at the clock."""
AT_ONCE_SECONDS = 0.002
"""How long one connection decrypts before others may; an ordinary read takes a hundredth of it."""
SAID_OCTETS = 4 * 1024
"""Octets that TLS says of its own accord on one connection: 150 changes of keys, one of which serves for gigabytes."""
BARREN_RECORDS = 2_000
"""Records of one connection that come to nothing, such as changes of keys. Their octets would say little: a client may
pad those that mean something to their full length (RFC 8446 §5.4)."""
HEADER_OCTETS = 5
"""What a record begins with: its type, a version, and the length of what follows in two octets (RFC 8446 §5.1)."""

_NOTHING = memoryview(b"")


class Tls:
    """One connection's state in OpenSSL, and the octets that it has still to read and to send."""

    __slots__ = ("_barren", "_came", "_header", "_left", "_said", "incoming", "object", "outgoing")

    def __init__(self, state: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.object = state
        self.incoming = incoming
        self.outgoing = outgoing
        self._came = _NOTHING
        self._said = 0
        self._barren = 0
        """Records that came, less those that brought something."""
        self._left = 0
        """Octets until the next record begins."""
        self._header = b""
        """The beginning of a record of which no more has come than a part of its header."""

    @property
    def waits(self) -> bool:
        """Whether more came than could be decrypted in one go."""
        return bool(self._came)

    def take(self, data: bytes) -> None:
        """Octets came, encrypted."""
        if not self._came and len(data) <= SLICE:
            # As nearly all that a client says.
            self._write(data)
        else:
            self._came = memoryview(bytes(self._came) + data if self._came else data)

    def shake_hands(self) -> None:
        """Go on with the handshake. Raises ssl.SSLError, ssl.SSLWantReadError where more has to come."""
        while True:
            if self._came:
                self._feed()
            try:
                self.object.do_handshake()
            except ssl.SSLWantReadError:
                if not self._came:
                    raise
            else:
                # What it took came to something.
                self._barren = 0
                return

    def decrypt(self, pieces: list[bytes]) -> bool:
        """Add what could be decrypted in one go; whether the client said that this is all.

        Raises ssl.SSLError where nothing more can be read, or may be.
        """
        if not self._came:
            return self._decrypt_slice(pieces)
        late = time.monotonic() + AT_ONCE_SECONDS
        while True:
            self._feed()
            if self._decrypt_slice(pieces):
                self._came = _NOTHING
                return True
            if not self._came or time.monotonic() >= late:
                return False

    def _feed(self) -> None:
        self._write(self._came[:SLICE])
        # An empty view would keep what it was taken of.
        self._came = self._came[SLICE:] or _NOTHING

    def _write(self, data: bytes | memoryview) -> None:
        self.incoming.write(data)
        if self._header:
            data, self._header = self._header + bytes(data), b""
        at = self._left
        while at + HEADER_OCTETS <= len(data):
            self._barren += 1
            at += HEADER_OCTETS + int.from_bytes(data[at + 3 : at + HEADER_OCTETS])
        self._left = max(0, at - len(data))
        self._header = bytes(data[at:])

    def _decrypt_slice(self, pieces: list[bytes]) -> bool:
        before = self.outgoing.pending
        try:
            while self.incoming.pending or self.object.pending():
                piece = self.object.read(SLICE * 16)
                if not piece:
                    return True
                pieces.append(piece)
                # A read gives what one record brought. What came with the end of the handshake wasn't counted.
                self._barren = max(0, self._barren - 1)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return True
        self._said += self.outgoing.pending - before
        if self._said > SAID_OCTETS:
            raise ssl.SSLError("the client has TLS itself say too much")
        if self._barren > BARREN_RECORDS:
            raise ssl.SSLError("the client says too much that means nothing")
        return False
