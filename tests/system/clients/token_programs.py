"""Mail programs that log in with a token: curl, mpop and getmail, each in its own way.

Owns each one's settings for that. RFC 7628 §3.1 (OAUTHBEARER); XOAUTH2 is getmail's only way, in two steps.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.backends.demo import Place
from tests.system.clients.maildrop import Maildrop
from tests.system.clients.program import Run, Spool, needed, private_file, run
from tests.system.clients.programs import needed_beside_python

Fetch = Callable[[Path, Maildrop, Place, str], Run]


def by_curl(mechanism: str) -> Fetch:
    """RETR of the first message by curl, which picks the mechanism by `AUTH=`."""

    def fetch(home: Path, maildrop: Maildrop, at: Place, token: str) -> Run:
        settings = private_file(
            home / "curlrc",
            f'url = "pop3s://{at}/1"\nuser = "{maildrop.account.address}:"\noauth2-bearer = "{token}"\n'
            f'login-options = "AUTH={mechanism}"\ncacert = "{maildrop.demo.ca_file}"\nsilent\nshow-error\n',
        )
        done = run(home, needed("curl"), "--config", str(settings))
        return Run(done.returncode, done.stderr.decode(), [] if done.returncode else [done.stdout])

    return fetch


def by_mpop(mechanism: str) -> Fetch:
    """All messages by mpop."""

    def fetch(home: Path, maildrop: Maildrop, at: Place, token: str) -> Run:
        spool = Spool(home)
        settings = private_file(
            home / "mpoprc",
            mpop_settings(home, maildrop, at, spool)
            + f"auth {mechanism}\npasswordeval cat {private_file(home / 'token', token)}\n",
        )
        done = run(home, needed("mpop"), "--half-quiet", "--file", str(settings))
        return Run(done.returncode, (done.stdout + done.stderr).decode(), spool.brought)

    return fetch


def mpop_settings(home: Path, maildrop: Maildrop, at: Place, spool: Spool) -> str:
    """What mpop needs besides a way to log in."""
    return (
        f"account default\nhost {at.host}\nport {at.port}\ntls on\ntls_starttls off\n"
        f"tls_trust_file {maildrop.demo.ca_file}\nuser {maildrop.account.address}\n"
        f"delivery mda {spool.script}\nuidls_file {home / 'uidls'}\nreceived_header off\nkeep on\n"
    )


def by_getmail(home: Path, maildrop: Maildrop, at: Place, token: str) -> Run:
    """All messages by getmail."""
    spool = Spool(home)
    settings = private_file(
        home / "getmailrc",
        f"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = {at.host}\nport = {at.port}\n"
        f"username = {maildrop.account.address}\nuse_xoauth2 = true\n"
        f'password_command = ("cat", "{private_file(home / "token", token)}")\nca_certs = {maildrop.demo.ca_file}\n'
        f"[destination]\ntype = MDA_external\npath = {spool.script}\nallow_root_commands = true\n"
        f"[options]\ndelivered_to = false\nreceived = false\n",
    )
    command = (sys.executable, needed_beside_python("getmail"), "--getmaildir", str(home), "--rcfile", str(settings))
    done = run(home, *command)
    return Run(done.returncode, (done.stdout + done.stderr).decode(), spool.brought)


PROGRAMS: Mapping[str, Fetch] = {
    "curl OAUTHBEARER": by_curl("OAUTHBEARER"),
    "curl XOAUTH2": by_curl("XOAUTH2"),
    "mpop OAUTHBEARER": by_mpop("oauthbearer"),
    "mpop XOAUTH2": by_mpop("xoauth2"),
    "getmail XOAUTH2": by_getmail,
}
