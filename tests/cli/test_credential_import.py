"""Passwords that other systems hashed, from the command line to a real Postgres. RFC 4648 §4."""

import pytest

from tests.cli.conftest import ADA, Poplar

HASH = "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"


def test_a_verifier_is_read_from_standard_input_and_never_shown(acme: Poplar) -> None:
    made = acme("credential", "import", ADA, "--label", "old", "--json", typed=f"{{SHA512-CRYPT}}{HASH}\n")
    assert made.code == 0, made.err
    assert (made.json["label"], made.json["kind"], made.json["status"]) == ("old", "password", "active")
    assert "$6$" not in made.out + made.err + acme("tenant", "audit", "acme").out


def test_an_import_can_be_repeated(acme: Poplar) -> None:
    assert acme("credential", "import", ADA, typed=HASH).code == 0
    again = acme("credential", "import", ADA, typed=HASH)
    assert (again.code, again.err) == (1, f"poplar: {ADA} has a credential labelled main already\n")
    assert acme("credential", "import", ADA, "--replace", typed=HASH).code == 0
    assert len(acme("credential", "list", ADA, "--json").json) == 1


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("{PLAIN}hunter2", "poplar: the verifier is of the scheme {PLAIN}, which isn't accepted: "),
        ("hunter2", "poplar: the verifier names no known scheme: "),
        ("$2b$20$" + "a" * 53, "poplar: the verifier asks for 20 as its cost; 1 to 14 are accepted"),
    ],
)
def test_what_no_login_could_match_is_refused_in_plain_words(acme: Poplar, typed: str, said: str) -> None:
    refused = acme("credential", "import", ADA, typed=typed)
    assert refused.code == 1
    assert refused.err.startswith(said)
    assert "hunter2" not in refused.err
    assert acme("credential", "list", ADA, "--json").json == []


@pytest.mark.parametrize("typed", ["", " \n"])
def test_no_verifier_at_all_is_a_usage_error(acme: Poplar, typed: str) -> None:
    refused = acme("credential", "import", ADA, typed=typed)
    assert (refused.code, "standard input holds no verifier" in refused.err) == (2, True)


def test_a_verifier_is_never_taken_from_the_command_line(acme: Poplar) -> None:
    assert acme("credential", "import", ADA, HASH).code == 2
