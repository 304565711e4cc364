"""Ways for mail programs outside a cluster to its front ends.

Owns the two: through the Service, where this machine reaches its address as nodes do, so that what is tested includes
how fast nodes look away from a pod that ends; else a forwarded port of each ready pod in turn.
"""

import poplib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.embedded.process import free_port
from tests.helm.e2e.cluster import RELEASE, Cluster
from tests.helm.programs import kubectl

Place = tuple[str, int]


@contextmanager
def clients_of(there: Cluster, accounts: list[str], password: str) -> Iterator[Callable[[int], poplib.POP3]]:
    """Gives sessions: called with the number of one of `accounts`, a client that has logged in."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with _places(there) as next_place:

        def connect(number: int) -> poplib.POP3:
            with _at("connection, TLS or greeting"):
                client = poplib.POP3_SSL(*next_place(), context=context, timeout=60)
            with _at("USER"):
                client.user(accounts[number])
            with _at("PASS"):
                client.pass_(password)
            return client

        yield connect


@contextmanager
def _at(step: str) -> Iterator[None]:
    """An error within is told where it happened."""
    try:
        yield
    except (OSError, EOFError, poplib.error_proto) as error:
        error.add_note(step)
        raise


@contextmanager
def _places(there: Cluster) -> Iterator[Callable[[], Place]]:
    service = there.get("service", f"{RELEASE}-pop3s")["spec"]
    place = (str(service["clusterIP"]), int(service["ports"][0]["port"]))
    if reaches(place):
        yield lambda: place
    else:
        with _forwarding(there) as next_place:
            yield next_place


def reaches(place: Place) -> bool:
    try:
        socket.create_connection(place, timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def _forwarding(there: Cluster) -> Iterator[Callable[[], Place]]:
    """A local port that leads to a ready pod, a new one for pods that come."""
    running: dict[str, tuple[subprocess.Popen[bytes], Place]] = {}
    turn = 0

    def next_place() -> Place:
        nonlocal turn
        turn += 1
        ready = [pod["metadata"]["name"] for pod in there.pods("pop3") if is_ready(pod)]
        name = ready[turn % len(ready)]
        if name not in running or running[name][0].poll() is not None:
            running[name] = _forward(there, name)
        return running[name][1]

    try:
        yield next_place
    finally:
        for process, _ in running.values():
            process.terminate()
            process.wait()


def _forward(there: Cluster, pod: str) -> "tuple[subprocess.Popen[bytes], Place]":
    port = free_port()
    place = [f"--kubeconfig={there.kubeconfig}", f"--namespace={there.namespace}"]
    process = subprocess.Popen(
        [kubectl(), *place, "port-forward", f"pod/{pod}", f"{port}:pop3s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process, ("127.0.0.1", port)


def is_ready(pod: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
