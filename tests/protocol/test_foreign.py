"""How other protocols begin: RFC 9112 §3 (request line), RFC 8446 §5.1 (TLS record)."""

import pytest

from service.protocol.foreign import is_foreign


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"post /x HTTP/1.0",
        b"CONNECT mx.example:995 HTTP/1.1",
        b"OPTIONS * RTSP/1.0",
        b"\x16\x03\x01",
    ],
)
def test_another_protocol_is_known_by_its_first_line(line: bytes) -> None:
    assert is_foreign(line)


@pytest.mark.parametrize("line", [b"", b"GET", b"DELE 1", b"NOOP / HTTP/1.1", b"LHLO x", b"\x16", b"PUT x"])
def test_a_command_is_not_foreign(line: bytes) -> None:
    assert not is_foreign(line)
