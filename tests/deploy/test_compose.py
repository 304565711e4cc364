"""The compose file and what it mounts: settings load, tenants apply, addresses agree, commands and variables exist.

`test_composed.py` starts the whole of it.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import load_settings

TOP = Path(__file__).parents[2]
FOLDER = TOP / "deploy" / "compose"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "poplar:local"}


def example() -> dict[str, str]:
    lines = [line for line in (FOLDER / "example.env").read_text("utf-8").splitlines() if re.match(r"\w+=", line)]
    return dict(line.split("=", 1) for line in lines)


def filled(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: example()[found[1]], text)


def poplar(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_every_variable_is_in_the_example() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)\}", (FOLDER / "compose.yaml").read_text("utf-8")))
    assert asked == set(example())


def test_every_port_can_be_another_and_the_example_names_those_that_are_used() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    used = {name: default for port in published for name, default in re.findall(r"\$\{(\w+):-(\d+)\}", port)}
    assert len(used) == len(published)
    assert used == dict(re.findall(r"^#(\w+_PORT)=(\d+)$", (FOLDER / "example.env").read_text("utf-8"), re.MULTILINE))


def test_every_part_runs_a_command_that_exists() -> None:
    assert {"front-1", "front-2", "lmtp", "api", "sweep", "migrate", "tenants"} <= set(OURS)
    for name, service in OURS.items():
        if command := service.get("command"):
            assert poplar(command[0], "--help").returncode == 0, name


def test_the_settings_load_with_the_environment_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OURS["front-1"]["environment"].items():
        if name != "POPLAR_CONFIG":
            monkeypatch.setenv(name, filled(value))
    settings = load_settings(FOLDER / "poplar.yaml")
    assert settings.database.url.get_secret_value().endswith("@postgres:5432/poplar")
    assert settings.object_store.secret_key is not None
    grace = int(OURS["front-1"]["stop_grace_period"].removesuffix("s"))
    assert grace > settings.drain.announce + settings.drain.grace


def test_addresses_agree_with_haproxys_configuration() -> None:
    shipped = (TOP / "deploy" / "haproxy" / "haproxy.cfg").read_text("utf-8")
    settings = load_settings(FOLDER / "poplar.yaml")
    for name in ("front-1", "front-2"):
        address = SERVICES[name]["networks"]["default"]["ipv4_address"]
        for listener in settings.listeners:
            if listener.protocol == "pop3":
                assert f"server {name} {address}:{listener.port}\n" in shipped
                trusted = [str(network) for network in listener.trusted]
                assert trusted == [SERVICES["haproxy"]["networks"]["default"]["ipv4_address"] + "/32"]


def test_what_is_mounted_from_the_tree_is_there() -> None:
    made_later = {"./certs", "./certs/both"}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":", 1)[0]
            if source.startswith(".") and source not in made_later:
                assert (FOLDER / source).exists(), (name, source)


def test_the_certificate_is_made_for_both(tmp_path: Path) -> None:
    script = tmp_path / "certificate.sh"
    shutil.copy(FOLDER / "certificate.sh", script)
    subprocess.run(["bash", str(script)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certs" / "both" / "localhost.pem")
    context.load_cert_chain(tmp_path / "certs" / "localhost.crt", tmp_path / "certs" / "localhost.key")


def test_the_first_tenants_are_applied_once_and_a_second_time_change_nothing(migrated_dsn: str) -> None:
    given = {"POPLAR_DATABASE__URL": migrated_dsn, "ANNA_PASSWORD": "a password", "CARLA_PASSWORD": "another one"}
    arguments = ("apply", "--file", str(FOLDER / "tenants.yaml"), "--yes")
    for _ in range(2):
        done = poplar(*arguments, **given)
        assert done.returncode == 0, done.stderr
    assert "nothing to change" in done.stdout
    assert "carla@harbour.example" in poplar("maildrop", "list", **given).stdout
