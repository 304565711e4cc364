"""What the kernel holds on behalf of a server: octets that it wrote and its clients did not take.

Owns the reading of /proc/net/tcp (Linux). In a pod this counts against the limit of memory as the process's own does,
but no figure of the process shows it.
"""

from pathlib import Path

MEBIBYTE = 1024 * 1024


def unsent(port: int) -> float:
    """MiB in the send queues of all connections to this local port."""
    octets = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            octets += int(fields[4].partition(":")[0], 16)
    return octets / MEBIBYTE
