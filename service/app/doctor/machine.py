"""This machine: may Poplar have its ports, and enough open files.

Owns the advice. Refuses to keep a port: it is bound for a moment only.
"""

import errno
import resource
from collections.abc import AsyncIterator

from service.app.doctor.findings import Finding, doubtful, good, wrong
from service.app.ports import reserved
from service.settings import Settings
from service.settings.listening import ListenerSettings

BESIDE = 116
"""Open files that a process needs besides its clients' connections and its reads of messages."""


async def check_ports(settings: Settings) -> AsyncIterator[Finding]:
    """Each listener's port, and that of metrics and health."""
    http = ListenerSettings(name="http", protocol="pop3", host=settings.http.host, port=settings.http.port)
    for listener in (*settings.listeners, http):
        yield _port(listener)
        if listener.protocol == "lmtp" and _exposed(listener):
            advice = "LMTP asks nobody who they are: listen on 127.0.0.1, or let the network admit your MTA alone."
            yield doubtful(
                f"listener {listener.name}", f"takes mail from everybody who reaches {listener.host}", advice
            )
    for listener in settings.listeners:
        if listener.protocol == "pop3" and listener.tls == "none" and listener.proxy_protocol == "off":
            advice = "Set tls to starttls or implicit; to terminated if a balancer in front has decrypted already."
            yield doubtful(f"listener {listener.name}", "nobody can log in there, since it has no TLS", advice)


def _exposed(listener: ListenerSettings) -> bool:
    return listener.host not in {"127.0.0.1", "::1", "localhost"}


def _port(listener: ListenerSettings) -> Finding:
    subject = f"port {listener.port}"
    try:
        with reserved([listener], listener.protocol, shared=False):
            return good(subject, f"free for {listener.name}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = "Fine if that is Poplar itself; otherwise end what listens there, or set another port."
            return doubtful(subject, f"taken already ({listener.name})", advice)
        if error.errno in {errno.EACCES, errno.EPERM}:
            advice = "Ports under 1024 need root, CAP_NET_BIND_SERVICE, or sysctl net.ipv4.ip_unprivileged_port_start."
            return wrong(subject, f"not allowed to this user ({listener.name})", advice)
        return wrong(subject, f"can't be had: {error.strerror}", f"Check the host of {listener.name}.")


async def check_descriptors(settings: Settings) -> AsyncIterator[Finding]:
    """Whether as many clients can connect as the settings allow."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.limits.connections + settings.fairness.store_reads + BESIDE
    if most != resource.RLIM_INFINITY and most < needed:
        advice = f"Raise the limit of open files (LimitNOFILE, ulimit -Hn) to {needed}, or lower limits.connections."
        yield doubtful("open files", f"only {most} allowed, {needed} needed", advice)
    else:
        yield good("open files", f"{needed} allowed")
