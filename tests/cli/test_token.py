"""`poplar token` and `poplar api`, from the command line to a real Postgres and back."""

import json
import re

import httpx

from service.model.token import parse_token
from tests.cli.conftest import Run, Start


def test_a_token_is_made_listed_rotated_and_revoked(migrated_dsn: str, run: Run) -> None:
    def poplar(*words: str) -> str:
        done = run(*words, POPLAR_DATABASE__URL=migrated_dsn)
        assert done.returncode == 0, done.stderr
        return done.stdout

    poplar("tenant", "create", "acme")
    made = json.loads(poplar("token", "create", "first", "--scope", "full", "--expires", "2999-01-01", "--json"))
    assert made["expires"] == "2999-01-01T00:00:00+00:00"
    parse_token(made["token"])
    told = poplar("token", "create", "admin", "--scope", "tenant", "--tenant", "acme")
    found = re.search(r"^token +(\S+)$", told, re.MULTILINE)
    assert found is not None
    parse_token(found[1])
    rotated = json.loads(poplar("token", "rotate", "first", "--json"))
    assert rotated["token"] != made["token"]
    assert rotated["expires"] == made["expires"]
    assert poplar("token", "revoke", "admin", "--tenant", "acme") == "Revoked token admin.\n"
    listed = json.loads(poplar("token", "list", "--json"))
    assert {each["name"]: each["revoked"] is not None for each in listed} == {"first": False, "admin": True}
    assert {each["id"] for each in listed} >= {made["id"], rotated["id"]}
    assert made["id"] == rotated["id"] == parse_token(made["token"])[0].id
    assert not any(text in json.dumps(listed) for text in (made["token"], rotated["token"], found[1]))


def test_a_token_that_makes_no_sense_is_refused_in_plain_words(migrated_dsn: str, run: Run) -> None:
    for words, code, told in (
        (("create", "x", "--scope", "tenant"), 1, "names its tenant"),
        (("create", "X", "--scope", "full"), 1, "a token's name has"),
        (("create", "x", "--scope", "all"), 2, "--scope"),
        (("create", "x", "--scope", "full", "--expires", "2001-01-01"), 1, "over before it begins"),
        (("revoke", "x"), 1, "there is no token x"),
    ):
        done = run("token", *words, POPLAR_DATABASE__URL=migrated_dsn)
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr


def test_the_api_is_served_by_its_own_command_with_health_beside_it(migrated_dsn: str, start: Start, run: Run) -> None:
    settings = {"url": migrated_dsn}
    made = run("token", "create", "first", "--scope", "full", "--json", POPLAR_DATABASE__URL=migrated_dsn)
    token = json.loads(made.stdout)["token"]
    command = start("api", database=settings)
    command.await_said("serving")
    url = re.findall(r"http://[\d.]+:\d+", command.said)[-1]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.put("/v1/tenants/acme", json={}).status_code == 201
        assert client.get("/v1/tenants").json()["items"][0]["name"] == "acme"
        assert client.get("/livez").text == "alive\n"
        assert client.get("/readyz").status_code == 200
        assert "poplar_" in client.get("/metrics").text
        # The leases' server is away here.
        assert client.get("/v1/sessions").status_code == 503
    assert command.end() == 0
    assert token not in command.said


def test_a_front_end_serves_no_api(start: Start) -> None:
    command = start("serve")
    command.await_said("serving")
    url = re.findall(r"http://[\d.]+:\d+", command.said)[-1]
    assert httpx.get(f"{url}/v1/openapi.json").status_code == 404
    assert httpx.get(f"{url}/livez").status_code == 200
    assert command.end() == 0
