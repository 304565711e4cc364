"""Everything that the HTTP API does, a command does too, with a table for people and JSON for programs."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from service.admin.access import House
from service.admin.application import admin_app
from service.cli.main import app
from service.mail.blocks import Blocks
from service.mail.counting import Rules
from service.mail.passwords import Passwords
from service.mail.tokens import TokenOffice
from service.model.saslprep import prepare
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.recent import MemoryRecentLogins
from service.stores.memory.state import MemoryState
from service.stores.memory.tokens import MemoryTokens
from service.stores.memory.units import MemoryUnits
from tests.cli.conftest import ADA, PATIENCE, Poplar
from tests.mail.provider import SetClock

TENANT = "/v1/tenants/{tenant}"
MAILDROP = f"{TENANT}/maildrops/{{address}}"
CREDENTIAL = f"{MAILDROP}/credentials/{{label}}"
COMMANDS: Mapping[str, str] = {
    "GET /v1/tokens": "token list",
    "POST /v1/tokens": "token create",
    "POST /v1/tokens/{token_id}/rotate": "token rotate",
    "DELETE /v1/tokens/{token_id}": "token revoke",
    "GET /v1/sessions": "session list",
    f"GET {TENANT}/sessions": "session list --tenant",
    f"DELETE {MAILDROP}/session": "session kick",
    "GET /v1/blocks": "block list",
    "DELETE /v1/blocks": "block clear",
    "GET /v1/audit": "audit --actor --action --subject --since --until",
    f"GET {TENANT}/audit": "audit --tenant",
    "GET /v1/tenants": "tenant list --status",
    f"GET {TENANT}": "tenant show",
    f"GET {TENANT}/usage": "tenant show",
    f"PUT {TENANT}": "tenant create",
    f"PATCH {TENANT}": "tenant set, tenant suspend, tenant resume",
    f"DELETE {TENANT}": "tenant remove --cascade",
    f"GET {TENANT}/directory": "tenant directory",
    f"PUT {TENANT}/directory": "tenant directory --use",
    f"GET {TENANT}/issuers": "issuer list",
    f"GET {TENANT}/issuers/{{issuer}}": "issuer show",
    f"PUT {TENANT}/issuers/{{issuer}}": "issuer create",
    f"PATCH {TENANT}/issuers/{{issuer}}": "issuer change, issuer suspend, issuer resume",
    f"DELETE {TENANT}/issuers/{{issuer}}": "issuer remove",
    f"GET {TENANT}/domains": "domain list --tenant --status",
    f"GET {TENANT}/domains/{{domain}}": "domain show",
    f"PUT {TENANT}/domains/{{domain}}": "domain create --tenant",
    f"PATCH {TENANT}/domains/{{domain}}": "domain suspend, domain resume, domain catch-all",
    f"DELETE {TENANT}/domains/{{domain}}": "domain remove --cascade",
    f"GET {TENANT}/maildrops": "maildrop list --tenant --domain --status",
    f"GET {MAILDROP}": "maildrop show",
    f"GET {MAILDROP}/explanation": "maildrop explain --client",
    f"GET {MAILDROP}/usage": "maildrop show",
    f"PUT {MAILDROP}": "maildrop create",
    f"PATCH {MAILDROP}": "maildrop set, maildrop suspend, maildrop resume",
    f"DELETE {MAILDROP}": "maildrop remove",
    f"GET {MAILDROP}/removed-messages": "maildrop removed --limit",
    f"POST {MAILDROP}/removed-messages/restore": "maildrop restore",
    f"GET {TENANT}/aliases": "alias list --tenant --address",
    f"GET {TENANT}/aliases/{{alias}}": "alias show",
    f"PUT {TENANT}/aliases/{{alias}}": "alias create, alias point",
    f"DELETE {TENANT}/aliases/{{alias}}": "alias remove",
    f"GET {MAILDROP}/credentials": "credential list",
    f"POST {MAILDROP}/credentials": "credential create --generate --app",
    f"GET {CREDENTIAL}": "credential show",
    f"PUT {CREDENTIAL}": "credential create --password-stdin, credential change --password-stdin",
    f"PATCH {CREDENTIAL}": "credential suspend, credential resume",
    f"DELETE {CREDENTIAL}": "credential remove",
}
"""The commands for each operation, with the options that stand for its filters."""


def operations() -> Iterator[str]:
    """Every operation of the HTTP API."""
    state = MemoryState()
    clock = SetClock()
    tokens = TokenOffice(MemoryTokens(state), clock)
    passwords = Passwords(MemoryPasswordHashes(), prepare, SetClock())
    locks = MemoryMaildropLocks(clock)
    recent = MemoryRecentLogins(clock, locks)
    blocks = Blocks(MemoryAttempts(clock), Rules(), 900.0)
    house = House(tokens, MemoryUnits(state), locks, passwords, timedelta(days=7), recent, clock, blocks)
    for path, methods in admin_app(house).openapi()["paths"].items():
        for method in methods:
            yield f"{method.upper()} {path}"


def options_of(words: Sequence[str]) -> list[str]:
    """The options of a command."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.get_command(typer.Context(command), word)
        assert command is not None, f"there is no {word}"
    assert command.params
    return [option for parameter in command.params for option in parameter.opts]


def test_every_operation_of_the_api_has_a_command() -> None:
    assert set(operations()) == set(COMMANDS)


@pytest.mark.parametrize("phrase", sorted({each for phrases in COMMANDS.values() for each in phrases.split(", ")}))
def test_each_command_exists_with_its_filters_and_json(phrase: str) -> None:
    words = [word for word in phrase.split() if not word.startswith("--")]
    filters = [word for word in phrase.split() if word.startswith("--")]
    assert {*filters, "--json"} <= set(options_of(words))


def test_what_was_done_is_json_for_programs(acme: Poplar) -> None:
    acme("credential", "create", ADA, "--generate")
    acme("alias", "create", "a@acme.example", ADA)
    acme("maildrop", "create", "bob@acme.example")
    for words, key, value in (
        ("tenant suspend acme", "status", "suspended"),
        ("tenant resume acme", "status", "active"),
        ("tenant set acme --quota-messages 5", "policy", {"quota_messages": 5}),
        ("domain suspend acme.example", "status", "suspended"),
        ("domain resume acme.example", "status", "active"),
        (f"domain catch-all acme.example {ADA}", "catch_all", ADA),
        (f"maildrop suspend {ADA}", "status", "suspended"),
        (f"maildrop resume {ADA}", "status", "active"),
        (f"maildrop set {ADA} --quota-messages 5", "address", ADA),
        (f"credential suspend {ADA} main", "status", "suspended"),
        (f"credential resume {ADA} main", "status", "active"),
        (f"credential change {ADA} --generate", "label", "main"),
        (f"credential remove {ADA} main", "removed", "main"),
        ("alias show a@acme.example", "address", ADA),
        ("alias point a@acme.example bob@acme.example", "address", "bob@acme.example"),
        ("alias remove a@acme.example", "removed", "a@acme.example"),
        (f"maildrop remove {ADA}", "messages", 0),
        ("domain remove acme.example --cascade", "removed", "acme.example"),
        ("tenant remove acme", "removed", "acme"),
    ):
        assert acme(*words.split(), "--json").json[key] == value, words


def test_lists_are_filtered(acme: Poplar) -> None:
    for words in (
        "domain create acme.test --tenant acme",
        "maildrop create bob@acme.test",
        "maildrop suspend bob@acme.test",
        "domain suspend acme.test",
        "tenant create other",
        "tenant suspend other",
        f"alias create a@acme.example {ADA}",
        "alias create b@acme.example bob@acme.test",
    ):
        assert acme(*words.split()).code == 0, words
    for words, key, found in (
        ("tenant list --status suspended", "name", ["other"]),
        ("domain list --status active", "name", ["acme.example"]),
        ("maildrop list --domain ACME.test", "address", ["bob@acme.test"]),
        ("maildrop list --status active", "address", [ADA]),
        ("maildrop list --status active --domain acme.test", "address", []),
        ("alias list --address Bob@acme.test", "alias", ["b@acme.example"]),
    ):
        assert [row[key] for row in acme(*words.split(), "--json").json] == found, words


def test_the_audit_is_filtered(acme: Poplar) -> None:
    assert acme("token", "create", "ops", "--scope", "full").code == 0
    for words, actions in (
        ("audit", ["token.create"]),
        ("audit --tenant acme --action domain.create", ["domain.create"]),
        (f"audit --tenant acme --subject {ADA}", ["maildrop.create"]),
        ("audit --tenant acme --limit 1", ["maildrop.create"]),
        ("audit --tenant acme --actor nobody", []),
        ("audit --tenant acme --until 2020-01-01", []),
        ("audit --tenant acme --since 2020-01-01T00:00:00", ["maildrop.create", "domain.create", "tenant.create"]),
    ):
        assert [row["action"] for row in acme(*words.split(), "--json").json] == actions, words
    assert acme("audit", "--tenant", "nobody").err == "poplar: there is no tenant nobody\n"


POPLAR = Path(sys.executable).with_name("poplar")
COMPLETE = """
source /dev/stdin <<< "$(_POPLAR_COMPLETE=source_bash poplar)"
COMP_WORDS=({words})
COMP_CWORD={position}
COMP_LINE='{line}'
COMP_POINT=${{#COMP_LINE}}
completion=$(complete -p poplar | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$completion poplar
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("poplar maildrop re", ["remove", "removed", "restore", "resume"]),
        ("poplar appl", ["apply"]),
        ("poplar session ", ["kick", "list"]),
        ("poplar apply --dry", ["--dry-run"]),
        ("poplar tenant list --status ", ["active", "suspended"]),
    ],
)
def test_bash_completes_commands_options_and_values(line: str, found: list[str]) -> None:
    words = line.split(" ")
    script = COMPLETE.format(words=" ".join(word or "''" for word in words), position=len(words) - 1, line=line)
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
        env={"PATH": f"{POPLAR.parent}:/usr/bin:/bin"},
    )
    assert sorted(done.stdout.split()) == found, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    done = subprocess.run(
        [POPLAR],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
        env={"_POPLAR_COMPLETE": f"source_{shell}"},
    )
    assert "poplar" in done.stdout
    assert "_POPLAR_COMPLETE" in done.stdout
