"""The definitions of other projects' kinds that the chart can render, out of Go's modules.

Owns which releases, their hashes (those of Go's checksum database) and which kinds. Refuses to run what acts on such
objects: the API server judges them, and nobody makes a certificate or a route of one.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.place import KUBECONFIG, TOOLS
from tests.cluster.servers import ClusterError
from tests.helm.programs import kubectl


@dataclass(frozen=True)
class Source:
    """A release as Go names it, its hash, where in it the definitions are, and which of them are wanted."""

    release: str
    hash: str
    folder: str
    group: str
    kinds: tuple[str, ...]


SOURCES = (
    Source(
        "github.com/cert-manager/cert-manager@v1.21.2",
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        "deploy/crds",
        "cert-manager.io",
        ("certificates",),
    ),
    Source(
        "github.com/external-secrets/external-secrets@v1.3.2",
        "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        "config/crds/bases",
        "external-secrets.io",
        ("externalsecrets",),
    ),
    Source(
        "github.com/kedacore/keda/v2@v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases",
        "keda.sh",
        ("scaledobjects",),
    ),
    Source(
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd",
        "monitoring.coreos.com",
        ("podmonitors", "prometheusrules", "servicemonitors"),
    ),
    Source(
        "sigs.k8s.io/gateway-api@v1.6.3",
        "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
        "config/crd/standard",
        "gateway.networking.k8s.io",
        ("gateways", "tcproutes", "tlsroutes"),
    ),
)


def fetch() -> list[Path]:
    """Files of definitions, one a kind; each release is asked for once. Raises ClusterError."""
    return [file for source in SOURCES for file in _of(source)]


def define(files: list[Path]) -> None:
    """Make them known to the API server. Raises ClusterError for what it doesn't take."""
    given = [f"--filename={file}" for file in files]
    # A definition is too large for the annotation that kubectl would keep of it.
    _kubectl("apply", "--server-side", *given)
    _kubectl("wait", "--for=condition=Established", "--timeout=60s", *given)


def _of(source: Source) -> list[Path]:
    place = TOOLS / "definitions" / source.release.rpartition("@")[2]
    files = {kind: place / f"{source.group}_{kind}.yaml" for kind in source.kinds}
    if not all(file.exists() for file in files.values()):
        place.mkdir(parents=True, exist_ok=True)
        module = _module(source)
        for file in files.values():
            shutil.copy(module / source.folder / file.name, place)
    return list(files.values())


def _module(source: Source) -> Path:
    """The release's files, in Go's own cache."""
    command = ["go", "mod", "download", "-json", source.release]
    done = subprocess.run(command, cwd=TOOLS, capture_output=True, text=True, timeout=300, check=False)
    told = json.loads(done.stdout or "{}")
    if done.returncode or told["Sum"] != source.hash:
        raise ClusterError(f"{source.release} can't be had as it was: {told.get('Error') or told or done.stderr}")
    return Path(told["Dir"])


def _kubectl(*arguments: str) -> None:
    command = [str(kubectl()), f"--kubeconfig={KUBECONFIG}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise ClusterError(f"The cluster takes the definitions of custom kinds not:\n{done.stderr}")
