"""Faults of the systems that Poplar stands on: Postgres, Redis, the object store, an outside directory.

Owns these drills. Deadlines are shorter than the shipped ones, so that a fault is felt as soon as times are short.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.deploy.alarms.clients import deliver, log_in, read
from tests.deploy.alarms.drill import Drill, Scene
from tests.deploy.alarms.drills.scenes import scene_of
from tests.deploy.alarms.ground import Ground
from tests.system.front_end import LMTP, TERMINATED, front_end

IMPATIENT = {"deadline": 1.0, "attempt": 0.5}


@contextmanager
def without_postgres(ground: Ground) -> Iterator[Scene]:
    """Logins at a front end whose Postgres crashes."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), database=IMPATIENT) as front:
        place = front.place("terminated")
        rounds = [partial(log_in, each, place) for each in ground.maildrops(3)]
        yield scene_of(front, inject=ground.end_postgres, mend=ground.begin_postgres, rounds=rounds)


@contextmanager
def without_redis(ground: Ground) -> Iterator[Scene]:
    """Logins at a front end whose Redis is gone."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), redis={"deadline": 0.5}) as front:
        rounds = [partial(log_in, each, front.place("terminated")) for each in ground.maildrops(3)]
        yield scene_of(front, inject=ground.end_valkey, mend=ground.begin_valkey, rounds=rounds)


@contextmanager
def store_hangs(ground: Ground) -> Iterator[Scene]:
    """Readers at a front end whose object store takes requests and never answers."""
    store = ground.object_store()
    with (
        front_end(ground.demo, ground.fresh("lmtp"), (LMTP,), object_store=store) as mail,
        front_end(ground.demo, ground.fresh("front"), (TERMINATED,), object_store=store) as front,
    ):
        maildrops = ground.maildrops(3)
        for each in maildrops:
            deliver(each, mail.place("lmtp"), 2)
        rounds = [partial(read, each, front.place("terminated")) for each in maildrops]
        yield scene_of(front, mail, inject=ground.s3.pause, mend=ground.s3.resume, rounds=rounds)


@contextmanager
def store_denies(ground: Ground) -> Iterator[Scene]:
    """Deliveries while the object store hangs."""
    with front_end(ground.demo, ground.fresh("lmtp"), (LMTP,), object_store=ground.object_store()) as mail:
        rounds = [partial(deliver, each, mail.place("lmtp")) for each in ground.maildrops(3)]
        yield scene_of(mail, inject=ground.s3.pause, mend=ground.s3.resume, rounds=rounds)


@contextmanager
def mail_without_postgres(ground: Ground) -> Iterator[Scene]:
    """Deliveries while no recipient can be looked up."""
    with front_end(ground.demo, ground.fresh("lmtp"), (LMTP,), database=IMPATIENT) as mail:
        rounds = [partial(deliver, each, mail.place("lmtp")) for each in ground.maildrops(3)]
        yield scene_of(mail, inject=ground.end_postgres, mend=ground.begin_postgres, rounds=rounds)


DRILLS = {
    "PoplarPostgresFails": Drill(
        "Postgres crashes (SIGQUIT)",
        "Postgres is started again; nothing else is touched",
        without_postgres,
        (
            ("poplar_store_errors_total", r'kind="connection"'),
            ("poplar_pool_waiting", r'role="front"'),
            ("poplar doctor", r"FAIL  postgres as front: can't be used"),
        ),
    ),
    "PoplarRedisFails": Drill(
        "Valkey is killed",
        "Valkey is started again, empty",
        without_redis,
        (
            ("poplar_store_errors_total", r'kind="(connection|breaker)"'),
            ("poplar_logins_judged_total", r'counters="own"'),
            ("poplar doctor", r"FAIL  redis: .* can't be used"),
        ),
    ),
    "PoplarObjectStoreFails": Drill(
        "the S3 server takes requests and never answers (SIGSTOP)",
        "it goes on",
        store_hangs,
        (
            ("poplar_store_errors_total", r'kind="(timeout|connection)"'),
            ("poplar_store_seconds_bucket", r'outcome="failed"\} [1-9]'),
            ("poplar doctor", r"FAIL  object store: s3://.* can't be written"),
        ),
    ),
    "PoplarDeliveriesFail": Drill(
        "the S3 server takes requests and never answers (SIGSTOP)",
        "it goes on",
        store_denies,
        (
            ("poplar_messages_delivered_total", r'outcome="unavailable"'),
            ("poplar_store_errors_total", r'kind="(timeout|connection)", vendor="objects"'),
            ("poplar doctor", r"FAIL  object store: s3://.* can't be written"),
        ),
    ),
    "PoplarDeliveriesFail/postgres": Drill(
        "Postgres crashes (SIGQUIT): all mail is refused at RCPT",
        "Postgres is started again; nothing else is touched",
        mail_without_postgres,
        (
            ("poplar_messages_delivered_total", r'outcome="unavailable"'),
            ("poplar_store_errors_total", r'kind="connection", vendor="postgres"'),
            ("poplar doctor", r"FAIL  postgres as lmtp: can't be used"),
        ),
    ),
    "PoplarRetrievalBudgetBurns": Drill(
        "the S3 server takes requests and never answers (SIGSTOP)",
        "it goes on",
        store_hangs,
        (
            ("poplar_retrievals_total", r'outcome="unavailable"'),
            ("poplar_store_errors_total", r'kind="(timeout|connection)"\} [0-9.]*[1-9]'),
            ("poplar_store_seconds_bucket", r'outcome="failed"\} [1-9]'),
            ("kubectl logs", r'"reason":"unavailable".*"event":"refused"'),
            ("poplar doctor", r"FAIL  object store: s3://.* can't be written"),
        ),
        window="1h",
    ),
    "PoplarLoginBudgetBurns": Drill(
        "Postgres crashes (SIGQUIT)",
        "Postgres is started again; nothing else is touched",
        without_postgres,
        (
            ("poplar_login_seconds_count{result=~", r'result="unavailable"'),
            ('poplar_login_seconds_count{result="unavailable"}', r'mechanism="USER"'),
            ("poplar_turns_refused_total", r""),
            ("poplar_store_errors_total", r'kind="connection", vendor="postgres"'),
            ("poplar doctor", r"FAIL  postgres as front: can't be used"),
        ),
        window="1h",
    ),
}
