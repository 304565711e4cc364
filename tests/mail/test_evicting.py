"""Which session staff end by an address, also once its maildrop or tenant is removed, and what the audit says of it."""

from uuid import UUID, uuid4

import pytest

from service.mail.evicting import evict
from service.mail.passwords import Passwords
from service.mail.ports import Holder, Lease
from service.mail.provisioning import Office, Provisioning, provisioning
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from service.model.saslprep import prepare
from service.model.token import SERVICE
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from tests.mail.provider import SetClock

ADA = "ada@acme.example"


class Site:
    """Acme with Ada's maildrop, and the register of sessions."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.office = Office(memory_tenancy(self.state), "clerk")
        self.locks = MemoryMaildropLocks(SetClock())

    @property
    def desk(self) -> Provisioning:
        return provisioning(self.office, Passwords(MemoryPasswordHashes(), prepare, SetClock()))

    async def furnish(self) -> None:
        await self.desk.tenants.create("acme")
        await self.desk.domains.create("acme", "acme.example")
        await self.desk.maildrops.create(ADA)

    async def hold(self) -> MaildropKey:
        """A session in Ada's maildrop, which is the newest one."""
        key = list(self.state.maildrops)[-1]
        holder = Holder(f"session-{uuid4().hex}", "acme", ADA, "192.0.2.1", "PLAIN", "pod/1", SetClock().now())
        assert await self.locks.acquire(Lease(key, uuid4().hex, holder))
        return key

    def ends(self, tenant_id: UUID) -> list[tuple[str, str, object]]:
        """Actor, subject and details of each end of a session in this tenant's audit."""
        entries = [entry for whose, entry in self.state.audit if whose == tenant_id and entry.action == "session.end"]
        return [(entry.actor, entry.subject, entry.details) for entry in entries]


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.furnish()
    return site


async def test_the_audit_says_which_session_was_ended(site: Site) -> None:
    key = await site.hold()
    (holder,) = await site.locks.holders()
    await evict(site.office, site.locks, "ADA@acme.example", "acme", key.tenant_id)
    assert await site.locks.holders() == []
    details = {"session": holder.session_id, "client": "192.0.2.1"}
    assert site.ends(key.tenant_id) == [("clerk", ADA, details)]


@pytest.mark.parametrize("what", ["maildrop", "remade", "domain", "tenant"])
async def test_a_session_in_what_was_removed_is_ended_by_its_address(site: Site, what: str) -> None:
    key = await site.hold()
    if what in {"maildrop", "remade"}:
        await site.desk.maildrops.remove(ADA)
    if what == "remade":
        await site.desk.maildrops.create(ADA)
    if what == "domain":
        await site.desk.domains.remove("acme.example", cascade=True)
    if what == "tenant":
        await site.desk.tenants.remove("acme", cascade=True)
    await evict(site.office, site.locks, ADA)
    assert await site.locks.holders() == []
    assert len(site.ends(key.tenant_id)) == 1
    with pytest.raises(Refusal) as refused:
        await evict(site.office, site.locks, ADA)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_g10_the_end_of_a_removed_tenants_session_is_not_in_the_audit_of_one_with_its_name(site: Site) -> None:
    key = await site.hold()
    await site.desk.tenants.remove("acme", cascade=True)
    namesake = (await site.desk.tenants.create("acme")).tenant_id
    await evict(site.office, site.locks, ADA)
    assert (len(site.ends(SERVICE)), site.ends(key.tenant_id), site.ends(namesake)) == (1, [], [])


@pytest.mark.parametrize("whose", ["path", "token"])
async def test_g10_a_session_in_a_removed_maildrop_of_another_tenant_is_not_there(site: Site, whose: str) -> None:
    key = await site.hold()
    await site.desk.tenants.create("other")
    await site.desk.domains.remove("acme.example", cascade=True)
    tenant, within = ("other", key.tenant_id) if whose == "path" else ("acme", uuid4())
    with pytest.raises(Refusal, match="there is no domain"):
        await evict(site.office, site.locks, ADA, tenant, within)
    assert len(await site.locks.holders()) == 1
