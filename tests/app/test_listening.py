"""How listeners come out of the settings, and what who runs the service sees of connections that got no further.

Of the latter enough to notice, too little to drown in.
"""

import socket
from contextlib import closing
from typing import NoReturn
from uuid import uuid4

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.app.listening import Rejections, Service, listener_spec, make_listeners, started
from service.app.waiting import Waiting
from service.net.door import listen
from service.net.drain import Drain
from service.net.listener import Rejection
from service.net.peer import Peer
from service.settings import Settings
from service.settings.listening import ListenerSettings


def test_the_kernel_holds_few_commands_of_a_client_and_as_much_mail_as_it_likes() -> None:
    def held(protocol: str) -> int:
        spec = listener_spec(ListenerSettings.model_validate({"name": "a", "protocol": protocol, "port": 0}), False)
        with closing(listen("127.0.0.1", 0, 1, False, spec.ahead)) as listening:
            return listening.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    # socket(7): "The kernel doubles this value (to allow space for bookkeeping overhead)".
    assert held("pop3") == 2 * 32 * 1024
    assert held("lmtp") > held("pop3")


def test_g16_handshakes_have_their_turns_by_the_tenant_that_a_front_end_knows_by_address() -> None:
    def nobody(_: Peer) -> NoReturn:
        raise AssertionError("nobody connects")

    tenant = uuid4()
    listeners = [
        {"name": "a", "protocol": "pop3", "port": 0, "tls": "terminated"},
        {"name": "b", "protocol": "lmtp", "port": 0},
    ]
    settings = Settings.model_validate({"listeners": listeners})
    services = {
        "lmtp": Service(nobody, None),
        "pop3": Service(nobody, None, {"198.51.100.7": tenant}.get),
    }
    made = make_listeners(settings, services, reuse_port=False, waiting=Waiting())
    turns = {listener._reception.handshakes for listener in made}
    assert len(made) == 2
    assert [(each._whose("198.51.100.7"), each._whose("203.0.113.9")) for each in turns] == [(tenant, None)]


async def test_a_process_that_drained_still_shows_that_it_does_until_it_is_gone() -> None:
    """What ends after the listeners may hang, and is then to be missed."""
    async with started([], Drain(), Settings()):
        pass
    assert REGISTRY.get_sample_value("poplar_draining") == 1


def test_a_missing_proxy_header_is_a_warning_once_a_minute() -> None:
    now = [1000.0]
    rejected = Rejections("balanced", lambda: now[0])
    with capture_logs() as lines:
        for _ in range(3):
            rejected(Rejection.PROXY_HEADER, "192.0.2.1", "neither a PROXY line nor the version 2 signature")
        now[0] += 61
        rejected(Rejection.PROXY_HEADER, "192.0.2.1", "")
    assert [line["log_level"] for line in lines] == ["warning", "debug", "debug", "warning"]
    assert (lines[0]["listener"], lines[0]["why"], lines[0]["client"]) == ("balanced", "proxy_header", "192.0.2.1")


def test_each_reason_is_told_by_itself_and_strangers_handshakes_are_not() -> None:
    rejected = Rejections("pop3s")
    with capture_logs() as lines:
        for why in (Rejection.HANDSHAKE, Rejection.FULL, Rejection.UNTRUSTED, Rejection.HANDSHAKE):
            rejected(why, "192.0.2.1", "")
    assert [line["log_level"] for line in lines] == ["debug", "warning", "warning", "debug"]
