"""`poplar tenant directory`, from the command line to a real Postgres and back."""

from tests.cli.conftest import Poplar


def test_a_tenants_directory_is_shown_chosen_and_taken_back(acme: Poplar) -> None:
    assert acme("tenant", "directory", "acme", "--json").json == {"directory": None}
    for typed, kept in (("crm", "crm"), ("own", "own"), ("default", None)):
        chosen = acme("tenant", "directory", "acme", "--use", typed)
        assert chosen.out == f"Tenant acme uses the directory {typed}.\n"
        assert acme("tenant", "directory", "acme", "--json").json == {"directory": kept}
    audit = acme("tenant", "audit", "acme", "--json").json
    assert [entry["details"] for entry in audit if entry["action"] == "tenant.directory"] == [
        {"directory": None},
        {"directory": "own"},
        {"directory": "crm"},
    ]
    assert "1 to 32" in acme("tenant", "directory", "acme", "--use", "No Name").err
    assert "no tenant" in acme("tenant", "directory", "nobody", "--use", "crm").err
