"""Builds what the cluster is made of, in `.tools/cluster`: Kubernetes and etcd out of Go's modules, and the images.

Owns which packages are built, and that a thing is built once: programs until `programs/go.mod` changes, an image until
what it is made of does. The releases stand in that go.mod, their hashes in its go.sum. No registry of images is asked
but for Poplar's base, where one answers.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.backends.engine import Engine, base_image, engine
from tests.cluster import definitions
from tests.cluster.node import CNI, PAUSE
from tests.cluster.place import PROGRAMS, ROOT, TOOLS
from tests.cluster.servers import ClusterError, say
from tests.helm.charting import CHART, run

SOURCES = Path(__file__).parent / "programs"
REPOSITORY = "poplar.test/poplar"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "dns": "./dns",
    "pause": "./pause",
}
OF_DEBIAN = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    str(CNI / "bridge"): "containernetworking-plugins",
}
MADE_OF = ["service", "Dockerfile", "deploy/image", "requirements.lock", "pyproject.toml", "README.md"]


@dataclass(frozen=True)
class Built:
    """Archives of the images, and files of definitions; the image to be tested and the release before it, as the tests
    are told of them."""

    archives: list[Path]
    definitions: list[Path]
    image: str
    former_chart: Path


def build(former: str) -> Built:
    """All of it, with the commit `former` as the release before. Raises ClusterError for what is missing."""
    missing = sorted({package for program, package in OF_DEBIAN.items() if shutil.which(program) is None})
    if missing or shutil.which("go") is None:
        raise ClusterError(f"A cluster takes Go and of Debian's packages: {' '.join(missing) or 'nothing more'}")
    build_programs()
    commit = _git("rev-parse", "--short=12", former)
    tags = {f"now-{_digest_of_now()}": "", f"former-{commit}": commit}
    archives = {tag: TOOLS / "images" / f"{tag}.tar" for tag in ["pause", *tags]}
    if lacking := [tag for tag, archive in archives.items() if not archive.exists()]:
        _build_images(lacking, tags)
    image = f"{REPOSITORY}:{next(iter(tags))}"
    return Built(list(archives.values()), definitions.fetch(), image, _former_chart(commit))


def build_programs() -> None:
    """Compile what is not there yet: about half an hour of one core the first time."""
    mark = PROGRAMS / "go.sum"
    same = mark.exists() and mark.read_bytes() == (SOURCES / "go.sum").read_bytes()
    for name, package in PACKAGES.items():
        if same and (PROGRAMS / name).exists():
            continue
        say(f"building {name}")
        # Static, since one of them is all that an image holds.
        environment = dict(os.environ) | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
        flags = ["-p=1", "-trimpath", f"-ldflags=-s -w {_version()}"]
        command = ["go", "build", *flags, "-o", str(PROGRAMS / name), package]
        subprocess.run(["nice", "-n19", *command], cwd=SOURCES, env=environment, check=True)
    shutil.copy(SOURCES / "go.sum", mark)


def _version() -> str:
    """What Kubernetes' own build tells its programs: Helm asks the API server for it."""
    text = (SOURCES / "go.mod").read_text("utf-8")
    major, minor, patch = re.findall(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)\.(\d+)", text, re.MULTILINE)[0]
    told = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in told.items())


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def last_schema() -> str:
    """The commit before the last one that changed the schema."""
    return _git("log", "-1", "--format=%H^", "--", "service/stores/postgres/migrations")


def _digest_of_now() -> str:
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", *MADE_OF).splitlines()
    digest = hashlib.sha256()
    for name in sorted(listed):
        if (path := ROOT / name).exists():
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _build_images(tags: list[str], commits: dict[str, str]) -> None:
    (TOOLS / "images").mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="poplar-images-") as folder, engine(Path(folder)) as docker:
        base = ""
        for tag in tags:
            say(f"making image {tag}")
            name = PAUSE if tag == "pause" else f"{REPOSITORY}:{tag}"
            if tag == "pause":
                _make_pause(docker, Path(folder))
            else:
                base = base or base_image(docker, Path(folder))
                tree = _tree(commits[tag], Path(folder) / "tree") if commits[tag] else ROOT
                _make_poplar(docker, base, tree, name)
            archive = TOOLS / "images" / f"{tag}.tar"
            docker("save", f"--output={archive}.new", name, seconds=300)
            archive.with_suffix(".tar.new").replace(archive)


def _make_pause(docker: Engine, folder: Path) -> None:
    shutil.copy(PROGRAMS / "pause", folder / "pause")
    with tarfile.open(folder / "pause.tar", "w") as tar:
        tar.add(folder / "pause", "pause")
    docker("import", '--change=ENTRYPOINT ["/pause"]', "--change=USER 65535:65535", str(folder / "pause.tar"), PAUSE)


def _make_poplar(docker: Engine, base: str, tree: Path, name: str) -> None:
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    secret = [f"--secret=id=ca,src={bundle}"] if bundle else []
    given = [f"--build-arg=BASE_IMAGE={base}", *secret, f"--tag={name}"]
    docker("build", "--network=host", *given, str(tree), seconds=900)


def _tree(commit: str, folder: Path) -> Path:
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _former_chart(commit: str) -> Path:
    """The chart of that commit as a package, which names that commit's image by its appVersion."""
    package = TOOLS / f"poplar-0.0.0-{commit}.tgz"
    if not package.exists():
        with TemporaryDirectory() as folder:
            chart = _tree(commit, Path(folder)) / CHART.relative_to(ROOT)
            names = [f"--version=0.0.0-{commit}", f"--app-version=former-{commit}", f"--destination={TOOLS}"]
            run("4", "package", str(chart), *names)
    return package
