"""What a process says of itself once it serves."""

from service.app.processes import open_at
from service.app.running import Running
from service.settings import Settings
from service.settings.listening import HttpSettings, ListenerSettings


def test_it_says_where_it_is_open_rather_than_a_way_to_get_there() -> None:
    listeners = (
        ListenerSettings(name="a", protocol="pop3", port=0),
        ListenerSettings(name="b", protocol="lmtp", host="::1", port=0),
    )
    settings = Settings(listeners=listeners, http=HttpSettings(host="*"))
    ports = {"a": ("127.0.0.1", 1110), "b": ("::1", 1024)}
    told = open_at(settings, Running(ports, "http://127.0.0.1:8080"))
    assert told == {"listeners": {"a": "*:1110", "b": "::1:1024"}, "http": "http://*:8080"}
    assert open_at(settings, Running(ports, ""))["http"] == ""
