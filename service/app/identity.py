"""What this process is called where others see it: among the holders of maildrops and in events.

Owns the name: machine and process id. In Kubernetes every process has the id 1, and all pods may share one
`settings.hostname` for their greetings, so it is the machine's own name, a pod's, that tells them apart.
Refuses to know who asks.
"""

import os
import socket


def this_process() -> str:
    """Such as `poplar-pop3-6c9d-x7k2p:1`."""
    return f"{socket.gethostname()}:{os.getpid()}"
