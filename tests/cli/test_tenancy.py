"""The tenancy verbs, from the command line to a real Postgres and back."""

import contextlib
import os
import pty
import subprocess
import sys

import pytest

from service.model.policy_table import POLICY_NAMES
from tests.backends.postgres import execute
from tests.cli.conftest import PATIENCE, Poplar

ADA = "ada@acme.example"


def test_a_service_is_set_up_by_four_commands(acme: Poplar) -> None:
    made = acme("credential", "create", ADA, "--password-stdin", typed="correct horse \n")
    assert made.code == 0
    assert "horse" not in made.out + made.err
    rows = acme("credential", "list", ADA, "--json").json
    assert [(row["label"], row["kind"], row["status"]) for row in rows] == [("main", "password", "active")]
    assert "verifier" not in rows[0]


def test_lists_are_tables_for_people_and_json_for_programs(acme: Poplar) -> None:
    table = acme("maildrop", "list").out.splitlines()
    assert table[0].split()[:3] == ["address", "tenant", "status"]
    assert table[1].split()[:5] == [ADA, "acme", "active", "0", "0"]
    [row] = acme("maildrop", "list", "--tenant", "acme", "--json").json
    assert (row["address"], row["tenant"], row["messages"]) == (ADA, "acme", 0)
    assert [row["name"] for row in acme("tenant", "list", "--json").json] == ["acme"]
    assert [row["name"] for row in acme("domain", "list", "--json").json] == ["acme.example"]


def test_policy_is_shown_with_the_level_that_set_it(acme: Poplar) -> None:
    assert acme("tenant", "set", "acme", "--login-delay", "60", "--quota-octets", "5000000000").code == 0
    assert acme("maildrop", "set", ADA, "--quota-octets", "none", "--expire-days", "30").code == 0
    policy = acme("maildrop", "show", ADA, "--json").json["policy"]
    assert tuple(policy) == POLICY_NAMES
    assert policy["login_delay"] == {"value": 60, "origin": "tenant"}
    assert policy["expire_days"] == {"value": 30, "origin": "maildrop"}
    assert policy["quota_octets"] == {"value": None, "origin": "maildrop"}
    assert policy["quota_messages"] == {"value": None, "origin": "default"}
    assert "login_delay=60 (tenant)" in acme("maildrop", "show", ADA).out
    assert acme("maildrop", "set", ADA, "--quota-octets", "inherit").code == 0
    assert acme("maildrop", "show", ADA, "--json").json["policy"]["quota_octets"]["value"] == 5000000000


def test_what_nothing_limits_is_called_so_that_nobody_reads_it_as_nothing_allowed(acme: Poplar) -> None:
    shown = acme("maildrop", "show", ADA).out
    for part in (
        "networks=any (default)",
        "mechanisms=any (default)",
        "expire_days=never (default)",
        "quota_octets=none",
    ):
        assert part in shown


def test_every_policy_value_has_its_flag_and_its_words(acme: Poplar) -> None:
    flags = [f"--{name.replace('_', '-')}" for name in POLICY_NAMES]
    told = acme("maildrop", "set", "--help").out
    assert [flag for flag in flags if flag not in told] == []
    typed = ["--pop3", "off", "--mechanisms", "plain,user", "--networks", "192.0.2.0/24,2001:db8::/32"]
    typed += ["--dele", "keep", "--order", "newest", "--shown-since", "2026-01-31", "--recent-days", "none"]
    assert acme("maildrop", "set", ADA, *typed).code == 0
    shown = acme("maildrop", "show", ADA).out
    assert "pop3=off (maildrop)" in shown
    assert "mechanisms=PLAIN,USER (maildrop)" in shown
    assert "dele=keep (maildrop)" in shown
    assert "order=newest (maildrop)" in shown
    assert "shown_since=2026-01-31 (maildrop)" in shown
    assert "recent_days=none (maildrop)" in shown
    assert "networks=192.0.2.0/24,2001:db8::/32 (maildrop)" in shown
    refused = acme("maildrop", "set", ADA, "--networks", "192.0.2.1/24")
    assert refused.code != 0
    assert "networks" in refused.err


def test_suspend_and_resume_show_in_the_status(acme: Poplar) -> None:
    acme("credential", "create", ADA, "--generate")
    for group, names in (("tenant", ["acme"]), ("domain", ["acme.example"]), ("maildrop", [ADA])):
        assert acme(group, "suspend", *names).code == 0
        assert acme(group, "show", *names, "--json").json["status"] == "suspended"
        assert acme(group, "resume", *names).code == 0
        assert acme(group, "show", *names, "--json").json["status"] == "active"
    assert acme("credential", "suspend", ADA, "main").code == 0
    assert acme("credential", "show", ADA, "main", "--json").json["status"] == "suspended"
    assert acme("credential", "resume", ADA, "main").code == 0
    assert acme("credential", "remove", ADA, "main").code == 0
    assert acme("credential", "list", ADA, "--json").json == []


def test_a_generated_password_is_printed_once_and_kept_nowhere(acme: Poplar, migrated_dsn: str) -> None:
    """G17."""
    made = acme("credential", "create", ADA, "--generate", "--label", "phone", "--json").json
    assert len(made["password"]) == 27
    shown = acme("credential", "show", ADA, "phone").out + acme("tenant", "audit", "acme").out
    assert made["password"] not in shown
    changed = acme("credential", "change", ADA, "--label", "phone", "--generate").out
    assert made["password"] not in changed


@pytest.mark.parametrize("words", [("change", ADA, "--password-stdin"), ("import", ADA, "--replace")])
def test_another_password_ends_when_the_old_one_did(acme: Poplar, words: tuple[str, ...]) -> None:
    acme("credential", "create", ADA, "--generate", "--expires", "2100-01-31")
    typed = "{SHA256-CRYPT}$5$saltsalt$" + "a" * 43
    changed = acme("credential", *words, typed=typed)
    assert changed.code == 0, changed.err
    assert "2100-01-31" in changed.out
    assert acme("credential", "show", ADA, "main", "--json").json["expires"] == "2100-01-31T00:00:00+00:00"
    acme("credential", *words, "--expires", "2101-01-31", typed=typed)
    assert acme("credential", "show", ADA, "main", "--json").json["expires"] == "2101-01-31T00:00:00+00:00"


def test_an_app_password_is_not_changed(acme: Poplar) -> None:
    acme("credential", "create", ADA, "--app", "--label", "phone", "--dele", "keep")
    before = acme("credential", "show", ADA, "phone", "--json").json
    changed = acme("credential", "change", ADA, "--label", "phone", "--generate")
    refusal = f"poplar: phone of {ADA} is an app password: remove it, and make a new one\n"
    assert (changed.code, changed.err) == (1, refusal)
    assert acme("credential", "show", ADA, "phone", "--json").json == before


def test_a_refusal_is_one_plain_line_and_exit_code_1(acme: Poplar) -> None:
    for words, said in (
        ("tenant create acme", "there is a tenant acme already"),
        ("tenant create Acme!", "a tenant's name has 1 to 63 of a-z, 0-9 and -"),
        ("tenant show nobody", "there is no tenant nobody"),
        ("domain create acme.example --tenant acme", "the domain acme.example belongs to a tenant already"),
        ("domain create x.example --tenant nobody", "there is no tenant nobody"),
        ("domain list --tenant nobody", "there is no tenant nobody"),
        (f"maildrop create {ADA}", f"there is a maildrop {ADA} already"),
        ("maildrop create eve@elsewhere.example", "there is no domain elsewhere.example"),
        ("maildrop show eve@acme.example", "there is no maildrop eve@acme.example"),
        (f"credential remove {ADA} phone", f"{ADA} has no credential labelled phone"),
        ("alias remove x@acme.example", "there is no alias x@acme.example"),
        ("tenant remove acme", "tenant acme still has 1 maildrop"),
    ):
        outcome = acme(*words.split())
        assert (outcome.code, outcome.out, outcome.err) == (1, "", f"poplar: {said}\n")


def test_a_value_that_is_no_number_is_a_usage_error(acme: Poplar) -> None:
    for flag in ("--login-delay", "--expire-days", "--quota-octets", "--quota-messages"):
        outcome = acme("maildrop", "set", ADA, flag, "many")
        assert outcome.code == 2
        assert "'many' is not a number" in outcome.err


@pytest.mark.parametrize("typed", ["\n", "", "a\0b\n", "x" * 256 + "\n"])
def test_a_password_no_login_could_send_is_refused(acme: Poplar, typed: str) -> None:
    outcome = acme("credential", "create", ADA, "--password-stdin", typed=typed)
    assert outcome.code == 1
    assert outcome.err.startswith("poplar: a password has")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("credential", "create", ADA, "--password-stdin"), 1),
        (("credential", "import", ADA), 2),
        (("issuer", "create", "acme", "corp", "--url", "https://id.example", "--audience", "x", "--secret-stdin"), 2),
        (("maildrop", "import-csv", "-"), 0),
        (("domain", "remove", "acme.example", "--cascade"), 0),
    ],
)
def test_a_closed_standard_input_is_an_empty_one(acme: Poplar, words: tuple[str, ...], code: int) -> None:
    command = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "service", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def test_a_password_is_asked_for_twice_and_never_echoed(acme: Poplar) -> None:
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "service", "credential", "create", ADA]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    seen = b""
    for prompt in (b"Password: ", b"confirmation: "):
        while prompt not in seen:
            seen += os.read(keyboard, 1024)
        os.write(keyboard, b"correct horse\n")
    with contextlib.suppress(OSError):  # How a terminal says that its last process ended.
        while more := os.read(keyboard, 1024):
            seen += more
    os.close(keyboard)
    assert process.wait(30) == 0
    assert b"horse" not in seen
    assert len(acme("credential", "list", ADA, "--json").json) == 1


def test_a_password_is_never_taken_from_the_command_line(acme: Poplar) -> None:
    assert acme("credential", "create", ADA, "--password", "secret").code == 2
    assert acme("credential", "create", ADA, "secret").code == 2


def test_a_change_of_nothing_is_a_usage_error(acme: Poplar) -> None:
    assert acme("tenant", "set", "acme").code == 2
    assert acme("maildrop", "set", ADA).code == 2


def test_removed_things_are_gone_and_say_what_went_with_them(acme: Poplar) -> None:
    acme("alias", "create", "a@acme.example", ADA)
    acme("domain", "catch-all", "acme.example", ADA)
    assert acme("domain", "show", "acme.example", "--json").json["catch_all"] == ADA
    assert [row["alias"] for row in acme("alias", "list", "--json").json] == ["a@acme.example"]
    assert acme("maildrop", "remove", ADA).out == f"Removed {ADA} and 0 messages.\n"
    assert acme("maildrop", "list", "--json").json == []
    assert acme("alias", "list", "--json").json == []
    assert acme("domain", "show", "acme.example", "--json").json["catch_all"] is None
    assert acme("tenant", "remove", "acme").code == 0
    assert acme("tenant", "list", "--json").json == []


def test_a_cascade_removes_a_tenant_with_its_maildrops(acme: Poplar) -> None:
    assert acme("tenant", "remove", "acme", "--cascade").code == 0
    assert acme("domain", "list", "--json").json == []


def test_removed_messages_are_listed_and_restored(acme: Poplar, migrated_dsn: str) -> None:
    execute(
        migrated_dsn,
        """INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id,
                                 removed_at, removed_in, dotted, sha256, blob_key)
           SELECT tenant_id, maildrop_id, 1, 9, 2, now(), gen_random_uuid(), now(), 1, false,
                  sha256('x'), 'key' FROM maildrops""",
        "UPDATE maildrops SET next_sequence = 2, removals = 1",
    )
    [row] = acme("maildrop", "removed", ADA, "--json").json
    assert row["octets"] == 9
    assert acme("maildrop", "restore", ADA, row["unique_id"]).out == "Restored 1 of 1 message.\n"
    assert acme("maildrop", "removed", ADA, "--json").json == []
    assert acme("maildrop", "show", ADA, "--json").json["messages"] == 1


def test_the_audit_names_who_typed(acme: Poplar) -> None:
    rows = acme("tenant", "audit", "acme", "--json").json
    assert [row["action"] for row in rows] == ["maildrop.create", "domain.create", "tenant.create"]
    assert all(row["actor"].startswith("cli:") for row in rows)
    assert "maildrop.create" in acme("tenant", "audit", "acme", "--limit", "1").out


def test_what_looks_like_markup_is_printed_as_it_is(acme: Poplar) -> None:
    assert acme("maildrop", "create", "[red]x@acme.example").code == 0
    assert "[red]x@acme.example" in acme("maildrop", "list").out


def test_a_name_can_not_write_to_the_terminal(acme: Poplar, migrated_dsn: str) -> None:
    """Such as one that was created before names were checked: a bidi control turns the rest of its line around."""
    execute(migrated_dsn, "UPDATE maildrops SET local = E'\\u202e\\u2028ada'")
    listed = acme("maildrop", "list")
    assert "\\u202e\\u2028ada@acme.example" in listed.out
    assert listed.out.replace("\n", "").isprintable()
    shown = acme("maildrop", "show", "\u202e\u2028ada@acme.example")
    assert shown.out.replace("\n", "").isprintable()
    assert acme("maildrop", "list", "--json").json[0]["address"] == "\u202e\u2028ada@acme.example"
    removed = acme("maildrop", "remove", "\u202e\u2028ada@acme.example", "--yes")
    assert (removed.code, removed.out.replace("\n", "").isprintable()) == (0, True)


def test_an_unreachable_database_is_said_in_plain_words(
    poplar: Poplar, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("POPLAR_DATABASE__URL", f"postgresql://x:secret@127.0.0.1:{unused_tcp_port}/x")
    monkeypatch.setenv("POPLAR_DATABASE__DEADLINE", "0.5")
    outcome = poplar("tenant", "list")
    assert outcome.code == 1
    assert outcome.err.startswith("poplar: the database can't be reached: ")
    assert outcome.err.count("\n") == 1
    assert "secret" not in outcome.err


def test_the_installed_command_knows_every_verb() -> None:
    verbs = {
        "tenant": "create list show set suspend resume remove audit",
        "domain": "create list show catch-all suspend resume remove",
        "maildrop": "create list show set suspend resume remove removed restore",
        "alias": "create list remove",
        "credential": "create change list show suspend resume remove",
    }
    for group, names in verbs.items():
        help_ = subprocess.run(
            [sys.executable, "-m", "service", group, "--help"], capture_output=True, text=True, check=True, timeout=60
        )
        assert all(f" {name} " in help_.stdout for name in names.split())
