"""Each resource of the API, through its paths.

RFC 9110 §15 (status codes), §8.8.1, §8.8.3 and §8.8.3.2 (entity tags and how they compare), §13.1.1 (If-Match), §13.1.2
(If-None-Match), §10.2.3 (Retry-After); RFC 9457 §3 (problems).
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

import asyncpg
import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from service.admin.access import Gate, House
from service.admin.paging import cursor
from service.admin.policies import NarrowingValues, PolicyName
from service.mail.delegation import check_tighter
from service.model.address import parse_address
from service.model.app_password import parse_app_password
from service.model.message import Blob, NewMessage
from service.model.policy_table import NARROWING, POLICY_NAMES
from service.model.refusal import Refusal
from service.model.tenancy import PolicyChange
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex
from tests.admin.house import Served, furniture
from tests.admin.test_isolation import hold

ADA = "/tenants/acme/maildrops/ada@acme.example"


def good(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def problem(response: httpx.Response, status: int) -> str:
    """The detail of a problem, which has the one form of all."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert (told["status"], told["type"]) == (status, "about:blank")
    return str(told["detail"])


@pytest.mark.parametrize("place", range(6))
async def test_a_put_creates_once_and_then_says_the_same(empty: Served, place: int) -> None:
    forms = list(furniture("acme").items())
    async with empty.client() as client:
        for path, form in forms[:place]:
            good(await client.put(path, json=form), 201)
        path, form = forms[place]
        first = good(await client.put(path, json=form), 201)
        second = await client.put(path, json=form)
        assert good(second) == good(await client.get(path))
        # Nothing tells that a password is the one that was there.
        assert {**first, **{name: good(second)[name] for name in {"credential_id"} & set(first)}} == good(second)
        assert second.headers["ETag"] == (await client.get(path)).headers["ETag"]


async def test_a_repeated_put_leaves_no_trace_in_the_audit(served: Served) -> None:
    paths = [path for path in furniture("acme") if "credentials" not in path]
    async with served.client() as client:
        before = good(await client.get("/tenants/acme/audit"))
        for path in paths:
            good(await client.put(path, json=furniture("acme")[path]))
        assert good(await client.get("/tenants/acme/audit")) == before


async def test_eight_puts_at_once_create_one_thing(empty: Served) -> None:
    async with empty.client() as client:
        for path, form in furniture("acme").items():
            made = await asyncio.gather(*(client.put(path, json=form) for _ in range(8)))
            assert sorted(response.status_code for response in made) == [200] * 7 + [201], path


async def test_a_put_leaves_exactly_what_it_names_and_a_patch_what_it_does_not(served: Served) -> None:
    async with served.client() as client:
        good(await client.put(ADA, json={"policy": {"login_delay": 5, "expire_days": None}}))
        patched = good(await client.patch(ADA, json={"policy": {"quota_octets": 9}, "inherit": ["login_delay"]}))
        assert patched["policy"] == {"expire_days": None, "quota_octets": 9}
        assert patched["settings"]["quota_messages"] == {"value": 100, "origin": "tenant"}
        assert patched["settings"]["quota_octets"] == {"value": 9, "origin": "maildrop"}
        assert patched["settings"]["login_delay"] == {"value": 0, "origin": "default"}
        assert good(await client.put(ADA, json={"status": "suspended"}))["policy"] == {}
        assert good(await client.get(ADA))["status"] == "suspended"


async def test_every_policy_value_has_a_field(empty: Served) -> None:
    schemas = empty.app.openapi()["components"]["schemas"]
    assert tuple(schemas["PolicyValues"]["properties"]) == POLICY_NAMES == get_args(PolicyName)
    assert tuple(NarrowingValues.model_fields) == NARROWING


async def test_an_app_password_is_made_up_shown_once_and_narrowed(served: Served) -> None:
    form = {"label": "phone", "kind": "app", "policy": {"networks": ["192.0.2.0/24"]}}
    async with served.client("acme") as admin:
        made = good(await admin.post(f"{ADA}/credentials", json=form), 201)
        assert parse_app_password(made["password"])
        shown = good(await admin.get(f"{ADA}/credentials/phone"))
        assert {**shown, "password": made["password"]} == made
        assert (shown["kind"], shown["policy"]) == ("app", {"networks": ["192.0.2.0/24"]})
        ordinary = {"label": "other", "policy": {"networks": ["192.0.2.0/24"]}}
        assert "app password" in problem(await admin.post(f"{ADA}/credentials", json=ordinary), 422)


async def test_words_and_switches_of_a_policy_are_kept_and_shown(served: Served) -> None:
    policy = {"pop3": False, "mechanisms": ["PLAIN", "USER"], "networks": ["192.0.2.0/24", "2001:db8::/32"]}
    policy |= {"dele": "keep", "order": "newest", "shown_since": "2026-01-31", "recent_days": None}
    async with served.client() as client:
        kept = good(await client.put(ADA, json={"policy": policy}))
        assert kept["policy"] == policy
        assert kept["settings"]["networks"] == {"value": policy["networks"], "origin": "maildrop"}
        assert kept["settings"]["pop3"] == {"value": False, "origin": "maildrop"}
        assert "networks" in problem(await client.patch(ADA, json={"policy": {"networks": ["192.0.2.1/24"]}}), 422)
        problem(await client.patch(ADA, json={"policy": {"mechanisms": ["NTLM"]}}), 422)
        problem(await client.patch(ADA, json={"policy": {"dele": "ignore"}}), 422)
        assert "shown_since" in problem(await client.patch(ADA, json={"policy": {"shown_since": "2026-02-30"}}), 422)


async def test_of_two_changes_made_from_one_reading_one_wins_and_the_other_is_told(served: Served) -> None:
    paths = ("/tenants/acme", "/tenants/acme/domains/acme.example", ADA, f"{ADA}/credentials/main")
    async with served.client() as client:
        for path in paths:
            read = {"If-Match": (await client.get(path)).headers["ETag"]}
            change = {"status": "suspended"}
            told = await asyncio.gather(*(client.patch(path, json=change, headers=read) for _ in range(6)))
            assert sorted(response.status_code for response in told) == [200] + [412] * 5, path
            problem(max(told, key=lambda response: response.status_code), 412)
            assert good(await client.get(path))["status"] == "suspended"


async def test_of_two_passwords_set_from_one_reading_one_wins_and_the_other_is_told(served: Served) -> None:
    path = f"{ADA}/credentials/main"
    async with served.client() as client:
        read = {"If-Match": (await client.get(path)).headers["ETag"]}
        forms = [{"password": f"right horse {n}"} for n in range(3)]
        told = await asyncio.gather(*(client.put(path, json=form, headers=read) for form in forms))
        assert sorted(response.status_code for response in told) == [200, 412, 412]
        problem(await client.patch(path, json={"status": "suspended"}, headers=read), 412)
        problem(await client.delete(path, headers=read), 412)


async def test_a_removal_from_an_old_reading_removes_nothing(served: Served) -> None:
    async with served.client() as client:
        for path in reversed(furniture("acme")):
            problem(await client.delete(path, headers={"If-Match": '"old"'}), 412)
            good(await client.get(path))


async def test_conditions_on_what_is_there_and_what_is_not(served: Served) -> None:
    new = "/tenants/acme/maildrops/new@acme.example"
    async with served.client() as client:
        problem(await client.put(new, json={}, headers={"If-Match": "*"}), 412)
        problem(await client.put(ADA, json={}, headers={"If-None-Match": "*"}), 412)
        tag = (await client.put(new, json={}, headers={"If-None-Match": "*"})).headers["ETag"]
        problem(await client.patch(new, json={}, headers={"If-Match": f"W/{tag}"}), 412)
        good(await client.patch(new, json={}, headers={"If-Match": f'"other", {tag}'}))
        good(await client.delete(new, headers={"If-Match": "*"}), 204)
        problem(await client.patch(new, json={}, headers={"If-Match": tag}), 404)


async def test_what_is_not_there_is_a_problem(served: Served) -> None:
    async with served.client() as client:
        for path in furniture("nomad"):
            problem(await client.get(path), 404)
            problem(await client.delete(path), 404)
        assert problem(await client.get("/tenants/nomad/domains"), 404) == "there is no tenant nomad"
        problem(await client.get("/nothing"), 404)
        problem(await client.post(ADA), 405)


async def test_what_is_wrong_is_said_by_place(served: Served) -> None:
    async with served.client() as client:
        response = await client.put(ADA, json={"policy": {"expire_days": 0}, "statos": "active"})
        problem(response, 422)
        assert {each["where"] for each in response.json()["errors"]} == {"body.policy.expire_days", "body.statos"}
        problem(await client.put("/tenants/Not a name", json={}), 422)
        problem(await client.put("/tenants/acme/domains/-.example", json={}), 422)
        problem(await client.put("/tenants/acme/maildrops/a+tag@acme.example", json={}), 422)
        as_json = {"Content-Type": "application/json"}
        problem(await client.put(ADA, content=b"{", headers=as_json), 422)
        problem(await client.put(ADA, content=rb'{"\ud800": 1}', headers=as_json), 422)
        problem(await client.put(f"{ADA}/credentials/x", json={"password": ""}), 422)
        ended = {"password": "p", "expires": "2020-01-01T00:00:00Z"}
        assert "over before it begins" in problem(await client.put(f"{ADA}/credentials/x", json=ended), 422)
        problem(await client.get("/tenants?after=x"), 422)
        problem(await client.get("/tenants?limit=0"), 422)
        problem(await client.put(ADA, content=b" " * 300_000), 413)


async def test_a_body_that_does_not_come_in_time_is_given_up(served: Served) -> None:
    house: House = served.app.state.house
    said: list[Message] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        said.append(message)

    headers = [(b"authorization", f"Bearer {served.texts['acme']}".encode())]
    scope = {"type": "http", "path": "/v1/tenants/acme", "method": "PATCH", "headers": headers}
    await Gate(served.app, house, seconds=0.05)(scope, never, send)
    assert said[0]["status"] == 408


@pytest.mark.parametrize("begun", [False, True])
async def test_a_request_that_a_process_cannot_wait_for_is_answered_unless_it_was(served: Served, begun: bool) -> None:
    under_way = asyncio.Event()
    said: list[Message] = []

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        under_way.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    headers = [(b"authorization", f"Bearer {served.texts['full']}".encode())]
    scope = {"type": "http", "path": "/v1/tenants", "method": "GET", "headers": headers}
    asked = asyncio.ensure_future(Gate(endless, served.app.state.house)(scope, receive, send))
    await under_way.wait()
    asked.cancel()
    await asyncio.wait({asked})
    assert [said[0]["status"], asked.cancelled()] == ([200, True] if begun else [503, False])


async def test_a_name_that_is_taken_is_a_conflict(served: Served) -> None:
    async with served.client() as client:
        problem(await client.put("/tenants/other/domains/acme.example", json={}), 409)
        problem(await client.put("/tenants/acme/maildrops/a@acme.example", json={}), 409)
        problem(await client.put("/tenants/acme/aliases/ada@acme.example", json={"address": "ada@acme.example"}), 409)
        problem(await client.post(f"{ADA}/credentials", json={"label": "main"}), 409)
        problem(await client.delete("/tenants/acme"), 409)
        good(await client.delete("/tenants/acme?cascade=true"), 204)


async def test_an_alias_leads_where_it_was_last_put(served: Served) -> None:
    alias = "/tenants/acme/aliases/a@acme.example"
    async with served.client("acme") as client:
        good(await client.put("/tenants/acme/maildrops/bob@acme.example", json={}), 201)
        good(await client.put(alias, json={"address": "bob@acme.example"}))
        assert good(await client.get(alias))["address"] == "bob@acme.example"
        assert good(await client.get("/tenants/acme/aliases?address=ada@acme.example"))["items"] == []
        problem(await client.put(alias, json={"address": "none@acme.example"}), 404)


async def test_a_catch_all_comes_and_goes(served: Served) -> None:
    domain = "/tenants/acme/domains/acme.example"
    async with served.client("acme") as client:
        assert good(await client.patch(domain, json={"catch_all": "ADA@acme.example"}))["catch_all"]
        assert good(await client.patch(domain, json={"status": "suspended"}))["catch_all"] == "ada@acme.example"
        assert good(await client.patch(domain, json={"catch_all": None}))["catch_all"] is None


async def test_an_address_and_a_label_with_slashes_have_paths(served: Served) -> None:
    address = "/tenants/acme/maildrops/a%2Fcredentials%2Fb@acme.example"
    async with served.client("acme") as client:
        assert good(await client.put(address, json={}), 201)["address"] == "a/credentials/b@acme.example"
        made = good(await client.put(f"{address}/credentials/my%20phone%2F2", json={"password": "p"}), 201)
        assert made["label"] == "my phone/2"
        assert good(await client.get(f"{address}/usage")) == {"messages": 0, "octets": 0}


async def test_a_password_is_made_up_and_shown_once(served: Served) -> None:
    async with served.client("acme") as client:
        made = good(await client.post(f"{ADA}/credentials", json={"label": "phone"}), 201)
        assert len(made["password"]) > 20
        listed = await client.get(f"{ADA}/credentials")
        assert [each["label"] for each in good(listed)["items"]] == ["main", "phone"]
        assert made["password"] not in listed.text
        assert "verifier" not in listed.text


async def test_filters_leave_out_what_does_not_match(served: Served) -> None:
    async with served.client() as client:
        good(await client.put("/tenants/acme/domains/two.example", json={}), 201)
        good(await client.put("/tenants/acme/maildrops/bob@two.example", json={"status": "suspended"}), 201)
        good(await client.patch("/tenants/other", json={"status": "suspended"}))
        for path, named in (
            ("/tenants?status=suspended", ["other"]),
            ("/tenants/acme/domains?status=suspended", []),
            ("/tenants/acme/maildrops?status=suspended", ["bob@two.example"]),
            ("/tenants/acme/maildrops?domain=ACME.example", ["ada@acme.example"]),
            ("/tenants/acme/maildrops?domain=two.example&status=active", []),
        ):
            items = good(await client.get(path))["items"]
            assert [item.get("address") or item["name"] for item in items] == named, path


async def test_usage_counts_what_a_tenant_holds(served: Served) -> None:
    async with served.client("acme") as client:
        usage = good(await client.get("/tenants/acme/usage"))
    assert usage == {"domains": 1, "maildrops": 1, "messages": 0, "octets": 0}


async def deliver_and_remove(served: Served, count: int) -> list[str]:
    """Messages of Ada's that a client removed; their unique-ids."""
    owners = Database(served.owner_dsn)
    await owners.open()
    recipient = await PostgresDirectory(owners).resolve(parse_address("ada@acme.example"))
    index = PostgresMessageIndex(owners)
    blobs = [Blob(f"t/{uuid4().hex}", 100, 40, False, b"h" * 32) for _ in range(count)]
    arrivals = [NewMessage(uuid4(), blob, datetime.now(UTC), b"") for blob in blobs]
    await index.append([(recipient, arrival) for arrival in arrivals])
    await index.open(recipient.key, b"f" * 16)
    await index.remove(recipient.key, b"f" * 16, list(range(1, count + 1)))
    await owners.close()
    return [str(arrival.unique_id) for arrival in arrivals]


async def test_removed_messages_are_listed_page_by_page_and_restored(served: Served) -> None:
    removed = await deliver_and_remove(served, 5)
    async with served.client("support") as client:
        wrong = await client.get(f"{ADA}/removed-messages?after={cursor('acme.example')}")
        assert wrong.status_code == 422
        found, after = [], ""
        while True:
            page = good(await client.get(f"{ADA}/removed-messages?limit=2{after}"))
            found += [item["unique_id"] for item in page["items"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert sorted(found) == sorted(removed)
        restored = await client.post(f"{ADA}/removed-messages/restore", json={"unique_ids": removed[:2]})
        assert good(restored) == {"messages": 2}
        assert good(await client.get(f"{ADA}/usage"))["messages"] == 2


async def test_a_live_session_is_listed_and_ended(served: Served) -> None:
    await hold(served, "acme")
    await hold(served, "other")
    async with served.client("support") as client:
        assert len(good(await client.get("/sessions"))["items"]) == 2
        (session,) = good(await client.get("/tenants/acme/sessions"))["items"]
        assert (session["address"], session["client"]) == ("ada@acme.example", "192.0.2.1")
        for address, sessions in (("ADA@Acme.example", 1), ("bob@acme.example", 0)):
            found = good(await client.get("/tenants/acme/sessions", params={"address": address}))["items"]
            assert len(found) == sessions, address
        problem(await client.get("/sessions?address=nobody"), 422)
        good(await client.delete(f"{ADA}/session"), 204)
        problem(await client.delete(f"{ADA}/session"), 404)
        assert good(await client.get("/tenants/acme/sessions"))["items"] == []
        (ended,) = good(await client.get("/tenants/acme/audit?action=session.end"))["items"]
    assert (ended["actor"], ended["subject"]) == ("token:support", "ada@acme.example")
    assert ended["details"] == {"session": session["session_id"], "client": "192.0.2.1"}


async def test_a_live_session_is_ended_though_its_maildrop_is_removed(served: Served) -> None:
    await hold(served, "acme")
    async with served.client("acme") as client:
        good(await client.delete(ADA), 204)
        good(await client.delete(f"{ADA}/session"), 204)
        problem(await client.delete(f"{ADA}/session"), 404)
    assert await served.locks.holders() == []


async def test_the_audit_names_the_token_and_is_filtered_and_paged(served: Served) -> None:
    async with served.client("acme") as client:
        for status in ("suspended", "active") * 3:
            good(await client.patch(ADA, json={"status": status}))
        entries: list[dict[str, Any]] = []
        path = "/tenants/acme/audit?limit=4&actor=token:acme/acme-admin&action=maildrop.status"
        page = good(await client.get(path))
        entries += page["items"]
        page = good(await client.get(f"{path}&after={page['next']}"))
        entries += page["items"]
        assert page["next"] is None
        since = entries[2]["moment"].replace("+", "%2B")
        later = good(await client.get(f"/tenants/acme/audit?action=maildrop.status&since={since}"))["items"]
    assert len({entry["entry_id"] for entry in entries}) == len(entries) == 6
    assert {entry["actor"] for entry in entries} == {"token:acme/acme-admin"}
    assert later == entries[:3]


async def test_the_service_audit_tells_of_tokens(served: Served) -> None:
    async with served.client() as client:
        good(await client.post("/tokens", json={"name": "sync", "scope": "read-only"}), 201)
        newest = good(await client.get("/audit?limit=1"))["items"][0]
    assert (newest["actor"], newest["action"], newest["subject"]) == ("token:full", "token.create", "sync")


async def test_a_delegated_admin_tightens_what_the_provider_sold_and_never_loosens_it(served: Served) -> None:
    async with served.client("acme") as admin, served.client() as full:
        good(await admin.patch(ADA, json={"policy": {"quota_messages": 99, "quota_octets": 10}}))
        problem(await admin.patch(ADA, json={"policy": {"quota_messages": 101}}), 422)
        problem(await admin.put(ADA, json={"policy": {"quota_messages": None}}), 422)
        good(await full.patch(ADA, json={"policy": {"quota_messages": 200}}))
        kept = good(await admin.put(ADA, json={"policy": {"quota_messages": 200}}))
    assert kept["policy"] == {"quota_messages": 200}


@pytest.mark.parametrize(
    ("name", "bound", "value"), [("login_delay", 60, 59), ("expire_days", 30, None), ("expire_days", 30, 31)]
)
def test_looser_is_less_delay_and_longer_retention(name: str, bound: int, value: int | None) -> None:
    with pytest.raises(Refusal):
        check_tighter({name: bound}, {}, PolicyChange({name: value}))
    check_tighter({name: bound}, {}, PolicyChange({name: bound}))
    check_tighter({}, {}, PolicyChange({name: value}))


async def test_lists_show_everything_once_while_others_come_and_go(served: Served) -> None:
    there = {f"user{n:03}@acme.example" for n in range(0, 60, 2)}
    async with served.client() as client:
        await asyncio.gather(*(client.put(f"/tenants/acme/maildrops/{name}", json={}) for name in there))
        found: list[str] = []
        page: dict[str, Any] = {"next": ""}
        number = 1
        while page["next"] is not None:
            after = f"&after={page['next']}" if page["next"] else ""
            page = good(await client.get(f"/tenants/acme/maildrops?limit=4{after}"))
            found += [item["address"] for item in page["items"]]
            good(await client.put(f"/tenants/acme/maildrops/user{number:03}@acme.example", json={}), 201)
            good(await client.put(f"/tenants/acme/maildrops/aaa{number:03}@acme.example", json={}), 201)
            number += 2
    assert len(found) == len(set(found))
    assert there <= set(found)


async def test_a_database_that_is_away_is_a_temporary_problem_without_a_vendors_word(served: Served) -> None:
    await served.database.close()
    async with served.client() as client:
        response = await client.get("/tenants")
    assert "try again" in problem(response, 503)
    assert response.headers["Retry-After"]
    assert "postgres" not in response.text.lower()


async def test_a_defect_is_a_problem_too(served: Served) -> None:
    connection = await asyncpg.connect(served.owner_dsn)
    await connection.execute("UPDATE tenants SET policy = '{\"login_delay\": \"x\"}' WHERE name = 'acme'")
    await connection.close()
    async with served.client() as client:
        problem(await client.get("/tenants/acme"), 500)
