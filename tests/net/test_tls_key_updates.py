"""Clients that change their keys without end, and have the server change its own: RFC 8446 §4.6.3. G15, G16.

On both event loops. Python's ssl module can't change keys, so that the client asks OpenSSL itself to.
"""

import _ssl
import asyncio
import ctypes
import ssl
from collections import Counter
from typing import Any

import pytest

from service.net import tls_decrypting
from service.net.tls_transport import SecuredTransport
from tests.net.conftest import Stage
from tests.net.test_tls_transport import IMPLICIT, connected, until_lost
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

NOT_REQUESTED, REQUESTED = 0, 1
_OPENSSL = ctypes.CDLL(_ssl.__file__)
_OPENSSL.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
_OPENSSL.SSL_do_handshake.argtypes = [ctypes.c_void_p]
_AFTER_SOCKET = object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)
"""Where CPython's object keeps OpenSSL's."""


def state_of(client: TlsWire) -> int | None:
    """OpenSSL's own object."""
    inner: Any = client.tls
    return ctypes.c_void_p.from_address(id(inner._sslobj) + _AFTER_SOCKET).value


def changes_of_keys(client: TlsWire, count: int, kind: int) -> bytes:
    """What `client` says to change its keys so many times."""
    state = state_of(client)
    for _ in range(count):
        assert _OPENSSL.SSL_key_update(state, kind) == 1
        assert _OPENSSL.SSL_do_handshake(state) == 1
    return client._outgoing.read()


async def test_a_client_may_change_its_keys_and_ask_for_new_ones(stage: Stage, trusting: ssl.SSLContext) -> None:
    client, _ = await connected(stage, trusting)
    for kind in (NOT_REQUESTED, REQUESTED):
        await client.wire.send(changes_of_keys(client, 3, kind))
        await client.send(b"hello\r\n")
        assert await client.line() == b"hello"


async def test_g15_who_asks_for_new_keys_without_end_is_cut_off(stage: Stage, trusting: ssl.SSLContext) -> None:
    client, talker = await connected(stage, trusting)
    await client.wire.send(changes_of_keys(client, 1000, REQUESTED))
    await until_lost(talker)
    assert isinstance(talker.ends[0], ssl.SSLError)
    answers = len(await client.wire.rest())
    assert answers < 3 * tls_decrypting.SAID_OCTETS


async def test_g16_who_says_what_means_nothing_without_end_is_cut_off(stage: Stage, trusting: ssl.SSLContext) -> None:
    """Changes of keys that ask for no answer, and records without an octet."""
    client, talker = await connected(stage, trusting)
    await client.wire.send(changes_of_keys(client, 3000, NOT_REQUESTED))
    await until_lost(talker)
    assert isinstance(talker.ends[0], ssl.SSLError)


async def test_g16_a_word_now_and_then_buys_no_more_of_what_means_nothing(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    """RFC 8446 §5.1: what comes in records is counted by records, whatever the length of those between."""
    client, talker = await connected(stage, trusting)
    each = tls_decrypting.BARREN_RECORDS // 4
    for _ in range(4):
        await client.wire.send(changes_of_keys(client, each - 1, NOT_REQUESTED))
        await client.send(b"hello\r\n")
        assert await client.line() == b"hello"
    await client.wire.send(changes_of_keys(client, each, NOT_REQUESTED))
    await until_lost(talker)
    assert isinstance(talker.ends[0], ssl.SSLError)


async def test_records_that_come_octet_by_octet_are_counted_as_any(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8446 §5.1: a record's header may come in pieces."""
    client, talker = await connected(stage, trusting)
    transport = talker._transport
    assert isinstance(transport, SecuredTransport)
    octets = changes_of_keys(client, 3, NOT_REQUESTED)
    for at in range(len(octets)):
        transport.data_received(octets[at : at + 1])
    assert transport._tls._barren == 3
    await client.send(b"hello\r\n")
    assert await client.line() == b"hello"
    assert transport._tls._barren == 3


async def test_a_client_may_pad_its_records(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8446 §5.4: padding hides how long a command is; a session has hundreds of them."""
    client, _ = await connected(stage, trusting)
    assert _OPENSSL.SSL_set_block_padding(ctypes.c_void_p(state_of(client)), ctypes.c_size_t(16 * 1024)) == 1
    for number in range(100):
        await client.send(b"RETR %d\r\n" % number)
        assert await client.line() == b"RETR %d" % number


async def test_g16_others_have_their_turn_between_two_slices_of_what_takes_long(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said amid the changes and after them comes whole, in order."""
    monkeypatch.setattr(tls_decrypting, "AT_ONCE_SECONDS", 0.0)
    fed: list[int] = []
    rounds = 0
    feed = tls_decrypting.Tls._feed

    def noted(self: tls_decrypting.Tls) -> None:
        fed.append(rounds)
        feed(self)

    client, _ = await connected(stage, trusting)
    monkeypatch.setattr(tls_decrypting.Tls, "_feed", noted)
    changes = changes_of_keys(client, 1000, NOT_REQUESTED)
    client.tls.write(b"one\r\n")
    await client.wire.send(changes + client._outgoing.read() + changes_of_keys(client, 10, NOT_REQUESTED))
    reading = asyncio.create_task(client.line())
    while not reading.done():
        rounds += 1
        await asyncio.sleep(0)
    assert reading.result() == b"one"
    assert len(fed) > len(changes) // tls_decrypting.SLICE
    # One round may end with the last slice of one read and begin another.
    assert max(Counter(fed).values()) <= 2
    await client.send(b"two\r\n")
    assert await client.line() == b"two"


async def test_g16_a_close_amid_what_takes_long_ends_as_any(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8314 §3.4: the client's close_notify is waited for, and found behind its changes of keys."""
    monkeypatch.setattr(tls_decrypting, "AT_ONCE_SECONDS", 0.0)
    client, talker = await connected(stage, trusting)
    client.tls.write(b"QUIT\r\n")
    leaving = client._outgoing.read() + changes_of_keys(client, 1000, NOT_REQUESTED)
    await client.wire.send(leaving)
    assert await client.line() == b"+OK bye"
    assert await client.ended_with_close_notify()
    client.wire.close()
    await until_lost(talker)
    assert (talker.lines, talker.lost) == ([b"QUIT"], 1)


async def test_g16_what_comes_with_the_end_of_the_handshake_is_sliced_too(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_decrypting, "AT_ONCE_SECONDS", 0.0)
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    last = await client.last_words()
    changes = changes_of_keys(client, 1000, NOT_REQUESTED)
    client.tls.write(b"hello\r\n")
    await client.wire.send(last + changes + client._outgoing.read())
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    assert await client.line() == b"hello"
