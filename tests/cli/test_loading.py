"""A command loads what it needs and nothing else: each library costs processor time at each start."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, settings_file

NEVER = {"fastapi", "httpx", "joserfc", "passlib", "asyncmy", "service.admin", "service.embedded"}
"""What only the HTTP API, tokens, other systems' hashes and directories and the demo need."""
SERVERS = {"starlette", "uvicorn", "uvloop", "service.net"}
STORES = {"redis", "obstore", "service.stores.redis", "service.stores.objects"}


def loaded(folder: Path, environment: dict[str, str], *arguments: str, until: str = "") -> set[str]:
    """What `poplar` had loaded when it ended: by itself, or by a signal once it had said `until`."""
    listeners = [{"name": each, "protocol": each, "host": "127.0.0.1", "port": 0} for each in ("pop3", "lmtp")]
    config = settings_file(folder, listeners=listeners)
    command = Command(["--config", str(config), *arguments], environment, folder, "tests.cli.loading")
    if until:
        command.await_said(until)
        assert command.end() == 0
    else:
        command.process.wait(60)
    return set(json.loads(command.said.splitlines()[-1]))


@pytest.mark.parametrize("part", ["serve", "lmtp"])
def test_a_part_that_serves_loads_no_other_parts_libraries(
    part: str, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    names = loaded(tmp_path, clean_environment, part, until="serving")
    assert "service.net" in names
    assert not names & NEVER
    assert not {name for name in names if name.startswith("service.cli.")} - {"service.cli.main", "service.cli.serving"}


def test_lmtp_loads_nothing_of_front_ends_and_of_redis(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    names = loaded(tmp_path, clean_environment, "lmtp", until="serving")
    assert not names & {"redis", "service.stores.redis", "service.stores.passwords", "service.app.front"}


@pytest.mark.parametrize("verb", ["tenant list --json", "maildrop list --json", "audit --json", "token list --json"])
def test_a_command_of_staff_loads_nothing_that_serves(
    verb: str, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    names = loaded(tmp_path, clean_environment, *verb.split())
    assert "asyncpg" in names
    assert not names & (NEVER | SERVERS | STORES)


def test_a_probe_loads_no_store_at_all(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    names = loaded(tmp_path, clean_environment, "probe", "live")
    assert "service.app.probing" in names
    assert not names & (NEVER | SERVERS | STORES | {"asyncpg", "prometheus_client", "service.stores"})


def test_help_loads_no_settings_and_no_store(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    names = loaded(tmp_path, clean_environment, "maildrop", "create", "--help")
    assert not names & (NEVER | SERVERS | STORES | {"asyncpg", "yaml", "service.settings"})
