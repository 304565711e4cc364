"""What a person sees of the settings: plain words, exit code 2, no traceback, no secret."""

from pathlib import Path

from tests.cli.conftest import Run

SECRET = "hunter2"


def test_a_wrong_setting_ends_with_2_and_plain_words(run: Run) -> None:
    ended = run("serve", POPLAR_HTTP__PORT="many")
    assert ended.returncode == 2
    assert ended.stderr == "poplar: http.port must be a whole number (set by POPLAR_HTTP__PORT)\n"


def test_an_unknown_setting_ends_with_2_and_its_name(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "poplar.yaml"
    path.write_text("limits: {conections: 3}\n", "utf-8")
    ended = run("--config", str(path), "settings")
    assert ended.returncode == 2
    assert "limits.conections is no setting of Poplar's; did you mean connections?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_good_settings_are_said_to_be_good(run: Run) -> None:
    ended = run("settings")
    assert (ended.returncode, ended.stdout) == (0, "the settings are good\n")


def test_explain_prints_every_setting_and_no_secret(run: Run) -> None:
    ended = run("settings", "--explain", POPLAR_REDIS__URL=f"redis://:{SECRET}@cache:6379/0")
    assert ended.returncode == 0
    assert "redis.url = redis://:********@cache:6379/0\n" in ended.stdout
    assert "from environment; default redis://localhost:6379/0; POPLAR_REDIS__URL\n" in ended.stdout
    assert "deadlines.autologout = 600.0\n" in ended.stdout
    assert SECRET not in ended.stdout


def test_a_webhook_for_events_needs_a_secret_and_tls(run: Run) -> None:
    ended = run("settings", POPLAR_EVENTS__WEBHOOK="https://siem.example/in")
    assert (ended.returncode, "webhook_secret of at least 32" in ended.stderr) == (2, True)
    clear = {"POPLAR_EVENTS__WEBHOOK": "http://siem.example/in", "POPLAR_EVENTS__WEBHOOK_SECRET": SECRET * 5}
    ended = run("settings", **clear)
    assert (ended.returncode, "must begin with https://" in ended.stderr) == (2, True)
    assert SECRET not in ended.stderr


def test_the_version_is_that_of_the_package(run: Run) -> None:
    from importlib.metadata import version

    assert run("version").stdout == f"poplar {version('poplar')}\n"


def test_a_system_that_is_away_is_told_in_one_line(run: Run) -> None:
    ended = run("migrate", POPLAR_DATABASE__URL=f"postgresql://poplar:{SECRET}@127.0.0.1:1/none")
    assert ended.returncode == 1
    assert ended.stderr.startswith("poplar: postgres: ")
    assert ended.stderr.count("\n") == 1
    assert SECRET not in ended.stderr
