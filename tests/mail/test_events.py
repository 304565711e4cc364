"""The pipes of the event stream: bounded, in order, repeated while a sink is away, honest about losses. G15."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from service.mail.events import EventStream, Pipe, PipeBounds, Unheard
from service.model.event import Event, Kind, plain
from service.model.refusal import Reason, Refusal
from tests.mail.provider import SetClock
from tests.net.front import until

pytestmark = pytest.mark.asyncio
QUICK = PipeBounds(queue=5, batch=2, patience=60.0, first_pause=0.001, longest_pause=0.002)


class Receiver:
    """A sink that keeps what it gets, and fails or hangs as told."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.reason: Reason | None = None
        self.tried = 0
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, batch: Sequence[Event]) -> None:
        self.tried += 1
        await self.open.wait()
        if self.reason is not None:
            raise Refusal(self.reason, "told to")
        self.batches.append(list(batch))

    @property
    def sessions(self) -> list[str]:
        return [event.session for batch in self.batches for event in batch]


class Told:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def __call__(self, outcome: str, count: int) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + count


@asynccontextmanager
async def running(pipe: Pipe) -> AsyncIterator[None]:
    task = asyncio.create_task(pipe.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def made(bounds: PipeBounds = QUICK) -> tuple[Receiver, Told, Pipe, Callable[[str], None]]:
    receiver, told = Receiver(), Told()
    pipe = Pipe(receiver, bounds, told)
    stream = EventStream([pipe], SetClock(), "pod:1")
    return receiver, told, pipe, lambda session: stream.tell(Event(Kind.LOGIN, session=session))


async def test_events_reach_a_sink_in_order_in_batches_and_stamped() -> None:
    receiver, told, pipe, tell = made()
    for session in "abc":
        tell(session)
    async with running(pipe):
        assert await pipe.settled(10.0) == 0
    assert receiver.sessions == ["a", "b", "c"]
    assert [len(batch) for batch in receiver.batches] == [2, 1]
    first = receiver.batches[0][0]
    assert (first.moment, first.process) == (SetClock().now(), "pod:1")
    assert len({event.event_id for batch in receiver.batches for event in batch}) == 3
    assert told.counts == {"delivered": 3}


async def test_a_full_queue_drops_the_newest_and_the_stream_says_how_many_and_where() -> None:
    receiver, told, pipe, tell = made()
    for session in "abcdefgh":
        tell(session)
    assert (len(pipe), told.counts) == (5, {"dropped": 3})
    async with running(pipe):
        assert await pipe.settled(10.0) == 0
        tell("i")
        assert await pipe.settled(10.0) == 0
    assert receiver.sessions == [*"abcde", "", "i"]
    gap, following = receiver.batches[-1]
    assert (gap.kind, plain(gap)["dropped"], gap.process) == (Kind.DROPPED, 3, "pod:1")
    assert gap.event_id == f"{following.event_id}-gap"


async def test_a_batch_is_repeated_in_the_same_order_until_its_sink_takes_it() -> None:
    receiver, told, pipe, tell = made()
    receiver.reason = Reason.UNAVAILABLE
    for session in "abc":
        tell(session)
    async with running(pipe):
        await until(lambda: receiver.tried > 3)
        receiver.reason = None
        assert await pipe.settled(10.0) == 0
    assert receiver.sessions == ["a", "b", "c"]
    assert told.counts["delivered"] == 3
    assert told.counts["repeated"] >= 6
    assert "dropped" not in told.counts


async def test_a_batch_that_is_never_taken_is_dropped_and_said() -> None:
    receiver, told, pipe, tell = made()
    receiver.reason = Reason.INVALID
    tell("a")
    async with running(pipe):
        assert await pipe.settled(10.0) == 0
        receiver.reason = None
        tell("b")
        assert await pipe.settled(10.0) == 0
    assert (receiver.sessions, told.counts) == (["", "b"], {"dropped": 1, "delivered": 2})


class RefusingOnce(Receiver):
    """Never takes the first batch."""

    async def take(self, batch: Sequence[Event]) -> None:
        self.reason = Reason.INVALID if self.tried == 0 else None
        await super().take(batch)


async def test_a_batch_that_is_given_up_is_said_before_what_waited_behind_it() -> None:
    receiver = RefusingOnce()
    pipe = Pipe(receiver, QUICK, Told())
    stream = EventStream([pipe], SetClock(), "pod:1")
    for number in range(7):
        # The last two find no room.
        stream.tell(Event(Kind.LOGIN, session=str(number)))
    async with running(pipe):
        assert await pipe.settled(10.0) == 0
        stream.tell(Event(Kind.LOGIN, session="next"))
        assert await pipe.settled(10.0) == 0
    events = [each for batch in receiver.batches for each in batch]
    assert [each.counts.get("dropped", each.session) for each in events] == [2, "2", "3", "4", 2, "next"]
    assert events[0].event_id == f"{events[1].event_id}-gap"


async def test_patience_ends_and_the_gap_counts_what_earlier_gaps_said() -> None:
    receiver, told, pipe, tell = made(PipeBounds(2, 2, 0.0, 0.001, 0.001))
    receiver.reason = Reason.UNAVAILABLE
    for session in "abc":
        tell(session)
    async with running(pipe):
        assert await pipe.settled(10.0) == 0
        tell("d")
        assert await pipe.settled(10.0) == 0
        receiver.reason = None
        tell("e")
        assert await pipe.settled(10.0) == 0
    assert receiver.sessions == ["", "e"]
    assert receiver.batches[0][0].counts == {"dropped": 4}
    assert told.counts["dropped"] == 4


async def test_a_batch_under_way_when_its_task_is_ended_is_handed_on_by_the_next() -> None:
    receiver, _, pipe, tell = made()
    receiver.open.clear()
    tell("a")
    async with running(pipe):
        await until(lambda: receiver.tried)
    assert await pipe.settled(0.0) == 1
    receiver.open.set()
    async with running(pipe):
        assert await pipe.settled(10.0) == 0
    assert receiver.sessions == ["a"]


async def test_one_sink_that_hangs_holds_up_no_other() -> None:
    hanging, well = Receiver(), Receiver()
    hanging.open.clear()
    pipes = [Pipe(sink, QUICK, Told()) for sink in (hanging, well)]
    stream = EventStream(pipes, SetClock(), "pod:1")
    async with running(pipes[0]), running(pipes[1]):
        for number in range(20):
            stream.tell(Event(Kind.LOGIN, session=str(number)))
            await pipes[1].settled(10.0)
    assert well.sessions == [str(number) for number in range(20)]
    assert (hanging.sessions, len(pipes[0])) == ([], 5)


async def test_a_sink_is_handed_only_what_it_keeps_anything_of() -> None:
    some, every = Receiver(), Receiver()
    pipes = [Pipe(some, QUICK, Told(), {Kind.LOGIN}), Pipe(every, QUICK, Told())]
    stream = EventStream(pipes, SetClock(), "pod:1")
    async with running(pipes[0]), running(pipes[1]):
        for kind in (Kind.LOGIN, Kind.END):
            stream.tell(Event(kind, session=kind.value))
        assert [await pipe.settled(10.0) for pipe in pipes] == [0, 0]
    assert (some.sessions, every.sessions) == (["login"], ["login", "end"])


async def test_events_that_may_wait_for_each_other_go_together() -> None:
    """A register of recent logins has a batch of logins cost little more than one."""
    receiver, _, pipe, tell = made(PipeBounds(batch=10, gather=0.05))
    async with running(pipe):
        for session in "ab":
            tell(session)
            await asyncio.sleep(0)
        assert await pipe.settled(10.0) == 0
    assert [len(batch) for batch in receiver.batches] == [2]


async def test_what_nobody_keeps_anything_of_is_not_wanted() -> None:
    pipe = Pipe(Receiver(), QUICK, Told(), {Kind.LOGIN})
    stream = EventStream([pipe], SetClock(), "pod:1")
    assert stream.wants(Kind.LOGIN)
    assert not stream.wants(Kind.END)
    assert not Unheard().wants(Kind.LOGIN)


@pytest.mark.parametrize("kept", [True, False])
async def test_events_have_ids_where_a_sink_keeps_them(kept: bool) -> None:
    receivers = Receiver(), Receiver()
    pipes = [Pipe(receiver, QUICK, Told(), ids=ids) for receiver, ids in zip(receivers, (False, kept), strict=True)]
    EventStream(pipes, SetClock(), "pod:1").tell(Event(Kind.LOGIN, session="a"))
    for pipe in pipes:
        async with running(pipe):
            assert await pipe.settled(10.0) == 0
    (one,), (other,) = (receiver.batches[0] for receiver in receivers)
    assert one == other
    assert bool(one.event_id) is kept
