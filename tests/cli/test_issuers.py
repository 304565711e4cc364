"""`poplar issuer`, from the command line to a real Postgres and back. G17; RFC 7662 §2.1."""

import pytest

from tests.cli.conftest import Poplar

MAKE = ("issuer", "create", "acme", "corp", "--url", "https://id.example/corp", "--audience", "poplar")


def test_an_issuer_is_made_changed_shown_and_removed(acme: Poplar) -> None:
    made = acme(*MAKE, "--audience", "other", "--client-id", "poplar", "--secret-stdin", "--json", typed="hunter2\n")
    assert made.code == 0, made.err
    assert made.json["terms"]["audiences"] == ["poplar", "other"]
    assert made.json["secret_set"] is not None
    changed = acme(
        "issuer", "change", "acme", "corp", "--method", "introspection", "--mail-claim", "upn", "--json"
    ).json
    assert changed["terms"] == made.json["terms"] | {"method": "introspection", "mail_claim": "upn"}
    assert changed["secret_set"] == made.json["secret_set"]
    assert acme("issuer", "suspend", "acme", "corp").out == "Suspended issuer corp of acme.\n"
    assert acme("issuer", "show", "acme", "corp", "--json").json["status"] == "suspended"
    assert acme("issuer", "resume", "acme", "corp").code == 0
    assert "method=introspection" in acme("issuer", "show", "acme", "corp").out
    table = acme("issuer", "list", "acme").out
    assert "https://id.example/corp" in table
    assert "active" in table
    assert acme("issuer", "remove", "acme", "corp").code == 0
    assert acme("issuer", "list", "acme", "--json").json == []
    assert "hunter2" not in made.out + table + acme("tenant", "audit", "acme").out


@pytest.mark.parametrize("typed", ["", "\n"])
def test_a_secret_that_is_missing_erases_none(acme: Poplar, typed: str) -> None:
    acme(*MAKE, "--secret-stdin", typed="hunter2\n")
    changed = acme("issuer", "change", "acme", "corp", "--secret-stdin", typed=typed)
    assert (changed.code, "standard input holds no secret" in changed.err) == (2, True)
    assert acme("issuer", "show", "acme", "corp", "--json").json["secret_set"] is not None


def test_a_secret_is_never_taken_from_the_command_line(acme: Poplar) -> None:
    assert acme(*MAKE, "--client-secret", "x").code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("issuer", "create", "acme", "corp"), "url is no URL"),
        ((*MAKE[:5], "http://id.example", *MAKE[6:]), "url begins with https://"),
        ((*MAKE, "--algorithm", "none"), "algorithms are some of "),
        (("issuer", "show", "acme", "corp"), "tenant acme has no issuer corp"),
        (("issuer", "list", "nobody"), "there is no tenant nobody"),
    ],
)
def test_a_refusal_is_one_plain_line(acme: Poplar, words: tuple[str, ...], said: str) -> None:
    outcome = acme(*words)
    assert outcome.code == 1
    assert outcome.err.startswith(f"poplar: {said}")
    assert outcome.err.count("\n") == 1
