"""The node: a bridge, containerd, kubelet, kube-proxy and the cluster's DNS.

Owns their files of settings. One node holds all pods; it is this machine, within namespaces of the cluster's own
(`__main__.py`), so its interfaces, firewall rules and mounts go when the cluster goes.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.place import (
    ADDRESS,
    BRIDGE,
    CA,
    CERTIFICATE,
    CONTAINERD,
    DOMAIN,
    KEY,
    KUBECONFIG,
    NODE,
    PODS,
    PROGRAMS,
    RUN,
)
from tests.cluster.servers import ClusterError, Command, asked, listens, server

PAUSE = "poplar.test/pause:1"
CNI = Path("/usr/lib/cni")


def make_bridge() -> None:
    """The only network there is: pods, and what listens at ADDRESS."""
    for command in (
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"address add {ADDRESS}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", "utf-8")


@contextmanager
def node(images: list[Path]) -> Iterator[None]:
    """A node that is ready and holds these images. Raises ClusterError."""
    with ExitStack() as stack:
        stack.enter_context(server(["containerd", f"--config={_containerd()}"], CONTAINERD.exists))
        for image in images:
            _bring(image)
        stack.enter_context(server([PROGRAMS / "dns", f"-conf={_dns()}"], lambda: listens(53)))
        name = [f"--hostname-override={NODE}", f"--node-ip={ADDRESS}", "--node-labels=topology.kubernetes.io/zone=one"]
        kubelet: Command = [PROGRAMS / "kubelet", f"--config={_kubelet()}", f"--kubeconfig={KUBECONFIG}", *name]
        stack.enter_context(server(kubelet, _is_ready))
        proxy: Command = [PROGRAMS / "kube-proxy", f"--config={_kube_proxy()}"]
        stack.enter_context(server(proxy, lambda: listens(10256)))
        yield


def _bring(image: Path) -> None:
    client = ["ctr", f"--address={CONTAINERD}", "--namespace=k8s.io", "images", "import", str(image)]
    done = subprocess.run(client, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise ClusterError(f"containerd doesn't take {image}:\n{done.stdout}{done.stderr}")


def _is_ready() -> bool:
    wanted = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return asked("get", f"node/{NODE}", wanted) == "True"


def _containerd() -> Path:
    (RUN / "cni").mkdir()
    # The names of options are containerd 1.6's.
    text = f"""
        version = 2
        disabled_plugins = ["io.containerd.internal.v1.opt"]
        root = "{RUN}/containerd"
        state = "/run/containerd"
        [grpc]
          address = "{CONTAINERD}"
        [plugins."io.containerd.grpc.v1.cri"]
          sandbox_image = "{PAUSE}"
          # Within a container of its own the machine may not say that others are to be killed first.
          restrict_oom_score_adj = true
          [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "{CNI}"
            conf_dir = "{RUN}/cni"
        """
    network = {
        "cniVersion": "0.4.0",
        "name": "poplar",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(RUN / "addresses"),
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }
    (RUN / "cni" / "poplar.conflist").write_text(json.dumps(network), "utf-8")
    return _written("containerd.toml", text)


def _kubelet() -> Path:
    return _settings("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration", {
        "authentication": {
            "anonymous": {"enabled": False}, "webhook": {"enabled": False}, "x509": {"clientCAFile": str(CA)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(CERTIFICATE),
        "tlsPrivateKeyFile": str(KEY),
        "address": ADDRESS,
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": str(_written("resolv.conf", "")),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        # The machine's disk is not the cluster's, so its being full is no reason to evict.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
    })  # fmt: skip


def _kube_proxy() -> Path:
    return _settings("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration", {
        "clientConnection": {"kubeconfig": str(KUBECONFIG)},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        # The kernel's own table of connections is the machine's.
        "conntrack": {"maxPerCore": 0, "min": 0},
    })  # fmt: skip


def _dns() -> Path:
    return _written("Corefile", f"""
        {DOMAIN} {{
          bind {ADDRESS}
          errors
          kubernetes {DOMAIN} {{
            kubeconfig {KUBECONFIG}
          }}
        }}
        """)  # fmt: skip


def _settings(version: str, kind: str, values: dict[str, Any]) -> Path:
    return _written(f"{kind}.json", json.dumps({"apiVersion": version, "kind": kind} | values, indent=2))


def _written(name: str, text: str) -> Path:
    path = RUN / name
    path.write_text(text, "utf-8")
    return path
