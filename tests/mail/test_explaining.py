"""Why a client can't log in, over the in-memory stores: each obstacle by itself, as the support desk reads it. G10.

RFC 2449 §6.5 (LOGIN-DELAY), RFC 3206 §5 (what [AUTH] hides).
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.mail.counting import Rules
from service.mail.explaining import Explanation, Sources, explained
from service.mail.guard import Guard
from service.mail.ports import Holder, Lease
from service.mail.recent import Attempt, Whose
from service.mail.tenancy import Act
from service.model.account import MaildropKey, Status
from service.model.address import parse_address
from service.model.attempts import Kind as Subjects
from service.model.attempts import Limit
from service.model.event import Event, Kind
from service.model.explanation import Weight
from service.model.issuer import IssuerTerms, NewIssuer
from service.model.policy import PolicyValue
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.model.tenancy import NewCredential, PolicyChange
from service.model.why import Why
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.recent import MemoryRecentLogins
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from tests.mail.provider import SetClock

pytestmark = pytest.mark.asyncio
NOW = datetime.now(UTC)
ADA = parse_address("ada@acme.example")
HOME = "192.0.2.1"


class Away(MemoryRecentLogins):
    """A register that can't be reached."""

    async def of(self, whose: Whose) -> Sequence[Attempt]:
        raise Refusal(Reason.UNAVAILABLE, "told to be away")


@dataclass
class Desk:
    """Tenant acme with Ada's maildrop, and other, and whoever asks about them."""

    state: MemoryState = field(default_factory=MemoryState)
    clock: SetClock = field(default_factory=lambda: SetClock(NOW))

    def __post_init__(self) -> None:
        self.tenancy = memory_tenancy(self.state)
        self.locks = MemoryMaildropLocks(self.clock)
        self.recent = MemoryRecentLogins(self.clock, self.locks)
        self.act = Act("tester", "acme")
        self.guard = Guard()
        self.certificates = False

    async def furnished(self) -> "Desk":
        for name in ("acme", "other"):
            await self.tenancy.tenants.create(Act("tester", name), {})
            await self.tenancy.domains.create(Act("tester", name), f"{name}.example")
        await self.tenancy.maildrops.create(self.act, ADA, {})
        await self.credential("main")
        return self

    async def credential(
        self, label: str, kind: str = "password", expires: datetime | None = None, own: PolicyValue = None
    ) -> None:
        await self.tenancy.credentials.create(
            self.act, ADA, NewCredential(label, kind, "v", expires, policy={"mechanisms": own} if own else {})
        )

    async def policy(self, **values: PolicyValue) -> None:
        await self.tenancy.maildrops.set_policy(self.act, ADA, PolicyChange(values))

    async def issuer(self) -> None:
        terms = IssuerTerms("https://id.example", ("poplar",))
        await self.tenancy.issuers.create(self.act, NewIssuer("staff-login", terms))

    @property
    def key(self) -> MaildropKey:
        return next(key for key, row in self.state.maildrops.items() if row.address == str(ADA))

    async def tried(self, minutes: float, why: Why | None = None, client: str = HOME, **more: str) -> None:
        kind = Kind.REFUSAL if why else Kind.LOGIN
        event = Event(kind, NOW - timedelta(minutes=minutes), uuid4().hex, client=client, mechanism="PLAIN")
        event = event._replace(key=self.key, address=str(ADA), reason=why.value if why else "")
        await self.recent.take([event._replace(**more)])  # type: ignore[arg-type]

    async def guessed(self, name: str, moment: datetime, client: str = HOME) -> None:
        event = Event(Kind.REFUSAL, moment, uuid4().hex, client=client, reason=Why.UNKNOWN_NAME.value, name=name)
        await self.recent.take([event])

    async def ask(self, address: str = str(ADA), tenant: str | None = None, client: str | None = None) -> Explanation:
        sources = Sources(self.tenancy, self.recent, self.clock, guard=self.guard, certificates=self.certificates)
        return await explained(sources, address, tenant, client)


@pytest.fixture
async def desk() -> Desk:
    return await Desk().furnished()


def codes(explanation: Explanation, *weights: Weight) -> list[str]:
    return [finding.code for finding in explanation.findings if finding.weight in weights]


def text(explanation: Explanation, code: str) -> str:
    (finding,) = [finding for finding in explanation.findings if finding.code == code]
    return f"{finding.text} {finding.advice}".strip()


async def test_where_nothing_is_wrong_it_says_so_and_where_else_to_look(desk: Desk) -> None:
    answer = await desk.ask()
    assert answer.verdict == "Nothing stands against a login now. What was tried lately was nothing."
    assert codes(answer, Weight.WRONG, Weight.DOUBTFUL) == []
    assert "server name, its port, its TLS setting" in text(answer, "nothing_tried")
    assert "main (password, never used yet)" in text(answer, "credentials")
    assert "none ever came" in text(answer, "mail")


async def test_a_typing_error_is_found_and_the_likely_name_told(desk: Desk) -> None:
    await desk.guessed("adda@acme.example", datetime.now(UTC))
    answer = await desk.ask("Adda@ACME.example")
    assert answer.verdict == "No login can succeed now. There is no maildrop adda@acme.example."
    assert "Is ada@acme.example meant?" in text(answer, "no_maildrop")
    assert [(told.text, told.attempt.client) for told in answer.attempts] == [("refused: nobody had this name", HOME)]


async def test_an_alias_a_catch_all_and_a_tag_take_mail_and_no_login(desk: Desk) -> None:
    await desk.tenancy.aliases.create(desk.act, parse_address("sales@acme.example"), ADA)
    await desk.tenancy.domains.set_catch_all(desk.act, "acme.example", ADA)
    assert "The user name is ada@acme.example." in text(await desk.ask("sales@acme.example"), "alias")
    assert "it goes to ada@acme.example" in text(await desk.ask("zzz@acme.example"), "catch_all")
    assert "The user name is ada@acme.example." in text(await desk.ask("ada+news@acme.example"), "tag")
    assert codes(await desk.ask("x@nowhere.example"), Weight.WRONG) == ["no_domain"]


@pytest.mark.parametrize("what", ["tenant", "domain", "maildrop"])
async def test_a_suspension_says_of_what_and_how_it_ends(desk: Desk, what: str) -> None:
    tenancy, suspended = desk.tenancy, Status.SUSPENDED
    await {
        "tenant": lambda: tenancy.tenants.set_status(desk.act, suspended),
        "domain": lambda: tenancy.domains.set_status(desk.act, "acme.example", suspended),
        "maildrop": lambda: tenancy.maildrops.set_status(desk.act, ADA, suspended),
    }[what]()
    answer = await desk.ask()
    name = {"tenant": "acme", "domain": "acme.example", "maildrop": str(ADA)}[what]
    assert codes(answer, Weight.WRONG) == [f"{what}_suspended"]
    assert f"poplar {what} resume {name}" in text(answer, f"{what}_suspended")
    assert answer.verdict.startswith(f"No login can succeed now. The {what} {name} is suspended")


async def test_credentials_say_which_one_can_be_used_and_why_another_can_not(desk: Desk) -> None:
    await desk.credential("old", expires=NOW - timedelta(days=1))
    await desk.credential("soon", expires=NOW + timedelta(days=2))
    await desk.credential("phone")
    await desk.tenancy.credentials.set_status(desk.act, ADA, "phone", Status.SUSPENDED)
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == []
    assert "main" in text(answer, "credentials")
    assert "expires" in text(answer, "credentials")
    assert "old (password, expired" in text(answer, "useless_credentials")
    assert "phone (password, suspended" in text(answer, "useless_credentials")
    for label in ("main", "soon"):
        await desk.tenancy.credentials.remove(desk.act, ADA, label)
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == ["no_usable_credential"]
    [advice] = [finding.advice for finding in answer.findings if finding.code == "no_usable_credential"]
    assert advice == (
        "Resume one (poplar credential resume ada@acme.example LABEL), or change one and give an end"
        " (poplar credential change ada@acme.example --expires), or add another: poplar credential create"
        " ada@acme.example --label LABEL"
    )
    for label in ("old", "phone"):
        await desk.tenancy.credentials.remove(desk.act, ADA, label)
    assert "poplar credential create ada@acme.example" in text(await desk.ask(), "no_credential")


async def test_a_policy_that_wants_app_passwords_leaves_an_ordinary_one_useless(desk: Desk) -> None:
    await desk.policy(app_passwords="required")
    assert "the policy wants an app password" in text(await desk.ask(), "no_usable_credential")
    await desk.credential("phone", kind="app")
    assert codes(await desk.ask(), Weight.WRONG) == []


@pytest.mark.parametrize(
    ("kind", "own", "policy", "usable"),
    [
        ("app", ("SCRAM-SHA-256",), None, False),
        ("app", None, ("SCRAM-SHA-256", "EXTERNAL"), False),
        ("app", ("PLAIN",), ("USER",), False),
        ("app", ("PLAIN", "EXTERNAL"), ("PLAIN",), True),
        ("password", None, ("SCRAM-SHA-256-PLUS",), True),
        ("password", None, ("OAUTHBEARER",), False),
    ],
)
async def test_a_credential_that_no_allowed_mechanism_takes_is_no_use(
    desk: Desk, kind: str, own: PolicyValue, policy: PolicyValue, usable: bool
) -> None:
    """RFC 5802 §3: keys are needed, which an app password has none of."""
    await desk.tenancy.credentials.remove(desk.act, ADA, "main")
    await desk.credential("phone", kind, own=own)
    if policy:
        await desk.policy(mechanisms=policy)
    answer = await desk.ask()
    assert ("credentials" in codes(answer, Weight.GOOD)) is usable
    if not usable:
        assert f"phone ({kind}, no way to log in that takes it is allowed" in text(answer, "no_usable_credential")


async def test_a_policy_says_what_it_allows_and_who_set_it(desk: Desk) -> None:
    await desk.policy(pop3=False, mechanisms=("SCRAM-SHA-256",), networks=("198.51.100.0/24",))
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == ["pop3_off"]
    assert codes(answer, Weight.DOUBTFUL) == ["mechanisms", "networks"]
    assert "SCRAM-SHA-256 (set by the maildrop)" in text(answer, "mechanisms")
    outside, inside = await desk.ask(client=HOME), await desk.ask(client="198.51.100.7")
    assert "network_refused" in codes(outside, Weight.WRONG)
    assert "network_allowed" in codes(inside, Weight.GOOD)


async def test_a_session_that_holds_the_maildrop_is_named_with_what_ends_it(desk: Desk) -> None:
    holder = Holder("5e55", "acme", str(ADA), "203.0.113.5", "PLAIN", "pod:1", NOW)
    assert await desk.locks.acquire(Lease(desk.key, "token", holder))
    await desk.tried(2)
    await desk.tried(1, Why.IN_USE, "203.0.113.6")
    answer = await desk.ask()
    assert answer.session == holder
    assert "203.0.113.5 by PLAIN (session 5e55 on pod:1)" in text(answer, "in_use")
    assert "poplar session kick ada@acme.example" in text(answer, "in_use")
    assert "was refused: another session held the maildrop" in answer.verdict


async def test_a_login_delay_says_until_when(desk: Desk) -> None:
    await desk.policy(login_delay=600)
    assert codes(await desk.ask(), Weight.DOUBTFUL) == []
    await desk.tried(4)
    assert f"{NOW + timedelta(minutes=6):%H:%M}" in text(await desk.ask(), "login_delay")
    desk.clock.move(minutes=7)
    assert codes(await desk.ask(), Weight.DOUBTFUL) == []


async def test_a_login_that_was_refused_for_too_many_sessions_stands_against_the_next(desk: Desk) -> None:
    assert {"sessions_policy", "too_many_sessions"}.isdisjoint(codes(await desk.ask(), *Weight))
    await desk.policy(sessions_per_tenant=5, sessions_per_address=2)
    told = text(await desk.ask(), "sessions_policy")
    assert "2 of the tenant from one client address (set by the maildrop), 5 of all the tenant's maildrops" in told
    await desk.tried(4, Why.TOO_MANY_SESSIONS)
    answer = await desk.ask()
    assert "Nothing stands against" not in answer.verdict
    assert f"at {NOW - timedelta(minutes=4):%Y-%m-%d %H:%M:%SZ}" in text(answer, "too_many_sessions")
    assert codes(await desk.ask(client="198.51.100.7"), Weight.DOUBTFUL) == []
    await desk.tried(3)
    assert codes(await desk.ask(), Weight.DOUBTFUL) == []
    await desk.tried(2, Why.TOO_MANY_SESSIONS)
    desk.clock.move(minutes=59)
    assert codes(await desk.ask(), Weight.DOUBTFUL) == []


@pytest.mark.parametrize("why", Why)
async def test_every_refusal_has_words_and_advice(desk: Desk, why: Why) -> None:
    await desk.tried(1, why)
    (told,) = (await desk.ask()).attempts
    assert told.text.startswith("refused: ")
    assert told.advice


async def test_a_reason_that_a_later_release_knows_is_told_plainly(desk: Desk) -> None:
    await desk.tried(1, Why.OTHER, reason="of tomorrow")
    assert "no words yet" in (await desk.ask()).verdict


async def test_what_was_tried_is_told_the_last_first_and_of_one_client_if_it_is_asked_about(
    desk: Desk,
) -> None:
    await desk.tried(9)
    await desk.tried(5, Why.WRONG_SECRET, "198.51.100.7")
    await desk.tried(1, Why.POLICY, "198.51.100.7", detail="the policy does not allow PLAIN")
    answer = await desk.ask()
    assert [told.attempt.reason for told in answer.attempts] == ["policy", "wrong_secret", ""]
    assert "the policy does not allow PLAIN" in answer.verdict
    assert answer.last_login == NOW - timedelta(minutes=9)
    own = await desk.ask(client=HOME)
    assert [told.text for told in own.attempts] == ["logged in"]
    assert "The last login, at" in own.verdict
    assert "nothing_tried" in codes(await desk.ask(client="203.0.113.9"), Weight.NOTE)


async def test_a_full_maildrop_bounces_mail_and_lets_clients_in(desk: Desk) -> None:
    await desk.policy(quota_messages=0)
    answer = await desk.ask()
    assert "mail for it bounces or waits" in text(answer, "over_quota")
    assert codes(answer, Weight.WRONG, Weight.DOUBTFUL) == []


async def test_a_token_that_was_refused_is_not_called_a_password(desk: Desk) -> None:
    await desk.tried(1, Why.WRONG_SECRET, mechanism="OAUTHBEARER", detail="the token has expired")
    (told,) = (await desk.ask()).attempts
    assert told.text == "refused: its token was not accepted (the token has expired)"
    assert "Sign in anew" in told.advice


async def test_a_certificate_that_was_refused_is_not_called_a_password(desk: Desk) -> None:
    await desk.tried(1, Why.WRONG_SECRET, mechanism="EXTERNAL", detail="no credential matches")
    (told,) = (await desk.ask()).attempts
    assert told.text == "refused: its client certificate doesn't have this address"
    assert "password" not in told.advice


@pytest.mark.parametrize(
    ("mechanism", "shown"),
    [("PLAIN", "password"), ("XOAUTH2", "token"), ("OAUTHBEARER", "token"), ("EXTERNAL", "client certificate")],
)
async def test_a_policy_that_refused_names_what_was_right(desk: Desk, mechanism: str, shown: str) -> None:
    detail = f"the policy does not allow {mechanism}"
    await desk.tried(1, Why.POLICY, mechanism=mechanism, detail=detail)
    (told,) = (await desk.ask()).attempts
    assert told.text == f"refused: the {shown} was right, but {detail}"


async def test_a_maildrop_without_a_password_may_be_opened_by_tokens(desk: Desk) -> None:
    await desk.tenancy.credentials.remove(desk.act, ADA, "main")
    await desk.issuer()
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == []
    assert "Tokens of these issuers open it: staff-login." in text(answer, "issuers")


async def test_a_maildrop_without_a_password_may_be_opened_by_client_certificates(desk: Desk) -> None:
    """RFC 4422 appendix A: EXTERNAL."""
    await desk.tenancy.credentials.remove(desk.act, ADA, "main")
    desk.certificates = True
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == []
    assert "client certificates alone open it" in text(answer, "certificates_alone")


async def test_where_no_password_can_be_used_others_may_still_open_the_maildrop(desk: Desk) -> None:
    await desk.tenancy.credentials.set_status(desk.act, ADA, "main", Status.SUSPENDED)
    assert "so nothing can open it: main" in text(await desk.ask(), "no_usable_credential")
    await desk.issuer()
    desk.certificates = True
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == []
    assert codes(answer, Weight.DOUBTFUL) == ["no_usable_credential"]
    assert "so tokens and client certificates alone open it: main" in answer.verdict


@pytest.mark.parametrize(("mechanisms", "code"), [(("PLAIN",), "no_credential"), (("EXTERNAL",), "certificates_alone")])
async def test_what_the_policy_has_no_mechanism_for_opens_nothing(
    desk: Desk, mechanisms: tuple[str, ...], code: str
) -> None:
    await desk.tenancy.credentials.remove(desk.act, ADA, "main")
    await desk.issuer()
    desk.certificates = True
    await desk.policy(mechanisms=mechanisms)
    answer = await desk.ask()
    assert code in codes(answer, Weight.WRONG, Weight.NOTE)
    assert "issuers" not in codes(answer, Weight.GOOD)


async def test_the_name_for_recent_mail_alone_is_the_same_account(desk: Desk) -> None:
    assert (await desk.ask("recent:ada@acme.example")).address == str(ADA)


async def guessed(desk: Desk, times: int, client: str = HOME) -> None:
    """Have somebody at `client` guess Ada's password so often."""
    for _ in range(times):
        with contextlib.suppress(Refusal):
            async with desk.guard.trial(client, Password(str(ADA), uuid4().hex)) as trial:
                await trial.beside(nobody())
                raise Refusal(Reason.CREDENTIALS)


async def nobody() -> None:
    return None


async def test_a_client_that_is_held_back_for_wrong_passwords_is_told_for_what_and_without_numbers(desk: Desk) -> None:
    limits = {Subjects.PAIR: Limit(delay_from=2, refuse_from=4)}
    desk.guard = Guard(MemoryAttempts(desk.clock), Rules(limits), pause=no_pause)
    await guessed(desk, 3)
    assert f"from {HOME} is made to wait now: " in text(await desk.ask(client=HOME), "held_back")
    await guessed(desk, 2)
    answer = await desk.ask(client=HOME)
    assert codes(answer, Weight.WRONG) == ["held_back"]
    told = text(answer, "held_back")
    assert "refused without a look at its password" in told
    assert "for this account from that address" in told
    assert codes(await desk.ask(client="198.51.100.7"), Weight.WRONG) == []
    await desk.tried(1, Why.BLOCKED)
    assert codes(await desk.ask(), Weight.DOUBTFUL) == ["held_back"]


async def no_pause(_seconds: float) -> None:
    """Don't wait."""


@pytest.mark.parametrize(
    ("policy", "code", "told"),
    [
        ({"shown_since": "2026-01-31"}, "shown_since", "from 2026-01-31 on (set by the maildrop)."),
        ({"shown_days": 7}, "shown_days", "in the last 7 days"),
        ({"dele": "keep"}, "dele", "is listed again in its next session"),
        ({"dele": "refuse"}, "dele", "no client can remove anything"),
        ({"dele": "undo", "undo_days": 9}, "dele", "can be restored for 9 days"),
        ({"retrieved_days": 0}, "retrieved_days", "is removed when it quits"),
        ({"expire_days": 30}, "expire_days", "removed 30 days after it came"),
        ({"octets_per_day": 100}, "octets_per_day", "may retrieve 100 octets of messages in 24 hours"),
        ({"retrieved_days": 14}, "retrieved_days", "is removed 14 days later"),
    ],
)
async def test_what_the_policy_makes_of_the_mail_is_told(
    desk: Desk, policy: dict[str, PolicyValue], code: str, told: str
) -> None:
    """RFC 1939 §5: what DELE and RETR come to."""
    assert code not in codes(await desk.ask(), Weight.NOTE)
    await desk.policy(**policy)
    assert told in text(await desk.ask(), code)


async def test_a_login_that_sees_the_last_days_is_explained_as_the_maildrops(desk: Desk) -> None:
    answer = await desk.ask(f"recent:{ADA}")
    assert (answer.address, codes(answer, Weight.WRONG)) == (str(ADA), [])
    assert "the last 30 days alone (set by the default)" in text(answer, "recent_days")
    await desk.policy(recent_days=None)
    assert codes(await desk.ask(f"recent:{ADA}"), Weight.WRONG) == ["recent_off"]
    assert codes(await desk.ask(), Weight.WRONG) == []


async def test_an_outside_directory_is_named_as_the_judge_of_passwords(desk: Desk) -> None:
    await desk.tenancy.credentials.remove(desk.act, ADA, "main")
    await desk.tenancy.directories.choose(desk.act, "ldap-north")
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == []
    assert "judged by the outside directory ldap-north" in text(answer, "directory")
    await desk.tenancy.directories.choose(desk.act, "own")
    assert codes(await desk.ask(), Weight.WRONG) == ["no_credential"]


async def test_without_redis_the_answer_is_poorer_and_says_so(desk: Desk) -> None:
    desk.recent = Away(desk.clock, desk.locks)
    await desk.tenancy.tenants.set_status(desk.act, Status.SUSPENDED)
    answer = await desk.ask()
    assert codes(answer, Weight.WRONG) == ["tenant_suspended"]
    assert "Redis doesn't answer" in text(answer, "no_register")
    await desk.tenancy.tenants.set_status(desk.act, Status.ACTIVE)
    assert (await desk.ask()).verdict.endswith("What was tried lately can't be seen now.")


async def test_g10_a_tenant_is_told_nothing_of_anothers_names(desk: Desk) -> None:
    for address in (str(ADA), "adda@acme.example", "x@nowhere.example"):
        with pytest.raises(Refusal) as refused:
            await desk.ask(address, tenant="other")
        assert refused.value.reason is Reason.NOT_FOUND
    assert (await desk.ask(tenant="acme")).tenant == "acme"


async def test_g10_what_was_tried_while_a_domain_was_anothers_is_not_told(desk: Desk) -> None:
    """By a client that has tried since as well, the last time alone is told, and not how often it came before."""
    for client in ("192.0.2.7", HOME, HOME):
        await desk.guessed("boss@acme.example", datetime.now(UTC), client)
    await desk.tenancy.domains.remove(desk.act, "acme.example", cascade=True)
    await desk.tenancy.domains.create(Act("tester", "other"), "acme.example")
    assert (await desk.ask("boss@acme.example", tenant="other")).attempts == []
    since = datetime.now(UTC)
    for _ in range(2):
        await desk.guessed("boss@acme.example", since)
        (told,) = (await desk.ask("boss@acme.example", tenant="other")).attempts
        assert (told.attempt.client, told.attempt.first, told.attempt.count) == (HOME, since, 1)


async def test_of_a_large_domain_likely_names_are_sought_among_those_with_the_same_beginning(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.mail.explaining.facts.NEIGHBOURS", 3)
    for local in ("aa", "ab", "ac", "zoe", "zora"):
        await desk.tenancy.maildrops.create(desk.act, parse_address(f"{local}@acme.example"), {})
    assert "zora@acme.example" in text(await desk.ask("zorra@acme.example"), "no_maildrop")
