"""The history is read back as it was written, whoever wrote it."""

import io
import threading

import pytest

from tests.faults.operations import Recorder, read


def test_an_operation_is_read_back_as_it_was_written() -> None:
    file, ticks = io.StringIO(), iter([1.5, 2.5])
    pending = Recorder(file, lambda: next(ticks)).begin("c1", "uidl", "s1", "anna@a.example")
    written = pending.end("ok", b"+OK\r\n", ids={1: "x", 2: "y"})
    (found,) = read(file.getvalue().splitlines())
    assert found == written
    assert (found.began, found.ended, found.said, found.facts) == (1.5, 2.5, "+OK", {"ids": {1: "x", 2: "y"}})


def test_what_a_client_never_heard_the_end_of_is_unknown() -> None:
    file = io.StringIO()
    with pytest.raises(ConnectionResetError), Recorder(file).begin("c1", "quit", "s1", "anna@a.example", marked=[1]):
        raise ConnectionResetError
    (found,) = read(file.getvalue().splitlines())
    assert (found.outcome, found.said, found.facts) == ("unknown", "", {"marked": [1]})


def test_an_operation_ends_once() -> None:
    pending = Recorder(io.StringIO()).begin("c1", "noop")
    pending.end("ok")
    with pytest.raises(AssertionError):
        pending.end("fail")


def test_threads_write_whole_lines_with_numbers_of_their_own() -> None:
    file = io.StringIO()
    recorder = Recorder(file)

    def work(client: str) -> None:
        for _ in range(50):
            recorder.begin(client, "noop", facts_of_any_kind="x" * 50).end("ok")

    threads = [threading.Thread(target=work, args=(f"c{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.n for one in read(file.getvalue().splitlines())] == list(range(1, 401))


def test_only_what_was_over_before_is_ordered() -> None:
    file, ticks = io.StringIO(), iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    recorder = Recorder(file, lambda: next(ticks))
    first, second = recorder.begin("a", "noop"), recorder.begin("b", "noop")
    one, two = first.end("ok"), second.end("ok")
    three = recorder.begin("a", "noop").end("ok")
    assert not one.precedes(two)
    assert not two.precedes(one)
    assert one.precedes(three)


@pytest.mark.parametrize("line", ["{}", "[]", '"x"', "nonsense", '{"facts": 1}'])
def test_a_line_that_is_no_operation_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"no operation|Expecting"):
        read([line])


def test_an_unknown_kind_is_refused() -> None:
    file = io.StringIO()
    Recorder(file).begin("c", "noop").end("ok")
    with pytest.raises(ValueError, match="no such kind"):
        read([file.getvalue().replace("noop", "explode")])
