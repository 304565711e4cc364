"""Faults of what looks after itself: processes, releases, drains, leases, certificates, the sweep, events, the log.

Owns these drills.
"""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import trustme

from tests.backends.demo import Place
from tests.backends.pausing import pause
from tests.cli.conftest import await_true
from tests.deploy.alarms.clients import deliver, log_in, open_session
from tests.deploy.alarms.drill import Drill, Scene, nothing
from tests.deploy.alarms.drills.scenes import scene_of
from tests.deploy.alarms.drills.web import Web, accepts
from tests.deploy.alarms.ground import Ground
from tests.system.clients.maildrop import Maildrop
from tests.system.front_end import IMPLICIT, LMTP, TERMINATED, front_end

OTHER = "Metadata-Version: 2.1\nName: poplar\nVersion: 0.0.1\n"
LEASE = {"lease_seconds": 2.0, "renew_every": 0.5}
GRACE = {"announce": 0.0, "grace": 300.0}


@contextmanager
def killed(ground: Ground) -> Iterator[Scene]:
    """The only front end is killed, while LMTP and the API go on; another one takes its place."""
    with ExitStack() as stack:
        front = stack.enter_context(front_end(ground.demo, ground.fresh("front"), (IMPLICIT,)))
        mail = stack.enter_context(front_end(ground.demo, ground.fresh("lmtp"), (LMTP,)))
        staff = stack.enter_context(front_end(ground.demo, ground.fresh("api"), ()))
        scene = scene_of(front, mail, staff, inject=front.command.process.kill, mend=nothing)

        def replace() -> None:
            again = stack.enter_context(front_end(ground.demo, ground.fresh("front"), (IMPLICIT,)))
            scene.scraped[:] = [again.ops, mail.ops, staff.ops]

        scene.mend = replace
        scene.words |= {"pop.provider.example:995": str(front.place())}
        yield scene


@contextmanager
def other_release(ground: Ground) -> Iterator[Scene]:
    """Beside a front end there is one that is installed as another release."""
    folder = ground.fresh("installed")
    (folder / "poplar-0.0.1.dist-info").mkdir()
    (folder / "poplar-0.0.1.dist-info" / "METADATA").write_text(OTHER, "utf-8")
    with ExitStack() as stack, front_end(ground.demo, ground.fresh("front"), (TERMINATED,)) as front:
        scene = scene_of(front, inject=nothing, mend=nothing)

        def add() -> None:
            os.environ["PYTHONPATH"] = str(folder)
            old = stack.enter_context(front_end(ground.demo, ground.fresh("old"), (TERMINATED,)))
            del os.environ["PYTHONPATH"]
            scene.scraped.append(old.ops)

        scene.inject, scene.mend = add, stack.close
        yield scene


@contextmanager
def session_stays(ground: Ground) -> Iterator[Scene]:
    """A front end is told to end, has a long grace, and one client does not go."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), drain=GRACE, redis=LEASE) as front:
        maildrop = ground.maildrops(1)[0]
        wire = open_session(maildrop, front.place("terminated"))

        def kick() -> None:
            ground.demo.poplar("session", "kick", maildrop.account.address)

        with closing(wire):
            yield scene_of(front, inject=partial(front.command.process.send_signal, signal.SIGTERM), mend=kick)


@contextmanager
def leases_outlived(ground: Ground) -> Iterator[Scene]:
    """A front end pauses for longer than its leases, and its users log in elsewhere meanwhile."""
    with (
        ExitStack() as sessions,
        front_end(ground.demo, ground.fresh("a"), (TERMINATED,), redis=LEASE) as stalled,
        front_end(ground.demo, ground.fresh("b"), (TERMINATED,), redis=LEASE) as other,
    ):
        maildrops = ground.maildrops(12)
        for each in maildrops:
            sessions.callback(open_session(each, stalled.place("terminated")).close)

        def stall() -> None:
            pause(stalled.pid)
            for each in maildrops:
                await_true(partial(_taken, sessions, each, other.place("terminated")), "the lease to run out")
            os.kill(stalled.pid, signal.SIGCONT)

        yield scene_of(stalled, other, inject=stall, mend=nothing)


def _taken(sessions: ExitStack, maildrop: Maildrop, place: Place) -> bool:
    wire, said = maildrop.log_in(place, private=False)
    sessions.callback(wire.close)
    return said.startswith(b"+OK")


@contextmanager
def blob_lost(ground: Ground) -> Iterator[Scene]:
    """Somebody deletes a message's blob; a copy of it comes back."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,)) as front:
        maildrop = ground.maildrops(1)[0]
        blobs = ground.demo.state / "state" / "blobs"
        before = set(blobs.rglob("*"))
        deliver(maildrop, ground.demo.place("lmtp"))
        (blob,) = (path for path in set(blobs.rglob("*")) - before if path.is_file())
        octets = blob.read_bytes()

        def lose() -> None:
            blob.unlink()
            with closing(open_session(maildrop, front.place("terminated"))) as wire:
                assert wire.say(b"RETR 1").startswith(b"-ERR [SYS/PERM]")
                wire.say(b"QUIT")

        def bring_back() -> None:
            blob.write_bytes(octets)
            with closing(open_session(maildrop, front.place("terminated"))) as wire:
                assert wire.say(b"RETR 1").startswith(b"+OK")

        scene = scene_of(front, inject=lose, mend=bring_back)
        scene.words |= {"0123456789abcdef0123456789abcdef/2026/11/26/0123456789abcdef": str(blob.relative_to(blobs))}
        yield scene


def _pair(folder: Path, authority: trustme.CA, hours: float) -> None:
    pair = authority.issue_cert("localhost", "127.0.0.1", not_after=datetime.now(UTC) + timedelta(hours=hours))
    (folder / "default.crt").write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    pair.private_key_pem.write_to_path(folder / "default.key")


@contextmanager
def certificate(ground: Ground, hours: float, *, torn: bool) -> Iterator[Scene]:
    """A front end with a certificate of its own, in whose place another comes."""
    folder, authority = ground.fresh("certificates"), trustme.CA()
    _pair(folder, authority, 2000)
    tls = {"directory": str(folder), "watch_every": 1.0}
    with front_end(ground.demo, ground.fresh("front"), (IMPLICIT,), tls=tls) as front:

        def harm() -> None:
            whole = (folder / "default.crt").read_bytes()
            _pair(folder, authority, hours)
            if torn:
                (folder / "default.crt").write_bytes(whole)

        scene = scene_of(front, inject=harm, mend=partial(_pair, folder, authority, 2000))
        scene.words |= {"pop.provider.example:995": str(front.place())}
        yield scene


@contextmanager
def receiver_down(ground: Ground) -> Iterator[Scene]:
    """Logins are told to a webhook, whose receiver goes away."""
    with Web(accepts) as web:
        told = {
            "webhook": web.url,
            "webhook_secret": "0123456789abcdef" * 2,
            "webhook_loopback_http": True,
            "patience": 1.0,
        }
        with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), events=told) as front:
            rounds = [partial(log_in, each, front.place("terminated")) for each in ground.maildrops(2)]
            yield scene_of(front, inject=web.end, mend=web.begin, rounds=rounds)


@contextmanager
def log_full(ground: Ground) -> Iterator[Scene]:
    """A process whose log may not grow, as on a full disk, while users come and go."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,)) as front:
        usual = resource.prlimit(front.pid, resource.RLIMIT_FSIZE)

        def fill() -> None:
            resource.prlimit(front.pid, resource.RLIMIT_FSIZE, (front.command.log.stat().st_size, usual[1]))

        def make_room() -> None:
            resource.prlimit(front.pid, resource.RLIMIT_FSIZE, usual)

        rounds = [partial(log_in, each, front.place("terminated")) for each in ground.maildrops(2)]
        yield scene_of(front, inject=fill, mend=make_room, rounds=rounds)


DRILLS = {
    "PoplarAbsent": Drill(
        "the only front end is killed, LMTP and the API go on",
        "another one takes its place",
        killed,
        (
            ("count by (what)", r'^\{what="delivery"\} 1'),
            ("count by (instance)", r"\} 1"),
            ("kubectl get pods", ""),
            ("kubectl logs", r'"event":"serving"'),
            ("poplar probe", r"refused|not be reached|connect"),
            ("kubectl port-forward", ""),
            ("curl", r"connect|refused"),
            ("up", r"\} 0"),
        ),
    ),
    "PoplarVersionsDiffer": Drill(
        "a second process is installed as release 0.0.1",
        "it is ended",
        other_release,
        (
            ("count by (version)", r'version="0\.0\.1"\} 1'),
            ("count by (instance, version)", r'instance=".*", version="0\.0\.1"'),
            ("kubectl rollout status", ""),
            ("poplar version", r"^poplar "),
        ),
    ),
    "PoplarDrainStuck": Drill(
        "a process with a grace of 300 s is told to end, and a client stays",
        "`poplar session kick`",
        session_stays,
        (
            ("poplar_draining", r"\} 1"),
            ("poplar_sessions", r'state="transaction"\} 1'),
            ("poplar session list", r"user-"),
        ),
    ),
    "PoplarLeasesLost": Drill(
        "a process stops for longer than its leases (SIGSTOP), and its users log in elsewhere",
        "nothing: it runs again",
        leases_outlived,
        (
            ("poplar_leases_lost_total", r"\} 1[0-9]"),
            ("poplar_loop_lag_seconds_bucket", r"\} [1-9]"),
            ("poplar doctor", r"ok    redis"),
            ("FROM audit", r""),
        ),
    ),
    "PoplarMessageDamaged": Drill(
        "a message's blob is deleted",
        "it is brought back from a copy, under its key",
        blob_lost,
        (
            ("kubectl logs", r'"address":"user-.*"reason":"broken".*"cause":".*/2[0-9]{3}/'),
            ("poplar_retrievals_total", r"\} [1-9]"),
            ("blob_key", r"'octets': [0-9]+, 'sha256': '[0-9a-f]{64}'.*'maildrops': 1"),
        ),
    ),
    "PoplarCertificateExpires": Drill(
        "a certificate is taken up that expires in four hours",
        "it is renewed",
        partial(certificate, hours=4, torn=False),
        (
            ("poplar_certificate_expiry", r"\} 1[34][0-9]{3}"),
            ("poplar doctor", r"warn  certificate default: expires in 0 days"),
            ("openssl s_client", r"notAfter="),
        ),
    ),
    "PoplarCertificateNotLoaded": Drill(
        "a key is replaced and its certificate is not",
        "both are written",
        partial(certificate, hours=2000, torn=True),
        (
            ("poplar doctor", r"FAIL  certificates: .*mismatch"),
            ("kubectl logs", r'"name":"default".*mismatch'),
            ("poplar_certificates_broken", r"\} 1"),
        ),
    ),
    "PoplarEventsDropped": Drill(
        "the receiver of the webhook goes away",
        "it is back",
        receiver_down,
        (
            ("poplar_events_total", r'outcome="dropped", sink="webhook"\} [0-9.]*[1-9]'),
            ("poplar_events_waiting", r'sink="webhook"'),
            ("kubectl logs", r"webhook"),
            ("poplar doctor", r"warn  events: "),
        ),
    ),
    "PoplarLogLinesLost": Drill(
        "the log may not grow (prlimit), as on a full disk",
        "it may again",
        log_full,
        (
            ("poplar_log_lines_lost_total", r"\} [0-9.]*[1-9]"),
            ("fd/2", r"/log$"),
            ("SIGUSR1", r""),
            ("kubectl logs", r"^0$"),
            ("kubectl get nodes", ""),
        ),
    ),
}
