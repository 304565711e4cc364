"""The choice of a tenant's outside directory, over the API. RFC 9110 §13.1.1 (If-Match)."""

from tests.admin.house import Served
from tests.admin.test_resources import good, problem

PLACE = "/tenants/acme/directory"


async def test_the_provider_chooses_and_takes_back(served: Served) -> None:
    async with served.client() as client:
        assert good(await client.get(PLACE)) == {"directory": None}
        for name in ("crm", "own", None):
            chosen = await client.put(PLACE, json={"directory": name})
            assert good(chosen) == good(await client.get(PLACE)) == {"directory": name}
        audit = [entry["action"] for entry in good(await client.get("/tenants/acme/audit"))["items"]]
        assert audit.count("tenant.directory") == 3
        good(await client.put(PLACE, json={"directory": None}))
        again = [entry["action"] for entry in good(await client.get("/tenants/acme/audit"))["items"]]
        assert again.count("tenant.directory") == 3


async def test_a_tenants_admin_sees_the_choice_and_makes_none(served: Served) -> None:
    async with served.client("acme") as client:
        assert good(await client.get(PLACE)) == {"directory": None}
        problem(await client.put(PLACE, json={"directory": "crm"}), 403)


async def test_a_choice_that_was_made_meanwhile_is_not_lost(served: Served) -> None:
    async with served.client() as client:
        tag = (await client.get(PLACE)).headers["ETag"]
        good(await client.put(PLACE, json={"directory": "crm"}))
        problem(await client.put(PLACE, json={"directory": "erp"}, headers={"If-Match": tag}), 412)
        problem(await client.put(PLACE, json={"directory": "No Name"}), 422)
        problem(await client.get("/tenants/nobody/directory"), 404)
