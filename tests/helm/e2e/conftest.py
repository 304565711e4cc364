"""One release in a namespace of its own, for all tests on a real cluster. `make cluster` makes one and runs them.

Owns what is installed: three front ends, a tenant with an account for each mail program of the load and one for `helm
test`, Services within the cluster.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.helm.e2e.cluster import Cluster, cluster
from tests.helm.e2e.load import WORKERS

ON_A_CLUSTER = [
    pytest.mark.skipif(
        "POPLAR_E2E_KUBECONFIG" not in os.environ,
        reason="POPLAR_E2E_KUBECONFIG names no cluster: make cluster makes one",
    ),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("cluster"),
]
PASSWORD = "a pass word of many tests"
ACCOUNTS = [f"load{number}@e2e.example" for number in range(WORKERS)]
PROBE = "probe@e2e.example"
TENANTS = {
    "tenants": {
        "e2e": {
            "domains": {"e2e.example": {}},
            "maildrops": {
                address: {"credentials": {"main": {"password_file": "/etc/poplar/secrets/load/password"}}}
                for address in [*ACCOUNTS, PROBE]
            },
        }
    }
}
VALUES = {
    "drain": {"preStopSeconds": 5, "sessionGraceSeconds": 30},
    "frontEnd": {"replicas": 3},
    "tenants": {"enabled": True, "files": {"e2e.yaml": TENANTS}, "secretNames": ["load"]},
    # Nobody renews it there: it is the Secret that `cluster.py` made.
    "tls": {
        "certificate": {
            "enabled": True,
            "dnsNames": ["pop.e2e.example"],
            "secretName": "certificate",
            "issuerRef": {"name": "nobody"},
        }
    },
    "service": {"pop3": {"type": "ClusterIP"}, "pop3s": {"type": "ClusterIP"}},
    "tests": {"login": {"secretName": "load"}},
}


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[object], None]:
    """Prints at once, whatever becomes of the test."""

    def tell(said: object) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{said}\n")

    return tell


@pytest.fixture(scope="session")
def installed() -> Iterator[Cluster]:
    with cluster(VALUES) as there:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "load"},
            "stringData": {"username": PROBE, "password": PASSWORD},
        }
        there.kubectl("create", "-f", "-", told=json.dumps(secret))
        there.upgrade()
        yield there
