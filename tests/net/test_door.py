"""What every accepted socket has from the one that listens. G15."""

import select
import socket
import sys
from contextlib import closing, suppress

import pytest

from service.net.door import UNSENT, listen


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems inherit other options")
def test_g15_the_kernel_takes_little_for_a_client_that_does_not_read() -> None:
    with closing(listen("127.0.0.1", 0, 8, reuse_port=False)) as listening, closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        select.select([listening], [], [], 10)
        accepted, _ = listening.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT
            accepted.setblocking(False)
            taken = 0
            # It takes what fits and then says that it would block, at once: nothing reads at the other end.
            with suppress(BlockingIOError):
                while True:
                    taken += accepted.send(b"x" * 65_536)
    assert taken <= 4 * UNSENT
