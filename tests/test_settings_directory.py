"""The settings of outside directories: what is wrong is refused before anybody's password goes there. RFC 8314 §3."""

import json
import os
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import Settings, explain, load_settings
from service.settings.loading import Sources

SECRET = "s" * 32
HOOK = {"name": "crm", "url": "https://crm.example/poplar", "secret": SECRET}
QUERY = {"name": "erp", "url": "postgresql://p:hunter2@db/users", "query": "SELECT h AS verifier FROM u WHERE a = $1"}


def settings(*outside: dict[str, Any], default: str = "") -> Settings:
    return Settings.model_validate({"directory": {"default": default, "outside": list(outside)}})


@pytest.mark.parametrize(
    "one",
    [
        HOOK,
        QUERY,
        QUERY | {"url": "mysql://p:hunter2@db/users"},
        HOOK | {"url": "http://127.0.0.1:8000/", "allow_clear": True},
        HOOK | {"url": "http://[::1]:8000/", "allow_clear": True},
        HOOK | {"url": "https://crm.example/@poplar"},
        QUERY | {"parameters": ["domain", "local"], "scram": True},
    ],
)
def test_a_whole_one_is_taken(one: dict[str, Any]) -> None:
    assert settings(one).directory.outside[0].name == one["name"]


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (HOOK | {"url": "http://crm.example/", "allow_clear": True}, "https://"),
        (HOOK | {"url": "http://127.0.0.1:8000/"}, "https://"),
        (HOOK | {"url": "ftp://crm.example/"}, "must begin"),
        (HOOK | {"secret": "s" * 31}, "secret"),
        ({"name": "crm", "url": "https://crm.example/"}, "secret"),
        (HOOK | {"query": "SELECT 1"}, "neither"),
        (QUERY | {"url": "mysql://p:a/hunter2@db/users"}, "must have each '/'"),
        (QUERY | {"url": "postgresql://p:1?hunter2@db/users"}, "must have each '/'"),
        (QUERY | {"url": "postgresql://p:[hunter2]@db/users"}, "must be a URL"),
        (QUERY | {"query": " "}, "query"),
        (QUERY | {"parameters": []}, "parameters"),
        (QUERY | {"parameters": ["password"]}, "parameters"),
        (QUERY | {"name": "own"}, "own"),
        (QUERY | {"name": "No Name"}, "name"),
    ],
)
def test_a_broken_one_is_refused_in_words_that_repeat_no_secret(one: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(one)
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_list_may_come_from_the_environment_as_a_secret_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("POPLAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("POPLAR_DIRECTORY__OUTSIDE", json.dumps([HOOK, QUERY]))
    monkeypatch.setenv("POPLAR_DIRECTORY__DEFAULT", "crm")
    directory = load_settings().directory
    assert [each.name for each in directory.outside] == ["crm", "erp"]
    assert directory.default == "crm"


def test_names_differ_and_the_default_is_one_of_them() -> None:
    with pytest.raises(ValidationError, match="same name"):
        settings(HOOK, HOOK)
    with pytest.raises(ValidationError, match="default"):
        settings(HOOK, default="gone")
    assert settings(HOOK, default="crm").directory.default == "crm"


def test_scram_can_succeed_where_the_default_brings_its_keys() -> None:
    assert settings(HOOK).directory.may_scram
    assert not settings(HOOK, default="crm").directory.may_scram
    assert settings(QUERY | {"scram": True}, default="erp").directory.may_scram


def test_each_one_is_explained_and_its_secrets_masked() -> None:
    rows = {row.key: row for row in explain(Sources(settings(QUERY, HOOK), None, {}, {}))}
    assert rows["directory.outside[0].url"].value == "postgresql://p:********@db/users"
    assert rows["directory.outside[1].secret"].value == "********"
    assert "verifier" in rows["directory.outside[0].query"].meaning


def test_of_a_list_the_variable_that_sets_it_is_told() -> None:
    file = {"directory": {"outside": [QUERY]}}
    of_both = Sources(settings(QUERY), None, file, {"directory": {"default": "crm"}})
    row = {row.key: row for row in explain(of_both)}["directory.outside[0].name"]
    assert (row.variable, row.origin) == ("POPLAR_DIRECTORY__OUTSIDE", "file")
