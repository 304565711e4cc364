"""G17: no password, token or message text in logs; each of a session's lines carries its id."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.net.peer import Peer, TlsFacts
from service.net.session_line import line_of
from service.telemetry.cleaning import quoted, scrubbed
from service.telemetry.logs import SessionLog, configure, get_log
from tests.telemetry.written import Lines, lines_written, members

SECRET = "hunter2"


@pytest.fixture
def lines() -> Iterator[Lines]:
    with lines_written() as lines:
        yield lines


@pytest.mark.parametrize("key", ["password", "new_password", "token", "secret_key", "authorization", "verifier"])
def test_a_key_that_names_a_secret_is_masked(key: str, lines: Lines) -> None:
    get_log("test").info("event", **{key: SECRET})
    assert lines()[0][key] == "********"


@pytest.mark.parametrize(
    "text",
    [
        f"could not connect to postgresql://poplar:{SECRET}@db/poplar",
        f"redis://:{SECRET}@cache:6379",
        f"password={SECRET} was refused",
        f'token: "{SECRET}"',
        f"redis://:p@ss{SECRET}@cache:6379",
        f"mysql://u:{SECRET}@/{SECRET}@db",
        f'{{"id": 1, "password": "{SECRET}"}}',
        f"{{'client_secret': '{SECRET}'}}",
        f"PGPASSWORD={SECRET}",
        f"Authorization: Bearer {SECRET * 3}",
        f"poplar_{SECRET * 8}",
    ],
)
def test_a_password_inside_a_text_is_masked(text: str, lines: Lines) -> None:
    get_log("test").info(text, cause=text, error=ValueError(text))
    assert SECRET not in json.dumps(lines())
    assert SECRET not in scrubbed(text)


def test_a_secret_is_masked_however_deep_it_stands(lines: Lines) -> None:
    nested = {"tries": [{"url": f"redis://:{SECRET}@h", "token": SECRET}, (f"password={SECRET}", 3)]}
    get_log("test").info("event", systems=nested, error={ValueError(f"secret={SECRET}")})
    (line,) = lines()
    assert SECRET not in json.dumps(line)
    assert line["systems"] == {"tries": [{"url": "redis://:********@h", "token": "********"}, ["password=********", 3]]}


@pytest.mark.parametrize(
    "piece",
    ["a", "a.", "a://", "a://b:", "a://b:c@", "password", "password=", 'password="', "bearer ", "poplar_", "token  "],
)
def test_a_text_of_any_length_is_looked_through_in_time_that_grows_as_it_does(piece: str) -> None:
    """A megabyte of it: what tried again from each octet would take hours, and the tests' time limit would end it."""
    scrubbed(piece * (1_000_000 // len(piece)))


def test_a_traceback_shows_no_values(lines: Lines) -> None:
    def fail(password: str) -> None:
        raise ValueError(f"bad redis://u:{password}@h")

    try:
        fail(SECRET)
    except ValueError:
        SessionLog("id", "pop3").exception("fault")
    (line,) = lines()
    assert "ValueError" in str(line["exception"])
    assert SECRET not in json.dumps(line)


def test_a_library_writes_through_the_same_form_and_masks(lines: Lines) -> None:
    logging.getLogger("asyncio").error("lost redis://x:%s@h", SECRET)
    (line,) = lines()
    assert line["logger"] == "asyncio"
    assert line["level"] == "error"
    assert SECRET not in json.dumps(line)


def test_what_a_terminal_would_obey_is_escaped(lines: Lines) -> None:
    """Bad input D05: a terminal escape in a name."""
    get_log("test").info("refused", name="a\x1b[2J\nfake line")
    assert lines()[0]["name"] == "a\\x1b[2J\\nfake line"


def test_a_traceback_keeps_its_lines_and_nothing_else_that_a_terminal_would_obey(lines: Lines) -> None:
    def fail() -> None:
        raise ValueError("\x1b]0;title\x07\x9b2J")

    try:
        fail()
    except ValueError:
        get_log("test").exception("fault")
    text = str(lines()[0]["exception"])
    assert text.startswith("Traceback")
    assert "\n" in text
    assert text.replace("\n", "").isprintable()


def test_every_line_of_a_session_carries_its_id(lines: Lines) -> None:
    log = SessionLog("5e55", "pop3s")
    log.bind("orchard", "ada@orchard.example")
    log.info("one")
    log.warning("two")
    log.context.run(logging.getLogger("library").warning, "three")
    assert [line["session"] for line in lines()] == ["5e55"] * 3
    assert lines()[1]["tenant"] == "orchard"


def test_the_id_of_one_session_never_shows_in_another(lines: Lines) -> None:
    first, second = SessionLog("1", "pop3"), SessionLog("2", "pop3")
    first.context.run(first.info, "one")
    second.info("two")
    logging.getLogger("library").warning("three")
    assert [line.get("session") for line in lines()] == ["1", "2", None]


def test_a_session_ends_with_one_line_that_says_what_happened(lines: Lines) -> None:
    log = SessionLog("5e55", "pop3s")
    log.bind("orchard", "ada@orchard.example")
    log.ended(members(end="quit", seconds=0.5, retrieved=2))
    (written,) = lines()
    assert written.pop("at")
    assert written == {
        "session": "5e55",
        "listener": "pop3s",
        "tenant": "orchard",
        "address": "ada@orchard.example",
        "end": "quit",
        "seconds": 0.5,
        "retrieved": 2,
        "event": "session ended",
        "level": "info",
    }


def test_a_balancers_look_at_the_port_is_no_line_and_a_client_that_spoke_or_stalled_is(lines: Lines) -> None:
    log = SessionLog("5e55", "pop3s")
    log.ended(members(end="vanished"), silent=True)
    assert lines() == []
    log.ended(members(end="vanished"))
    log.ended(members(end="autologout"))
    assert [line["end"] for line in lines()] == ["vanished", "autologout"]


def test_the_last_line_is_written_at_once_as_the_processors_would_write_it(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", '\u00fc\x1b\udc80"\\')
    line = line_of("pop3", Peer(f"client=\x1b password={SECRET}", 1, "pop3s", facts), "quit")
    log = SessionLog("5e55", "pop3s")
    log.bind("acme", "anna@example.org")
    log.traced("abc")
    log.ended(f"{line},{members(seconds=1.235, octets_in=9)}")
    monkeypatch.setattr("service.telemetry.logs._at_once", None)
    log.ended(f"{line},{members(seconds=1.235, octets_in=9)}")
    at_once, slowly = lines()
    assert list(at_once) == list(slowly)
    assert {**at_once, "at": ""} == {**slowly, "at": ""}
    assert SECRET not in json.dumps(at_once)
    assert at_once["server_name"] == '\u00fc\\x1b\\udc80"\\'


@pytest.mark.parametrize(
    "text", ["", 'a"b\\c', "\u00fc\u2028\x7f\x85\ud800", "\U0001f4ee", f"password={SECRET}\n", "</a>"]
)
def test_a_text_from_outside_is_a_string_of_json_that_hides_what_any_line_hides(text: str, lines: Lines) -> None:
    get_log("test").info("event", text=text)
    assert json.loads(quoted(text).encode()) == lines()[0]["text"]


def test_every_line_has_one_spacing_so_that_one_pattern_finds_all() -> None:
    stream = io.StringIO()
    handlers = logging.getLogger().handlers[:]
    configure("json", "info", stream)
    log = SessionLog("5e55", "pop3s")
    log.ended(members(end="quit", seconds=1.0))
    log.warning("refused", reason="unavailable", tried=[1, 2])
    get_log("drain").info("drained", facts={"a": 1})
    logging.getLogger("library").warning("three")
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    written = stream.getvalue().splitlines()
    assert len(written) == 4
    assert [line for line in written if line != json.dumps(json.loads(line), separators=(",", ":"))] == []


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    get_log("test").debug("quiet")
    logging.getLogger("library").info("quiet")
    assert lines() == []


def test_auto_is_json_where_there_is_no_terminal_and_readable_on_one() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        configure("auto", "info", stream)
        get_log("test").info("hello")
    structlog.reset_defaults()
    assert json.loads(pipe.getvalue())["event"] == "hello"
    with pytest.raises(json.JSONDecodeError):
        json.loads(terminal.getvalue())
