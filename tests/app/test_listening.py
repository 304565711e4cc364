"""What who runs the service sees of connections that got no further: enough to notice, too little to drown in."""

from structlog.testing import capture_logs

from service.app.listening import Rejections
from service.net.listener import Rejection


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
