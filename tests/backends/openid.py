"""A real OpenID provider on loopback: npm's oidc-provider, a certified one, where `.ci/run` installed it in `.tools/`.

Owns the process and the way of a person through it: log in, consent, get a token. Tests that need it skip without it.
RFC 6749 §4.1 (authorization code), RFC 7636 §4 (PKCE), RFC 8707 §2 (resource), RFC 7009 §2.1 (revocation).
"""

import hashlib
import re
import secrets
import shutil
import signal
import subprocess
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from service.embedded.process import await_ready, dying_with_parent, free_port, spawn, stop

PACKAGE = Path(__file__).parents[2] / ".tools" / "oidc" / "node_modules" / "oidc-provider"
SCRIPT = Path(__file__).with_name("openid.mjs")
BACK = "http://127.0.0.1:1/back"


@dataclass(slots=True)
class OpenIdProvider:
    """A running provider."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def restart(self) -> None:
        """Begin anew at the same place with other keys."""
        self.stop()
        self.process = _started(self.port, self.folder)

    def stop(self) -> None:
        stop(self.process, signal.SIGKILL)

    def token(self, address: str, form: str = "jwt") -> str:
        """An access token of this person's for Poplar, got as a mail program gets one; `form` is jwt or opaque."""
        verifier = secrets.token_urlsafe(48)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        resource = f"urn:poplar:{form}"
        asked = {
            "client_id": "mail",
            "response_type": "code",
            "scope": "openid mail",
            "redirect_uri": BACK,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": resource,
        }
        with httpx.Client(base_url=self.url, follow_redirects=False, trust_env=False) as browser:
            code = _code(browser, browser.get("/auth", params=asked), address)
            form_ = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": verifier}
            answer = browser.post("/token", data=form_ | {"resource": resource}, auth=("mail", "mail-secret"))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def revoke(self, token: str) -> None:
        answer = httpx.post(f"{self.url}/token/revocation", data={"token": token}, auth=("mail", "mail-secret"))
        assert answer.status_code == 200, answer.text


def _code(browser: httpx.Client, answer: httpx.Response, address: str) -> str:
    """The code at the end of the redirects; every form on the way is filled in."""
    for _ in range(20):
        if answer.is_redirect:
            there = answer.headers["location"]
            if there.startswith(BACK):
                return parse_qs(urlsplit(there).query)["code"][0]
            answer = browser.get(there)
        else:
            assert answer.status_code == 200, answer.text
            action = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert action is not None, answer.text
            assert prompt is not None, answer.text
            answer = browser.post(action[1], data={"prompt": prompt[1], "login": address, "password": "x"})
    raise AssertionError("the provider sends the browser in circles")


def start_openid(folder: Path) -> OpenIdProvider:
    """A provider; skips the test where there is none. The caller stops it."""
    if shutil.which("node") is None or not PACKAGE.exists():
        pytest.skip("node or oidc-provider is not installed (.ci/run installs it)")
    port = free_port()
    return OpenIdProvider(port, folder, _started(port, folder))


def _started(port: int, folder: Path) -> "subprocess.Popen[bytes]":
    log = folder / "openid.log"
    log.unlink(missing_ok=True)
    command = ["node", str(SCRIPT), str(PACKAGE), str(port)]
    process = spawn(dying_with_parent(command, signal.SIGKILL), folder, log)
    # It is there within a second; but where the disk stands still, a minute passed before it had read its modules.
    assert await_ready(process, lambda: "ready" in log.read_text(), 240), log.read_text()
    return process
