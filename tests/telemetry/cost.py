"""What traces cost a process, without the systems that a session asks: `python -m tests.telemetry.cost`.

Owns the spans of one poll (login, listing, one RETR, UPDATE), made a thousand times over and sent to a collector in
another process. Prints microseconds of processor time; asserts nothing, as no test asserts a speed.
"""

import multiprocessing
import time
from multiprocessing.connection import Connection

from service.telemetry import spans, watching
from service.telemetry.otlp import OtlpTracer, TraceOptions
from service.telemetry.session_trace import SessionTrace
from service.telemetry.spans import Tracer, Untraced
from tests.telemetry.collector import collecting

POLLS = 1000
STEPS = {
    "login": ("postgres find", "redis standings", "passwords verify", "redis acquire", "redis opened", "postgres open"),
    "listing": ("postgres listing",),
    "RETR": ("postgres locate", "objects get"),
    "UPDATE": ("redis release",),
}


def poll(tracer: Tracer) -> None:
    """The spans of one session."""
    trace = SessionTrace(tracer, "POP3 session", lambda _: None, session="5e551f00d5e551f0", listener="pop3s")
    trace.arrived()
    for name, calls in STEPS.items():
        with trace.step(name):
            for call in calls:
                with watching.call(*call.split()) as span:
                    span.note(octets=1000)
            spans.note(octets=1000)
    trace.ended(end="quit", seconds=1.0, commands=8, retrieved=1, removed=1, octets_in=100, octets_out=2000)


def measured(name: str, tracer: Tracer) -> str:
    """A line of figures."""
    thread, process = time.thread_time(), time.process_time()
    for _ in range(POLLS):
        poll(tracer)
    thread = time.thread_time() - thread
    if isinstance(tracer, OtlpTracer):
        tracer.close(60)
    process = time.process_time() - process
    return f"{name}: {thread / POLLS * 1e6:.0f} us of the loop's thread, {process / POLLS * 1e6:.0f} us of the process"


def _collect(told: Connection) -> None:
    with collecting() as collector:
        told.send(collector.endpoint)
        told.recv()


def main() -> None:
    """Off, 1 % and 100 %."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_collect, args=(theirs,))
    process.start()
    endpoint = f"{ours.recv()}/v1/traces"
    print(measured("off", Untraced()))  # noqa: T201 - what it is for
    for ratio in (0.01, 1.0):
        options = TraceOptions(endpoint=endpoint, ratio=ratio, queue=100 * POLLS)
        print(measured(f"{ratio:.0%}", OtlpTracer({}, options, lambda *_: None)))  # noqa: T201 - what it is for
    ours.send("end")
    process.join()


if __name__ == "__main__":
    main()
