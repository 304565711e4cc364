"""The control plane: etcd, the API server, the controllers and the scheduler, one of each.

Owns their options. Everything that admits objects is on as Kubernetes has it by default, Pod Security among it.
"""

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.cluster.place import ADDRESS, CA, CERTIFICATE, ETCD, KEY, KUBECONFIG, PODS, PROGRAMS, RUN, SERVICES
from tests.cluster.servers import Command, asked, server


@contextmanager
def control_plane() -> Iterator[None]:
    """All of it, answering. Raises ClusterError."""
    with ExitStack() as stack:
        stack.enter_context(server(_etcd(), _etcd_answers))
        stack.enter_context(server(_api_server(), lambda: asked("get", "--raw=/readyz") == "ok"))
        # The default ServiceAccount, without which no pod is made, is theirs.
        stack.enter_context(server(_controllers(), _has_default_account))
        scheduler: Command = [PROGRAMS / "kube-scheduler", f"--kubeconfig={KUBECONFIG}", "--leader-elect=false"]
        stack.enter_context(server(scheduler, lambda: True))
        yield


def _has_default_account() -> bool:
    return asked("get", "serviceaccount/default", "--output=name").startswith("serviceaccount/")


def _etcd() -> Command:
    client = [f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"]
    # What a crash of the machine would lose, the next run makes again.
    return [PROGRAMS / "etcd", f"--data-dir={RUN / 'etcd'}", *client, "--unsafe-no-fsync", "--log-level=warn"]


def _etcd_answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ETCD}/health", timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _api_server() -> Command:
    tls = [f"--tls-cert-file={CERTIFICATE}", f"--tls-private-key-file={KEY}", f"--client-ca-file={CA}"]
    kubelet = [
        f"--kubelet-client-certificate={CERTIFICATE}",
        f"--kubelet-client-key={KEY}",
        "--kubelet-preferred-address-types=InternalIP",
    ]
    accounts = [
        f"--service-account-key-file={KEY}",
        f"--service-account-signing-key-file={KEY}",
        "--service-account-issuer=https://kubernetes.default.svc",
    ]
    place = [f"--bind-address={ADDRESS}", f"--advertise-address={ADDRESS}", "--secure-port=6443"]
    rest = [f"--etcd-servers={ETCD}", f"--service-cluster-ip-range={SERVICES}", "--authorization-mode=RBAC"]
    return [PROGRAMS / "kube-apiserver", *tls, *kubelet, *accounts, *place, *rest]


def _controllers() -> Command:
    # As often as an HPA may look, so that a test need not wait for it.
    often = "--horizontal-pod-autoscaler-sync-period=5s"
    rest = [f"--service-account-private-key-file={KEY}", f"--root-ca-file={CA}", f"--cluster-cidr={PODS}", often]
    return [PROGRAMS / "kube-controller-manager", f"--kubeconfig={KUBECONFIG}", "--leader-elect=false", *rest]
