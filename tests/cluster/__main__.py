"""A real Kubernetes on this machine, for as long as a command runs: python -m tests.cluster [COMMAND ...]

Without a command it stands until Ctrl-C, and it prints how kubectl gets there. COMMAND finds POPLAR_E2E_KUBECONFIG and
the rest of what tests/helm/e2e wants in its environment. Needs root, Go, Docker's engine and the packages that
`building.py` names.

All of it lives in a network, a mount and a process namespace of its own: nothing on the machine's network notices, and
when the first process ends, whatever the reason, the kernel ends every other.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.embedded.process import dying_with_parent
from tests.cluster.alone import alone
from tests.cluster.backends import backends
from tests.cluster.building import Built, build, last_schema
from tests.cluster.control_plane import control_plane
from tests.cluster.definitions import define
from tests.cluster.identities import make_identities
from tests.cluster.node import make_bridge, node
from tests.cluster.place import KUBECONFIG, PROGRAMS, RUN
from tests.cluster.servers import ClusterError, say
from tests.helm.programs import helm, kubectl

INSIDE = "POPLAR_CLUSTER_INSIDE"
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# The first process of a namespace must take leave of orphans; a shell does, Python doesn't.
REAPER = ["sh", "-c", '"$@"; exit $?', "sh"]
EPHEMERAL = ["/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet"]
# What kubelet sets for the whole machine.
TUNED = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
         "kernel/keys/root_maxbytes"]  # fmt: skip


def main() -> int:
    """Build and start it, run the command in it; returns the command's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--former", default="", help="the commit that is the release before; by default the last schema"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER)
    told = parser.parse_args()
    former = told.former or last_schema()
    try:
        if os.environ.get(INSIDE) == "1":
            return _inside(build(former), told.command)
        with alone() as lock:
            build(former), helm(), helm("3"), kubectl()
            return _outside(sys.argv[1:], lock)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _outside(arguments: list[str], lock: int) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(RUN, ignore_errors=True)
    RUN.mkdir(parents=True)
    _remove_cgroups()
    before = {name: Path("/proc/sys", name).read_text("utf-8") for name in TUNED}
    command = [*NAMESPACES, *REAPER, sys.executable, "-m", "tests.cluster", *arguments]
    whole = dying_with_parent(command, signal.SIGKILL)
    process = subprocess.Popen(whole, env=dict(os.environ) | {INSIDE: "1"}, pass_fds=[lock])
    (RUN / "pid").write_text(str(process.pid), "utf-8")
    try:
        while True:
            with suppress(KeyboardInterrupt):
                return process.wait()
    finally:
        process.kill()
        process.wait()
        _remove_cgroups()
        for name, value in before.items():
            Path("/proc/sys", name).write_text(value, "utf-8")


def _remove_cgroups() -> None:
    """Those that kubelet made, and in which nobody lives any more."""
    for top in list(Path("/sys/fs/cgroup").glob("**/kubepods")):
        for folder in [*sorted((each for each in top.rglob("*") if each.is_dir()), reverse=True), top]:
            with suppress(OSError):
                folder.rmdir()


def _inside(built: Built, command: list[str]) -> int:
    for place in EPHEMERAL:
        Path(place).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    make_bridge()
    with _standing(built) as environment:
        if command:
            return subprocess.run(command, env=environment, check=False).returncode
        enter = f"nsenter --net --target $(cat {RUN / 'pid'})"
        say(f"It stands until Ctrl-C: {enter} {kubectl()} --kubeconfig={KUBECONFIG} get pods --all-namespaces")
        _until_interrupted()
        return 0


@contextmanager
def _standing(built: Built) -> Iterator[dict[str, str]]:
    with backends(make_identities()) as told, control_plane(), node(built.archives):
        define(built.definitions)
        own = {
            "POPLAR_E2E_KUBECONFIG": str(KUBECONFIG),
            "POPLAR_E2E_BACKENDS": str(told),
            "POPLAR_E2E_IMAGE": built.image,
            "POPLAR_E2E_FORMER_CHART": str(built.former_chart),
            "PATH": f"{PROGRAMS}:{kubectl().parent}:{helm().parent}:{os.environ['PATH']}",
        }
        yield {name: value for name, value in os.environ.items() if name != INSIDE} | own


def _until_interrupted() -> None:
    with suppress(KeyboardInterrupt):
        subprocess.run(["sleep", "infinity"], check=False)


if __name__ == "__main__":
    sys.exit(main())
