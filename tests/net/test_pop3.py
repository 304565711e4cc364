"""POP3 over real sockets: the loop, its deadlines, its ends. On asyncio and uvloop.

RFC 1939 §3 and §6, RFC 2449 §6.6, RFC 2595 §4, RFC 8314 §3. Bad inputs A17, A19, A20, A22, D32; G2, G5, G6, G8, G15.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence

import pytest

from service.mail.budget import Budget
from service.mail.retrieval import Retrieval
from service.model.account import MaildropKey
from service.model.ending import Ending
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal
from service.net import pop3_retrieving
from service.net.admission import Admission
from service.net.certificates import Certificates
from service.net.peer import Peer, TlsMode
from service.net.pop3_service import Pop3Options, Pop3Service
from service.protocol.pop3.capabilities import Surroundings
from tests.mail.house import House
from tests.mail.test_guard import Guarded
from tests.mail.test_retrieval import LARGE, SMALL
from tests.net.front import LOGIN, Front, read_multi_line, until
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


async def test_a_message_is_retrieved_and_removed() -> None:
    house = await House().furnish(SMALL, b"A: b\r\n\r\n.dot\r\n")
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 2\r\nDELE 1\r\nQUIT\r\n")
        assert await read_multi_line(wire) == [b"+OK 14 octets", b"A: b", b"", b".dot"]
        assert await wire.line() == b"+OK"
        assert (await wire.line()).startswith(b"+OK Bye")
        assert await wire.rest() == b""
    assert [row.sequence for row in house.provider.rows(house.key) if row.removed_at is None] == [2]


async def test_the_responses_to_one_read_leave_in_order() -> None:
    front = Front(await House().furnish(SMALL))
    async with front.listening():
        wire = await front.client()
        await wire.send(LOGIN + b"STAT\r\nLIST 1\r\nRETR 1\r\nTOP 1 0\r\nQUIT\r\n")
        lines = [line for line in (await wire.rest()).split(b"\r\n") if line.startswith(b"+OK")]
    assert [line.split()[1:2] for line in lines][2:] == [[b"1"], [b"1"], [b"20"], [], [b"Bye"]]


async def test_what_it_may_offer_is_asked_for_once_and_by_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Peer] = []
    ask = Pop3Service.surroundings

    def noted(self: Pop3Service, peer: Peer) -> Surroundings:
        asked.append(peer)
        return ask(self, peer)

    monkeypatch.setattr(Pop3Service, "surroundings", noted)
    front = Front(await House().furnish(SMALL))
    async with front.listening():
        looking = await front.client()
        await looking.send(b"QUIT\r\n")
        assert (await looking.line()).startswith(b"+OK")
        polling = await front.logged_in()
        await polling.send(b"STAT\r\nQUIT\r\n")
        assert (await polling.rest()).startswith(b"+OK 1 ")
        assert asked == []
        wire = await front.client()
        await wire.send(b"CAPA\r\nCAPA\r\n")
        assert await read_multi_line(wire) == await read_multi_line(wire)
        assert len(asked) == 1


async def test_a_large_message_is_sent_whole() -> None:
    front = Front(await House().furnish(LARGE))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\nQUIT\r\n")
        body = (await wire.rest()).split(b"\r\n", 1)[1]
    assert body.startswith(LARGE + b".\r\n+OK Bye")
    assert front.memory.used == 0


async def test_g2_a_connection_that_ends_without_quit_removes_nothing_and_frees_the_maildrop() -> None:
    house = await House().furnish(SMALL)
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"DELE 1\r\n")
        assert await wire.line() == b"+OK"
        wire.reset()
        await until(lambda: not len(house.leases))
        again = await front.logged_in()
        await again.send(b"STAT\r\n")
        assert await again.line() == b"+OK 1 20"


async def test_half_closed_input_is_answered_to_its_end() -> None:
    front = Front(await House().furnish(SMALL))
    async with front.listening():
        wire = await front.client()
        await wire.send(LOGIN + b"RETR 1\r\n")
        wire.sock.shutdown(1)
        assert (await wire.rest()).endswith(b"\r\n.\r\n")
    assert front.connections[0]._ending is Ending.VANISHED


async def test_a_tls_client_that_says_close_notify_too_early_is_no_fault(
    certificates: Certificates, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    front = Front(await House().furnish(SMALL), context=certificates.context())
    async with front.listening(TlsMode.IMPLICIT):
        tls = TlsWire(await Wire.to(front.port), trusting, "pop.example")
        await tls.handshake()
        assert (await tls.line()).startswith(b"+OK Poplar")
        await tls.send_and_leave(LOGIN + b"DELE 1\r\n")
        await until(lambda: not front.connections[0]._transport)
    assert front.connections[0]._ending is Ending.VANISHED
    assert caplog.records == []


async def test_stls_turns_a_connection_private(certificates: Certificates, trusting: ssl.SSLContext) -> None:
    front = Front(await House().furnish(SMALL), context=certificates.context())
    async with front.listening(TlsMode.STARTTLS):
        wire = await front.client()
        await wire.send(b"USER a\r\nSTLS\r\n")
        assert await wire.line() == b"-ERR TLS required"
        assert (await wire.line()).startswith(b"+OK")
        tls = TlsWire(wire, trusting, "pop.example")
        await tls.handshake()
        await tls.send(b"CAPA\r\n" + LOGIN)
        assert (await tls.line()).startswith(b"+OK")
        capabilities: list[bytes] = []
        while capabilities[-1:] != [b"."]:
            capabilities.append(await tls.line())
        assert b"STLS" not in capabilities
        assert b"USER" in capabilities
        assert (await tls.line()).startswith(b"+OK")
        assert (await tls.line()).startswith(b"+OK Maildrop")
        await tls.send(b"QUIT\r\n")
        assert await tls.ended_with_close_notify()
    assert front.connections[0]._peer.tls is not None


@pytest.mark.parametrize(
    "injected", [b"USER evil\r\nPASS x\r\nQUIT\r\n", b"half a li", b"\0" * 4000], ids=["commands", "half", "nul"]
)
async def test_r51_what_comes_with_stls_in_one_packet_is_never_run(
    certificates: Certificates, trusting: ssl.SSLContext, injected: bytes
) -> None:
    front = Front(await House().furnish(SMALL), context=certificates.context())
    async with front.listening(TlsMode.STARTTLS):
        wire = await front.client()
        await wire.send(b"STLS\r\n" + injected)
        assert (await wire.line()).startswith(b"+OK")
        tls = TlsWire(wire, trusting, "pop.example")
        await tls.handshake()
        await tls.send(b"NOOP\r\n" + LOGIN)
        assert await tls.line() == b"-ERR Command not valid in this state"
        assert (await tls.line()).startswith(b"+OK Password")
        assert (await tls.line()).startswith(b"+OK Maildrop")


async def test_r51_what_comes_after_stls_in_clear_breaks_the_handshake(certificates: Certificates) -> None:
    front = Front(await House().furnish(SMALL), context=certificates.context())
    async with front.listening(TlsMode.STARTTLS):
        wire = await front.client()
        await wire.send(b"STLS\r\n")
        assert (await wire.line()).startswith(b"+OK")
        await wire.send(LOGIN + b"QUIT\r\n")
        rest = await wire.rest()
        assert b"+OK" not in rest
        assert b"-ERR" not in rest
        await until(lambda: front.connections[0]._gone)
    assert front.connections[0]._ending is Ending.TLS


async def test_r100_implicit_tls_comes_first_then_the_greeting(
    certificates: Certificates, trusting: ssl.SSLContext
) -> None:
    front = Front(await House().furnish(SMALL), context=certificates.context())
    async with front.listening(TlsMode.IMPLICIT):
        trusting.set_alpn_protocols(["pop3"])
        tls = TlsWire(await Wire.to(front.port), trusting, "pop.example")
        await tls.handshake()
        assert tls.tls.selected_alpn_protocol() == "pop3"
        assert (await tls.line()).startswith(b"+OK Poplar")
        await tls.send(LOGIN)
        assert (await tls.line()).startswith(b"+OK")
        assert (await tls.line()).startswith(b"+OK Maildrop")


@pytest.mark.parametrize(
    "first", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["A19", "A20"]
)
async def test_another_protocol_is_closed_without_a_word(first: bytes) -> None:
    front = Front(await House().furnish())
    async with front.listening():
        wire = await front.client()
        await wire.send(first)
        assert await wire.rest() == b""


async def test_r7_a_silent_client_is_closed_without_update_or_answer() -> None:
    house = await House().furnish(SMALL)
    front = Front(house, Pop3Options(autologout=0.05))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"DELE 1\r\n")
        assert await wire.line() == b"+OK"
        assert await wire.rest() == b""
    assert front.connections[0]._ending is Ending.AUTOLOGOUT
    assert house.provider.rows(house.key)[0].removed_at is None


async def test_who_waits_for_an_effect_is_not_idle_and_is_looked_at_again_after_it() -> None:
    """RFC 1939 §3: "The receipt of any command from the client during that interval" resets the autologout timer."""
    house = await House().furnish()
    front = Front(house)
    asked, answer = asyncio.Event(), asyncio.Event()
    find = house.provider.directory.find

    async def finding(name: str) -> object:
        asked.set()
        await answer.wait()
        return await find(name)

    house.provider.directory.find = finding  # type: ignore[method-assign, assignment]
    async with front.listening():
        wire = await front.client()
        await wire.send(LOGIN)
        await asked.wait()
        connection = front.connections[0]
        connection._expired()
        answer.set()
        assert (await wire.line()).startswith(b"+OK")
        assert (await wire.line()).startswith(b"+OK")
        connection._expired()
        assert connection._ending is None, "the wait for a command has just begun"
        assert connection._deadline._moment is not None
        connection._heard -= connection._patience.idle
        connection._expired()
        assert await wire.rest() == b""
    assert connection._ending is Ending.AUTOLOGOUT


async def test_a22_octets_that_end_no_line_don_t_keep_a_session_alive() -> None:
    front = Front(await House().furnish(), Pop3Options(autologout=0.2))
    async with front.listening():
        wire = await front.client()
        closing = asyncio.ensure_future(wire.rest())
        for _ in range(2000):
            if closing.done():
                break
            try:
                await wire.send(b"x")
            except ConnectionError:
                break
            await asyncio.sleep(0.005)
        assert await closing == b""
    assert front.connections[0]._ending is Ending.AUTOLOGOUT


async def test_a17_a_client_that_never_reads_is_held_to_bounded_memory_then_closed() -> None:
    house = await House().furnish(LARGE)
    front = Front(house, Pop3Options(stall=0.3, buffered=64 * 1024, buffered_stranger=64 * 1024))
    async with front.listening():
        wire = await front.logged_in()
        for _ in range(10):
            await wire.send(b"RETR 1\r\n" * 200)
        connection = front.connections[0]
        await until(lambda: connection._outlet.paused)
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() <= 64 * 1024 + 2 * 256 * 1024
        assert connection._session.buffered <= 64 * 1024 + 256 * 1024
        await until(lambda: connection._gone)
    assert connection._ending is Ending.STALLED
    assert front.memory.used == 0
    assert len(house.leases) == 0


async def test_a17_pipelined_commands_wait_while_nobody_reads_and_all_are_answered_then() -> None:
    front = Front(await House().furnish(SMALL), Pop3Options(buffered=16 * 1024))
    async with front.listening():
        wire = await front.logged_in()
        sending = asyncio.ensure_future(wire.send(b"CAPA\r\n" * 50_000 + b"QUIT\r\n"))
        await until(lambda: front.connections[0]._outlet.paused)
        answers = await wire.rest()
        await sending
    assert answers.count(b"\r\n.\r\n") == 50_000
    assert answers.endswith(b"+OK Bye\r\n")


async def test_a_client_that_quits_and_never_reads_the_rest_is_cut_in_the_end() -> None:
    house = await House().furnish(LARGE)
    front = Front(house, Pop3Options(stall=0.2, buffered=8 << 20))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n" * 3 + b"QUIT\r\n")
        await until(lambda: front.connections and front.connections[0]._gone)
    assert len(house.leases) == 0


async def test_g8_a_store_that_fails_in_the_middle_cuts_the_connection_and_never_ends_with_a_dot() -> None:
    house = await House().furnish(LARGE)
    house.blobs.wrong_at = len(LARGE) - 3
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\nNOOP\r\n")
        assert not (await wire.rest()).endswith(b".\r\n")
    assert front.connections[0]._ending is Ending.STORE
    assert len(house.leases) == 0


@pytest.mark.parametrize("command", [b"RETR 1", b"TOP 1 0", b"TOP 1 1"])
async def test_g8_a_large_message_that_is_broken_where_it_begins_is_refused(command: bytes) -> None:
    house = await House().furnish(LARGE)
    house.blobs.wrong_at = 3
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(command + b"\r\nNOOP\r\n")
        assert (await wire.line()).startswith(b"-ERR [SYS/PERM]")
        assert await wire.line() == b"+OK"


async def test_a_small_message_that_can_t_be_read_is_refused_and_the_session_goes_on() -> None:
    house = await House().furnish(SMALL)
    house.blobs.failures = 99
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\nNOOP\r\n")
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        assert await wire.line() == b"+OK"


async def test_g5_a_lost_maildrop_ends_an_idle_session_at_once_and_removes_nothing() -> None:
    house = await House().furnish(SMALL)
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"DELE 1\r\n")
        assert await wire.line() == b"+OK"
        await house.locks.evict(house.key)
        await house.renew()
        assert (await wire.rest()).startswith(b"-ERR [SYS/TEMP] This session no longer")
    assert front.connections[0]._ending is Ending.LOST
    assert house.provider.rows(house.key)[0].removed_at is None


async def test_g3_a_lease_lost_while_quit_removes_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(SMALL)
    removing, go_on = asyncio.Event(), asyncio.Event()
    remove = house.index.remove

    async def slowly(*arguments: object) -> None:
        removing.set()
        await go_on.wait()
        await remove(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(house.index, "remove", slowly)
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"DELE 1\r\nQUIT\r\n")
        await removing.wait()
        await house.locks.evict(house.key)
        await house.renew()
        go_on.set()
        assert await wire.rest() == b"+OK\r\n+OK Bye, 1 message removed\r\n"


async def test_a_client_that_leaves_during_its_login_holds_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(SMALL)
    opening, go_on = asyncio.Event(), asyncio.Event()
    verify = house.hashes.verify

    async def slowly(verifier: str | None, password: str) -> bool:
        opening.set()
        await go_on.wait()
        return await verify(verifier, password)

    monkeypatch.setattr(house.hashes, "verify", slowly)
    front = Front(house)
    async with front.listening():
        wire = await front.client()
        await wire.send(LOGIN)
        await opening.wait()
        wire.reset()
        go_on.set()
        await until(lambda: front.connections[0]._gone)
        assert len(house.leases) == 0
        assert await house.locks.holders() == []


async def test_a_client_that_leaves_while_its_wrong_password_is_looked_at_is_counted_as_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await House().furnish(SMALL)
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*_: object) -> bool:
        looking.set()
        await go_on.wait()
        return False

    monkeypatch.setattr(house.hashes, "verify", slowly)
    house.login = (guarded := Guarded(house)).login
    front = Front(house)
    async with front.listening():
        wire = await front.client()
        await wire.send(LOGIN)
        await looking.wait()
        wire.reset()
        go_on.set()
        await until(lambda: front.connections[0]._gone)
    assert guarded.watched.how == ["new"]


async def test_a_drain_refuses_who_isn_t_logged_in_and_lets_the_others_quit() -> None:
    house = await House().furnish(SMALL)
    front = Front(house)
    async with front.listening() as listener:
        waiting, working = await front.client(), await front.logged_in()
        listener.drain()
        assert (await waiting.rest()).startswith(b"-ERR [SYS/TEMP]")
        await working.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
        assert (await working.rest()).endswith(b"+OK Bye, 1 message removed\r\n")
        await listener.wait_closed()


async def test_an_end_closes_without_update_and_frees_the_maildrop() -> None:
    house = await House().furnish(SMALL)
    front = Front(house)
    async with front.listening() as listener:
        wire = await front.logged_in()
        await wire.send(b"DELE 1\r\n")
        assert await wire.line() == b"+OK"
        listener.end()
        assert await wire.rest() == b""
        await listener.wait_closed()
    assert len(house.leases) == 0
    assert house.provider.rows(house.key)[0].removed_at is None


async def test_a_full_process_sheds_the_oldest_stranger_then_refuses_newcomers_politely() -> None:
    house = await House().furnish()
    front = Front(house, admission=Admission(2))
    async with front.listening():
        held = await front.logged_in()
        stranger = await front.client()
        newcomer = await front.client()
        assert (await stranger.rest()).startswith(b"-ERR [SYS/TEMP] Too many connections, please wait")
        await held.send(b"NOOP\r\n")
        assert await held.line() == b"+OK"
        await newcomer.send(b"QUIT\r\n")
        assert (await newcomer.rest()).startswith(b"+OK")


async def test_d32_connections_reset_in_the_middle_of_auth_leave_nothing_behind() -> None:
    front = Front(await House().furnish())
    async with front.listening() as listener:
        for _ in range(300):
            wire = await front.client()
            await wire.send(b"AUTH PLAIN\r\n")
            wire.reset()
        # The last one may still be about to be accepted.
        await until(lambda: not (listener.connections or front.admission.held))
        assert front.admission.leaving == 0


async def test_g15_messages_wait_for_memory_and_one_that_gets_none_is_refused() -> None:
    house = await House().furnish(SMALL)
    front = Front(house, memory=Budget(10, patience=0))
    await front.memory.take(10)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n")
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        front.memory.give_back(10)
        await wire.send(b"RETR 1\r\n")
        assert (await wire.line()).startswith(b"+OK")


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


async def test_g14_what_was_waited_for_a_messages_place_the_store_has_less(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(SMALL)
    locate, after, waits, clock = house.index.locate, Retrieval.after, list[float](), Clock()

    async def late(key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        clock.now += 2.5
        return await locate(key, sequences)

    def noted(retrieval: Retrieval, waited: float) -> Retrieval:
        waits.append(waited)
        return after(retrieval, waited)

    monkeypatch.setattr(pop3_retrieving, "time", clock)
    monkeypatch.setattr(house.index, "locate", late)
    monkeypatch.setattr(Retrieval, "after", noted)
    front = Front(house)
    async with front.listening():
        for command in (b"TOP 1 0\r\n", b"RETR 1\r\n"):
            wire = await front.logged_in()
            await wire.send(command)
            assert (await read_multi_line(wire))[0].startswith(b"+OK")
            wire.close()
            await until(lambda: len(house.leases) == 0)
    assert waits == [2.5, 2.5]


async def test_g14_a_failing_index_is_never_an_empty_maildrop(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(SMALL)

    async def down(*_: object) -> None:
        raise Refusal(Reason.UNAVAILABLE, "told to fail")

    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        monkeypatch.setattr(house.index, "listing", down)
        await wire.send(b"LIST\r\nUIDL\r\nSTAT\r\n")
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        assert await wire.line() == b"+OK 1 20"


async def test_a_status_line_leaves_in_one_piece_with_what_follows() -> None:
    front = Front(await House().furnish(SMALL))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n")
        assert (await wire.receive()).startswith(b"+OK 20 octets\r\nSubject: s\r\n")


async def test_a_long_train_of_commands_is_heard_as_long_as_it_lasts() -> None:
    front = Front(await House().furnish(SMALL))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"NOOP\r\n" * 600)
        for _ in range(600):
            assert await wire.line() == b"+OK"
        connection = front.connections[0]
        # Autologout counts from its last commands, not from its first.
        assert connection._heard > connection._since
