"""Where everything of the cluster is: its addresses and files.

Owns the names that its programs must agree upon. All addresses are of a bridge in a network namespace of the cluster's
own; all files but what was built live as long as one run.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "cluster"
PROGRAMS = TOOLS / "bin"
RUN = TOOLS / "run"

BRIDGE = "poplar0"
ADDRESS = "10.244.0.1"
PODS = "10.244.0.0/24"
SERVICES = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
DOMAIN = "cluster.local"
NODE = "here"

ETCD = "http://127.0.0.1:2379"
API = f"https://{ADDRESS}:6443"

CA = RUN / "ca.crt"
CERTIFICATE = RUN / "admin.crt"
KEY = RUN / "admin.key"
KUBECONFIG = RUN / "kubeconfig"
CONTAINERD = RUN / "containerd.sock"
"""A socket's path has at most 107 octets."""
