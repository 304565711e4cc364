"""The settings of the event stream: a webhook is reached by TLS alone, or on loopback where that is meant."""

import pytest
from pydantic import ValidationError

from service.settings.events import EventsSettings

SECRET = "a secret of some thirty-two characters"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://siem.example/in", True),
        ("http://192.0.2.1/in", True),
        ("http://127.0.0.1.example/in", True),
        ("http://127.0.0.1/in", False),
        ("ftp://127.0.0.1/in", True),
        ("https://user:pass@siem.example/in", False),
        ("https:///in", False),
        ("siem.example", True),
    ],
)
def test_only_tls_and_where_it_is_allowed_loopback_in_clear(url: str, loopback: bool) -> None:
    with pytest.raises(ValidationError, match="must be"):
        EventsSettings.model_validate({"webhook": url, "webhook_secret": SECRET, "webhook_loopback_http": loopback})


@pytest.mark.parametrize(("url", "loopback"), [("https://siem.example/in?a=b", False), ("http://[::1]:8000/in", True)])
def test_a_receiver_by_tls_or_on_this_machine_is_taken(url: str, loopback: bool) -> None:
    values = {"webhook": url, "webhook_secret": SECRET, "webhook_loopback_http": loopback}
    assert EventsSettings.model_validate(values).webhook == url
