"""TLS as tools of others see it: sslscan and sslyze against the real ports, with STLS and with TLS at once. G12, R50.

Owns what may be offered. What one tool can't look at (sslscan compression, as its OpenSSL has none), the other does.
RFC 8997 §3 (no TLS 1.1), RFC 9325 §3.3 (no compression), §4.1 (suites), RFC 5746 §3.6 (renegotiation).
"""

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme

from tests.backends.demo import Place, RunningDemo
from tests.system.front_end import IMPLICIT, STARTTLS, front_end

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
Kind = Literal["RSA", "ECDSA"]
TLS12 = {
    "ECDHE-{}-AES256-GCM-SHA384": "TLS_ECDHE_{}_WITH_AES_256_GCM_SHA384",
    "ECDHE-{}-AES128-GCM-SHA256": "TLS_ECDHE_{}_WITH_AES_128_GCM_SHA256",
    "ECDHE-{}-CHACHA20-POLY1305": "TLS_ECDHE_{}_WITH_CHACHA20_POLY1305_SHA256",
    # For the mail programs of Windows 7 and 8 (service/net/tls.py).
    "ECDHE-{}-AES256-SHA384": "TLS_ECDHE_{}_WITH_AES_256_CBC_SHA384",
    "ECDHE-{}-AES128-SHA256": "TLS_ECDHE_{}_WITH_AES_128_CBC_SHA256",
}
TLS13 = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"}
VERSIONS = ["sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"]
LOOKS = [*VERSIONS, "compression", "reneg", "robot", "openssl_ccs", "heartbleed", "fallback", "ems"]


@dataclass(frozen=True)
class Port:
    """Where to look, and which kind of certificate is shown there."""

    place: Place
    stls: bool
    kind: Kind

    @property
    def suites(self) -> Mapping[str, str]:
        """Those of TLS 1.2 that may be offered, by both tools' names."""
        return {one.format(self.kind): other.format(self.kind) for one, other in TLS12.items()}


@pytest.fixture(scope="module", params=[("RSA", False), ("RSA", True), ("ECDSA", True)], ids=str)
def port(
    request: pytest.FixtureRequest, demo: RunningDemo, ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Port]:
    kind, stls = request.param
    folder = tmp_path_factory.mktemp("scanned")
    pair = ca.issue_cert("localhost", key_type=trustme.KeyType[kind])
    (folder / "tls").mkdir()
    pair.private_key_pem.write_to_path(folder / "tls" / "one.key")
    pair.cert_chain_pems[0].write_to_path(folder / "tls" / "one.crt")
    listener = STARTTLS if stls else IMPLICIT
    with front_end(demo, folder / "front", (listener,), tls={"directory": str(folder / "tls")}) as front:
        yield Port(front.place(str(listener["name"])), stls, kind)


def tool(name: str) -> str:
    """The program, of the system or of .tools; a test that needs it skips where it is nowhere."""
    found = shutil.which(name) or shutil.which(name, path=str(TOOLS / name / "bin"))
    if found is None:
        pytest.skip(f"{name} is not installed: .ci/run does it where it can")
    return found


def scanned(port: Port, folder: Path) -> ET.Element:
    """What sslscan found."""
    out = folder / "sslscan.xml"
    stls = ["--starttls-pop3"] if port.stls else []
    command = [tool("sslscan"), *stls, f"--xml={out}", str(port.place)]
    subprocess.run(command, check=True, capture_output=True, timeout=110)
    found = ET.fromstring(out.read_bytes()).find("ssltest")  # noqa: S314 - our own tool's file
    assert found is not None, out.read_text()
    return found


@pytest.fixture
def yzed(port: Port, tmp_path: Path) -> Callable[[str], Any]:
    """What sslyze found, by the name of the look."""
    out = tmp_path / "sslyze.json"
    stls = ["--starttls", "pop3"] if port.stls else []
    # Where the early data would be a command after STLS, it gives up.
    looks = [f"--{look}" for look in (LOOKS if port.stls else [*LOOKS, "early_data"])]
    command = [tool("sslyze"), "--mozilla_config", "disable", *looks, *stls, "--json_out", str(out), str(port.place)]
    subprocess.run(command, check=True, capture_output=True, timeout=110)
    (told,) = json.loads(out.read_text())["server_scan_results"]

    def result(look: str) -> Any:
        attempt = told["scan_result"][look]
        assert attempt["status"] == "COMPLETED", attempt
        return attempt["result"]

    return result


def test_sslscan_finds_tls_1_2_and_1_3_alone_with_the_listed_suites(port: Port, tmp_path: Path) -> None:
    found = scanned(port, tmp_path)
    versions = {f"{each.get('type')} {each.get('version')}": each.get("enabled") for each in found.iter("protocol")}
    old = dict.fromkeys(["ssl 2", "ssl 3", "tls 1.0", "tls 1.1"], "0")
    assert versions == old | {"tls 1.2": "1", "tls 1.3": "1"}
    suites = {each.get("cipher") for each in found.iter("cipher") if each.get("sslversion") == "TLSv1.2"}
    assert suites == port.suites.keys()
    assert {each.get("cipher") for each in found.iter("cipher") if each.get("sslversion") == "TLSv1.3"} == TLS13
    assert {each.get("strength") for each in found.iter("cipher")} <= {"strong", "acceptable"}
    assert [each.get("supported") for each in found.iter("renegotiation")] == ["0"]
    assert {each.get("vulnerable") for each in found.iter("heartbleed")} == {"0"}
    assert {each.get("supported") for each in found.iter("compression")} <= {"0"}


def test_sslyze_finds_no_old_version_no_compression_and_nothing_it_has_a_name_for(
    port: Port, yzed: Callable[[str], Any]
) -> None:
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert not yzed(f"{old}_cipher_suites")["accepted_cipher_suites"], old
    for version, allowed in (("tls_1_2", set(port.suites.values())), ("tls_1_3", TLS13)):
        accepted = yzed(f"{version}_cipher_suites")["accepted_cipher_suites"]
        assert {each["cipher_suite"]["name"] for each in accepted} == allowed
        assert all(each["ephemeral_key"] for each in accepted)
    assert yzed("tls_compression")["supports_compression"] is False
    assert yzed("session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"] is False
    assert yzed("session_renegotiation")["supports_secure_renegotiation"] is True
    assert yzed("robot")["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
    assert yzed("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"] is False
    assert yzed("heartbleed")["is_vulnerable_to_heartbleed"] is False
    assert yzed("tls_fallback_scsv")["supports_fallback_scsv"] is True
    assert yzed("tls_extended_master_secret")["supports_ems_extension"] is True
    assert port.stls or yzed("tls_1_3_early_data")["supports_early_data"] is False
