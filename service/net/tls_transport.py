"""TLS from the first octet over a transport in clear, for connections that are many and mostly idle.

Owns the octets both ways and the close of one connection, once its handshake is over. uvloop's own way keeps 256 KiB of
addresses for what each connection reads, of which two pages are always touched, and twice as many objects; here what is
read belongs to the event loop. OpenSSL sees and says the same either way. Refuses to know certificates and protocols.
RFC 8314 §3.1 and §3.4, RFC 8446 §6.1 (close_notify) and §6.2 (alerts).
"""

import asyncio
import ssl
from typing import Any, cast

from service.net.deadline import Deadline
from service.net.tls_decrypting import Tls

NOBODY = asyncio.Protocol()
"""Instead of a protocol that won't be told of a connection any more."""
HELD_OCTETS = 64 * 1024
"""Octets that are encrypted before they are handed on: OpenSSL's memory for them never gets smaller again."""


class SecuredTransport(asyncio.Transport):
    """What `protocol` has for a transport after the handshake, over the transport in clear, `raw`.

    `shutdown_seconds` is how long a close waits for the client's close_notify; `late` is to be called by `deadline`.
    """

    __slots__ = (
        "_broken", "_closing", "_deadline", "_error", "_outgoing", "_protocol", "_raw", "_reading", "_resting",
        "_shutdown_seconds", "_ssl", "_tls",
    )  # fmt: skip

    def __init__(
        self,
        protocol: asyncio.Protocol,
        raw: asyncio.Transport,
        tls: Tls,
        deadline: Deadline,
        shutdown_seconds: float,
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._shutdown_seconds = shutdown_seconds
        self._tls, self._ssl, self._outgoing = tls, tls.object, tls.outgoing
        self._raw: asyncio.Transport | None = raw
        self._deadline = deadline
        self._error: OSError | None = None
        self._reading = True
        self._resting = False
        """Whether others have their turn now, before more is decrypted and read."""
        self._closing = False
        self._broken = False
        """Whether what came ended the connection, before anybody closed it."""

    def begin(self) -> None:
        """Tell `protocol` of the connection, and send what it says and what TLS had to say still."""
        self._protocol.connection_made(self)
        self._send()
        if self._tls.waits or self._tls.incoming.pending or self._ssl.pending():
            # Once whoever waited for the handshake was told.
            asyncio.get_running_loop().call_soon(self._read)

    # What the transport in clear tells, by way of `Opening`.

    def data_received(self, data: bytes) -> None:
        """Octets came, encrypted."""
        self._tls.take(data)
        if self._closing:
            self._shut_down()
        else:
            self._read()

    def eof_received(self) -> bool:
        """The client ended the connection without a word of TLS: what is written is sent, and nothing more is read."""
        if not self._closing:
            self._protocol.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._raw, self._closing = None, True
        # Both may refer to this.
        protocol, self._protocol = self._protocol, NOBODY
        error, self._error = self._error or exc, None
        protocol.connection_lost(error)

    def pause_writing(self) -> None:
        """The client doesn't read."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._protocol.resume_writing()

    def late(self) -> None:
        """The client took too long to take OpenSSL's alert, or to answer close_notify."""
        if self._broken:
            self.abort()
        else:
            # What is written goes on being sent; who closed this says for how long.
            self._end()

    # What the protocol calls.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts of the connection; `ssl_object` among them."""
        if name == "ssl_object":
            return self._ssl
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another one hear of what comes."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears of what comes."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether nothing is written or read any more."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether what comes is read."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Let what comes wait, in the kernel as far as it isn't here yet."""
        if self._reading and self._raw is not None:
            self._reading = False
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._reading and self._raw is not None:
            self._reading = True
            if not self._resting:
                # What came already is decrypted before more is read: else it would grow with each pause.
                self._resting = True
                asyncio.get_running_loop().call_soon(self._go_on)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much is held for a client that doesn't read: encrypted octets."""
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high=high, low=low)

    def get_write_buffer_size(self) -> int:
        """Octets that are held."""
        return 0 if self._raw is None else self._raw.get_write_buffer_size()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._closing or not data:
            return
        try:
            if len(data) <= HELD_OCTETS:
                self._encrypt(data)
            else:
                view = memoryview(data)
                for start in range(0, len(view), HELD_OCTETS):
                    self._encrypt(view[start : start + HELD_OCTETS])
                    self._send()
        except ssl.SSLError as error:
            self._break(error)
        else:
            self._send()

    def write_last(self, data: bytes) -> None:
        """Encrypt what leaves with `close`, which must follow at once."""
        if self._closing or not data:
            return
        try:
            self._encrypt(data)
        except ssl.SSLError as error:
            self._break(error)

    def close(self) -> None:
        """Send what is written and close_notify, and wait a little for the client's.

        RFC 8314 §3.4: "When a client or server wishes to close the connection, it SHOULD initiate the exchange of TLS
        close alerts before TCP connection termination."
        """
        if self._closing or self._raw is None:
            return
        self._closing = True
        if not self._reading and not self._resting:
            self._raw.resume_reading()
        self._deadline.set(self._shutdown_seconds)
        self._shut_down()

    def abort(self) -> None:
        """Close now; nothing more is sent."""
        self._closing = True
        if self._raw is not None:
            self._raw.abort()

    def _encrypt(self, data: bytes | bytearray | memoryview) -> None:
        written = self._ssl.write(data)
        while written < len(data):
            written += self._ssl.write(memoryview(data)[written:])

    def _read(self) -> None:
        """Hand on what was decrypted."""
        if self._closing or not self._reading:
            return
        pieces, ended = self._decrypted()
        # What was decrypted may have to be answered by TLS itself, such as a change of keys.
        self._send()
        if pieces:
            self._hand_on(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended and not self._closing:
            self._protocol.eof_received()
            self.close()

    def _decrypted(self) -> tuple[list[bytes], bool]:
        """What was decrypted, and whether the client said that this is all."""
        pieces: list[bytes] = []
        ended = False
        if not self._resting:
            try:
                ended = self._tls.decrypt(pieces)
            except ssl.SSLError as error:
                self._break(error)
            else:
                self._rest_if_long()
        return pieces, ended

    def _rest_if_long(self) -> None:
        """Leave the rest of what came for later, once others had their turn (G16); no more is read until then."""
        if self._tls.waits and self._raw is not None:
            self._resting = True
            self._raw.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        if self._raw is not None and (self._reading or self._closing):
            self._raw.resume_reading()
            if self._closing:
                self._shut_down()
            else:
                self._read()

    def _break(self, error: ssl.SSLError) -> None:
        """Nothing can be read any more. What is written is sent, and OpenSSL's alert, to whoever takes it in time.

        RFC 8446 §6.2: "Whenever an implementation encounters a fatal error condition, it SHOULD send an appropriate
        fatal alert and MUST close the connection without sending or receiving any additional data."
        """
        self._error = error
        self._send()
        if not self._closing:
            self._closing = self._broken = True
            self._deadline.set(self._shutdown_seconds)
        self._end()

    def _hand_on(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        except BaseException:
            self.abort()
            raise

    def _shut_down(self) -> None:
        """Send close_notify once; the end, where the client's has come. What else comes is dropped."""
        if self._tls.waits or self._tls.incoming.pending or self._ssl.pending():
            self._decrypted()
        try:
            self._ssl.unwrap()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError:
            # What it still sends can't be read, so its close_notify can't either.
            pass
        self._send()
        self._end()

    def _end(self) -> None:
        if self._raw is not None:
            self._raw.close()

    def _send(self) -> None:
        if self._outgoing.pending and self._raw is not None:
            self._raw.write(self._outgoing.read())
