"""The HTTP API of a running demo: what is made there opens a maildrop for a mail client, and closes it again. G11."""

import json
import poplib
import ssl
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.backends.demo import RunningDemo


@pytest.fixture
def client(demo: RunningDemo) -> Iterator[httpx.Client]:
    """A client of the API with a token of its own."""
    name = f"t-{uuid4().hex[:8]}"
    token = json.loads(demo.poplar("token", "create", name, "--scope", "full", "--json"))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{demo.ready['http']}/v1", headers=headers) as client:
        yield client


def logged_in(demo: RunningDemo, address: str, password: str) -> poplib.POP3_SSL:
    place = demo.place("pop3s")
    context = ssl.create_default_context(cafile=demo.ca_file)
    session = poplib.POP3_SSL(place.host, place.port, context=context, timeout=30)
    session.user(address)
    session.pass_(password)
    return session


def counted_by(demo: RunningDemo) -> Counter[tuple[str, ...]]:
    """What a scrape says of requests, by the values of its labels."""
    text = httpx.get(f"{demo.ready['http']}/metrics").text
    wanted = {"poplar_api_responses_total", "poplar_api_seconds_count"}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return Counter({tuple(each.labels.values()): int(each.value) for each in samples if each.name in wanted})


def test_a_maildrop_made_by_the_api_is_opened_shown_ended_and_closed(demo: RunningDemo, client: httpx.Client) -> None:
    tenant = f"api-{uuid4().hex[:8]}"
    address = f"ada@{tenant}.example"
    maildrop = f"/tenants/{tenant}/maildrops/{address}"
    for path in (f"/tenants/{tenant}", f"/tenants/{tenant}/domains/{tenant}.example", maildrop):
        assert client.put(path, json={}).status_code == 201
    assert client.put(f"{maildrop}/credentials/main", json={"password": "pencil case"}).status_code == 201

    session = logged_in(demo, address, "pencil case")
    (live,) = client.get(f"/tenants/{tenant}/sessions").json()["items"]
    assert (live["address"], live["client"]) == (address, "127.0.0.1")
    assert client.get(f"{maildrop}/credentials/main").status_code == 200
    session.quit()

    tag = client.get(maildrop).headers["ETag"]
    closed = client.patch(maildrop, json={"status": "suspended"}, headers={"If-Match": tag})
    assert closed.status_code == 200
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        logged_in(demo, address, "pencil case")
    assert client.delete(f"/tenants/{tenant}?cascade=true").status_code == 204


def test_requests_are_counted_by_how_they_were_answered(demo: RunningDemo, client: httpx.Client) -> None:
    before = counted_by(demo)
    client.get("/tenants")
    client.get(f"/tenants/{uuid4().hex}")
    client.get("/tenants", headers={"Authorization": "Bearer none"})
    more = {labels: count - before[labels] for labels, count in counted_by(demo).items()}
    assert {labels: count for labels, count in more.items() if count} == {
        ("200",): 1, ("401",): 1, ("404",): 1, ("GET", "ok"): 1, ("GET", "refused"): 2
    }  # fmt: skip
    assert ("GET", "failed") in more


def test_the_demos_own_tenants_admin_sees_that_tenant_alone(demo: RunningDemo) -> None:
    tenant = demo.accounts[0].tenant
    name = f"t-{uuid4().hex[:8]}"
    told = demo.poplar("token", "create", name, "--scope", "tenant", "--tenant", tenant, "--json")
    headers = {"Authorization": f"Bearer {json.loads(told)['token']}"}
    other = next(account for account in demo.accounts if account.tenant != tenant)
    with httpx.Client(base_url=f"{demo.ready['http']}/v1", headers=headers) as client:
        assert [each["name"] for each in client.get("/tenants").json()["items"]] == [tenant]
        assert client.get(f"/tenants/{tenant}/maildrops").json()["items"] != []
        assert client.get(f"/tenants/{other.tenant}/maildrops/{other.address}").status_code == 404
