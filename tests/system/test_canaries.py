"""G17: secrets that are like no other text are used everywhere, right and wrong, in health and in every outage; then
whatever Poplar wrote, answered and stored is searched for them, in the codes they may have been turned into.

One installation of real programs, at the log level `debug`. Not looked at: the environment of a process, in which a
deployment may hand secrets on purpose and which its own user alone can read, and what is told by design: the hook gets
a password, an issuer its client's secret, a client its mail, and who makes an app password or a token its text.
RFC 6750 §5.3, RFC 4954 §9 of what is logged, by analogy.
"""

import asyncio
import json
import os
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import run
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest
import redis
import yaml

from tests.backends.issuer import AUDIENCE, CLIENT
from tests.cli.conftest import Command, await_true
from tests.faults.own_postgres import OwnPostgres, own_postgres
from tests.faults.site import ended
from tests.protocol.pop3.test_token_session import line, message
from tests.protocol.sasl.scram_client import ScramClient
from tests.system.canaries import Canaries, leaks
from tests.system.canary_house import HOOKED, House, end_postgres, house_in
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import answered, dialled, hand_in

__all__ = ["own_postgres"]
# Some twenty commands and a hundred sessions, in one fixture.
pytestmark = pytest.mark.timeout(300)

ADA, BOB = "ada@acme.example", "bob@acme.example"
PROGRAMS = {"front": "serve", "lmtp": "lmtp", "api": "api"}
AS_ADDRESS = "password typed into an address"
"""What has an address's form may be a name: Redis counts its failures by it for some hours, for staff to see."""


class Visitor:
    """A client of the front end, who ends each connection."""

    def __init__(self, house: House, listener: str = "pop3") -> None:
        self._house = house
        self._listener = listener

    def says(self, *lines: bytes) -> list[bytes]:
        """The first line of each answer; fewer where the connection ends."""
        wire = dialled(self._house.site.place("front", self._listener))
        try:
            answers = [answer for each in lines if (answer := wire.say(each))]
        except OSError:
            answers = [b"the connection ended"]
        with suppress(OSError):
            # The maildrop is free once QUIT is answered.
            wire.say(b"QUIT")
        wire.close()
        return answers

    def tries(self, name: str, password: str) -> list[bytes]:
        """Every way to log in that sends a password, each in a session of its own; the last answer of each."""
        plain = b64encode(f"\0{name}\0{password}".encode())
        halves = [b64encode(each.encode()) for each in (name, password)]
        ways = [
            (b"USER " + name.encode(), b"PASS " + password.encode()),
            (b"AUTH PLAIN " + plain,),
            (b"AUTH PLAIN", plain),
            (b"AUTH LOGIN", *halves),
        ]
        return [self.says(*way)[-1] for way in ways]

    def scrams(self, name: str, password: str) -> bytes:
        client = ScramClient(name=name.replace("=", "=3D").replace(",", "=2C"), password=password)
        wire = dialled(self._house.site.place("front", self._listener))
        try:
            first = wire.say(b"AUTH SCRAM-SHA-256 " + b64encode(client.first))
            if not first.startswith(b"+ "):
                return first
            final = client.final(_decoded(first))
            self._house.canaries.known(f"proof {final.hex()}", final.decode().rpartition(",p=")[2])
            last = wire.say(b64encode(final))
            answer = wire.say(b"") if last.startswith(b"+ ") else last
            wire.say(b"QUIT")
            return answer
        finally:
            wire.close()

    def shows(self, name: str, token: str) -> list[bytes]:
        """Both ways to log in by a token."""
        said = [
            self.says(f"AUTH {way} ".encode() + line(message(way, token, name))[:-2], b"AQ==")
            for way in ("OAUTHBEARER", "XOAUTH2")
        ]
        return [each[0] if each[0].startswith(b"+OK") else each[-1] for each in said]


def _decoded(challenge: bytes) -> bytes:
    from base64 import b64decode

    return b64decode(challenge[2:])


class Desk:
    """The API, as one caller; each answer is kept."""

    def __init__(self, house: House, token: str) -> None:
        self._house = house
        base = next(each["http"] for each in house.site.log("api") if each["event"] == "serving")
        self._client = httpx.Client(base_url=f"{base}/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def ask(self, method: str, path: str, *, kept: bool = True, **more: Any) -> httpx.Response:
        response = self._client.request(method, path, **more)
        if kept:
            name = f"API, {len(self._house.answers)}: {method} {path.partition('?')[0][:60]}"
            head = "\n".join(f"{key}: {value}" for key, value in response.headers.items())
            self._house.answers[name] = head.encode() + response.content
        return response

    def does(self, method: str, path: str, **more: Any) -> Any:
        response = self.ask(method, path, **more)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def close(self) -> None:
        self._client.close()


def poplar(house: House, *words: str, told: str = "", kept: bool = True, config: Path | None = None) -> str:
    """What a command prints, which is kept."""
    path = config or house.site.folder / "api" / "poplar.yaml"
    command = [sys.executable, "-m", "service", "--config", str(path), *words]
    done = run(command, input=told, capture_output=True, text=True, check=False, timeout=100)
    if kept:
        house.answers[f"poplar, {len(house.answers)}: {' '.join(words)[:60]}"] = (done.stdout + done.stderr).encode()
    return done.stdout


@pytest.fixture(scope="module")
def house(own_postgres: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The installation after all that this module's first lines say was done to it."""
    with house_in(tmp_path_factory.mktemp("canaries"), own_postgres) as house, ExitStack() as stack:
        for name, verb in PROGRAMS.items():
            house.site.run(name, verb)
        start_sweep(house)
        made = json.loads(poplar(house, "token", "create", "all", "--scope", "full", "--json", kept=False))
        desk = Desk(house, house.canaries.known("token of the API", made["token"]))
        stack.callback(desk.close)
        furnish(house, desk)
        use(house)
        misuse(house, desk)
        look(house, desk)
        gather(house, "in health")
        break_one_by_one(house, desk)
        gather(house, "in outage")
        yield house


def start_sweep(house: House) -> None:
    config, folder = house.site.folder / "api" / "poplar.yaml", house.site.folder / "sweep"
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POPLAR_")}
    house.site.commands["sweep"] = Command(["--config", str(config), "sweep", "--loop"], environment, folder)
    house.site.stack.callback(ended, house.site.commands["sweep"])
    house.site.commands["sweep"].await_said('"event":"sweeping"')


def furnish(house: House, desk: Desk) -> None:
    """A tenant with a maildrop and each kind of credential; and one whose users a hook keeps."""
    new = house.canaries.new
    for tenant, domain in (("acme", "acme.example"), ("hooked", "hooked.example")):
        desk.does("PUT", f"/tenants/{tenant}", json={})
        desk.does("PUT", f"/tenants/{tenant}/domains/{domain}", json={})
    desk.does("PUT", "/tenants/hooked/directory", json={"directory": "provider"})
    maildrop = f"/tenants/acme/maildrops/{ADA}"
    desk.does("PUT", maildrop, json={})
    desk.does("PUT", f"{maildrop}/credentials/main", json={"password": new("password")})
    desk.does("PUT", f"{maildrop}/credentials/main", json={"password": new("password, changed")})
    poplar(house, "credential", "create", ADA, "--label", "typed", "--password-stdin", told=new("typed") + "\n")
    desk.does("PUT", f"/tenants/acme/maildrops/{BOB}", json={})
    scrams = {"password": new("password for SCRAM", between="-")}
    desk.does("PUT", f"/tenants/acme/maildrops/{BOB}/credentials/main", json=scrams)
    app = desk.ask("POST", f"{maildrop}/credentials", json={"label": "phone", "kind": "app"}, kept=False)
    if app.is_success:
        house.canaries.known("app password", app.json()["password"])
    terms = {"url": house.issuer.url, "audiences": [AUDIENCE], "client_id": CLIENT}
    desk.does("PUT", "/tenants/acme/issuers/keys", json=terms)
    secret = house.canaries.texts["client secret at the issuer"]
    asked = terms | {"method": "introspection", "client_secret": secret}
    desk.does("PUT", "/tenants/acme/issuers/asked", json=asked)
    admin = desk.ask("POST", "/tokens", json={"name": "admin", "scope": "tenant", "tenant": "acme"}, kept=False)
    house.canaries.known("token of a tenant's admin", admin.json()["token"])


def use(house: House) -> None:
    """Mail comes and is read, by each way to log in; and somebody says nothing at all, which is a line at `debug`."""
    dialled(house.site.place("front", "pop3")).close()
    texts, visitor = house.canaries.texts, Visitor(house)
    letter = f"From: a@b.example\r\nSubject: {house.canaries.new('subject')}\r\n\r\n{house.canaries.new('text')}\r\n"
    wire = dialled(house.site.place("lmtp", "lmtp"))
    answered(wire, b"LHLO clients.example", b"250")
    for recipient in (ADA, HOOKED):
        hand_in(wire, recipient, Handed("canary", letter.encode(), letter.encode()))
    wire.close()
    for name in ("password, changed", "typed"):
        answers = visitor.tries(ADA, texts[name])
        assert all(answer.startswith(b"+OK") for answer in answers), (name, answers)
    # Of several passwords SCRAM would take one.
    assert visitor.scrams(BOB, texts["password for SCRAM"]).startswith(b"+OK")
    if "app password" in texts:
        assert visitor.says(b"USER " + ADA.encode(), b"PASS " + texts["app password"].encode())[-1].startswith(b"+OK")
    hooked = texts["password of a user whom the hook keeps"].encode()
    assert visitor.says(b"USER " + HOOKED.encode(), b"PASS " + hooked, b"TOP 1 5")[1].startswith(b"+OK")
    await_true(lambda: b"OAUTHBEARER" in b"".join(listed(house)), "tokens to be offered")
    token = house.canaries.known("token of a user", house.issuer.token(email=ADA, jti=house.canaries.new("token's id")))
    assert all(answer.startswith(b"+OK") for answer in visitor.shows(ADA, token))
    opaque = house.canaries.new("token that says nothing", between=".")
    house.issuer.opaque[opaque] = {"aud": AUDIENCE, "email": ADA, "email_verified": True}
    assert all(answer.startswith(b"+OK") for answer in visitor.shows(ADA, opaque))
    session = (b"USER " + ADA.encode(), b"PASS " + texts["typed"].encode(), b"RETR 1", b"DELE 1", b"QUIT")
    assert visitor.says(*session)[1].startswith(b"+OK")


def listed(house: House) -> Iterator[bytes]:
    wire = dialled(house.site.place("front", "pop3"))
    wire.say(b"CAPA")
    yield wire.multi_line()
    wire.close()


def look(house: House, desk: Desk) -> None:
    """All that staff can look at."""
    maildrop = f"/tenants/acme/maildrops/{ADA}"
    for path in (
        "/openapi.json",
        "/audit",
        "/tokens",
        "/sessions",
        "/blocks",
        "/tenants/acme/audit",
        "/tenants/acme/issuers",
        "/tenants/acme/issuers/asked",
        maildrop,
        f"{maildrop}/credentials",
        f"{maildrop}/explanation?client=127.0.0.1",
        f"{maildrop}/removed",
    ):
        desk.ask("GET", path)
    for words in (
        ("settings", "--explain"),
        ("doctor",),
        ("maildrop", "explain", ADA),
    ):
        poplar(house, *words)


def misuse(house: House, desk: Desk) -> None:
    """Secrets that are wrong, in the wrong place, cut short, or in what nobody understands."""
    new, visitor = house.canaries.new, Visitor(house)
    for name in (ADA, HOOKED, "nobody@acme.example", "nobody@nowhere.example"):
        assert all(answer.startswith(b"-ERR") for answer in visitor.tries(name, new(f"wrong password of {name}")))
        visitor.scrams(name, new(f"wrong password by SCRAM of {name}"))
        visitor.shows(name, house.issuer.token(email="eve@evil.example", jti=new(f"wrong token of {name}")))
        visitor.shows(name, new(f"no token of {name}", between="."))
    # People type passwords into the wrong field.
    for shape in ("{}", "{}@acme.example", "ada@{}.example", "ada+{}@acme.example"):
        typed = new(f"{AS_ADDRESS if '@' in shape else 'password typed as a name'} {shape}", between="-")
        visitor.tries(shape.format(typed), new(f"password of a password, {shape}"))
        visitor.scrams(shape.format(typed), new(f"password of a password by SCRAM, {shape}"))
    clear = Visitor(house, "clear")
    clear.says(b"USER " + ADA.encode(), b"PASS " + new("password said in clear").encode())
    clear.says(b"AUTH PLAIN " + b64encode(f"\0{ADA}\0{new('password said in clear by PLAIN')}".encode()))
    secret = new("password said as a command", between=" ").encode()
    visitor.says(
        secret, b"PASS " + secret, b"APOP x " + secret, b"AUTH " + secret, b"AUTH PLAIN " + secret, secret * 40
    )
    visitor.says(b"USER x", b"PASS " + secret * 40, b"\0" + secret, b"\x1b[2J" + secret)
    bad_requests(house, desk)
    bad_settings(house)


def bad_requests(house: House, desk: Desk) -> None:
    new, maildrop = house.canaries.new, f"/tenants/acme/maildrops/{ADA}"
    secret = new("password in a request that is refused")
    for body in (
        {"password": secret, "colour": secret},
        {"password": [secret]},
        {"password": secret, "expires": secret},
        secret,
    ):
        desk.ask("PUT", f"{maildrop}/credentials/main", json=body)
    desk.ask("PUT", f"{maildrop}/credentials/main", content=json.dumps({"password": secret})[:-3])
    desk.ask("PUT", "/tenants/acme/maildrops/nobody@acme.example/credentials/main", json={"password": secret})
    desk.ask("PUT", f"{maildrop}/credentials/main", json={"verifier": f"{{PLAIN}}{secret}"})
    desk.ask("PUT", "/tenants/acme/issuers/asked", json={"url": "no URL", "audiences": [], "client_secret": secret})
    for header in (f"Bearer {secret[:14]}", f"Basic {urlsafe_b64encode(secret.encode()).decode()}", secret[:14]):
        desk.ask("GET", "/tenants", headers={"Authorization": header})


def bad_settings(house: House) -> None:
    """Settings that can't be right, each with a secret in it."""
    new, path = house.canaries.new, house.site.folder / "bad.yaml"
    parts: list[dict[str, Any]] = [
        {"redis": {"url": f"rodis://:{quote(new('password of a wrong URL'), safe='')}@h"}},
        {"database": {"url": f"postgresql://u:{quote(new('password of a URL with a wrong port'), safe='')}@h:x/d"}},
        {"object_store": {"secret_key": new("key without the other")}},
        {"hashing": {"scram_secret": [new("secret that is no text")]}},
        {"hashing": {"scram_secret": new("short secret", between="")[:28], "scram_sekret": new("under a wrong name")}},
    ]
    for part in parts:
        path.write_text(yaml.safe_dump(house.site.values | part), "utf-8")
        poplar(house, "settings", "--explain", config=path)
    broken = f"redis:\n  url: [redis://:{new('password in what is no YAML', between='-')}@h\n  x: y: z"
    path.write_text(broken, "utf-8")
    poplar(house, "settings", "--explain", config=path)


def break_one_by_one(house: House, desk: Desk) -> None:
    """Each system away or talking nonsense, and a login, a delivery and a request meanwhile."""
    house.hook.say = lambda _asked: b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n"
    house.issuer.answers |= {path: (500, b"{", {}) for path in ("/introspect", "/jwks")}
    house.webhook.answer = 500
    go_on(house, desk, "hook, issuer and webhook fail")
    house.valkey.kill()
    go_on(house, desk, "Redis is away")
    house.objects.end()
    go_on(house, desk, "the object store is away")
    end_postgres(house)
    go_on(house, desk, "Postgres is away")
    poplar(house, "doctor")
    poplar(house, "migrate")


def go_on(house: House, desk: Desk, while_: str) -> None:
    texts, new, visitor = house.canaries.texts, house.canaries.new, Visitor(house)
    visitor.says(b"USER " + ADA.encode(), b"PASS " + texts["typed"].encode(), b"RETR 1", b"STAT", b"QUIT")
    visitor.says(
        b"USER " + HOOKED.encode(), b"PASS " + texts["password of a user whom the hook keeps"].encode(), b"RETR 1"
    )
    visitor.says(b"AUTH PLAIN " + b64encode(f"\0{ADA}\0{new(f'wrong password while {while_}')}".encode()))
    visitor.scrams(ADA, new(f"wrong password by SCRAM while {while_}"))
    visitor.shows(ADA, house.issuer.token(email=ADA, jti=new(f"token while {while_}")))
    visitor.shows(ADA, new(f"token to ask about while {while_}", between="."))
    desk.ask("GET", f"/tenants/acme/maildrops/{ADA}/explanation")
    password = {"password": new(f"password set while {while_}")}
    desk.ask("PUT", f"/tenants/acme/maildrops/{ADA}/credentials/main", json=password)
    letter = f"Subject: {new(f'subject while {while_}')}\r\n\r\n{new(f'text while {while_}')}\r\n".encode()
    with suppress(AssertionError, OSError):
        wire = dialled(house.site.place("lmtp", "lmtp"))
        answered(wire, b"LHLO clients.example", b"250")
        hand_in(wire, ADA, Handed("canary", letter, letter))


def gather(house: House, when: str) -> None:
    """What can be looked at of running programs."""
    for name, command in house.site.commands.items():
        base = next(each["http"] for each in house.site.log(name) if each["event"] in ("serving", "sweeping"))
        house.answers[f"metrics of {name} {when}"] = httpx.get(f"{base}/metrics", timeout=60).content
        process = Path("/proc") / str(command.process.pid)
        for part in ("cmdline", "comm"):
            house.answers[f"{part} of {name} {when}"] = (process / part).read_bytes()
    if when == "in health":
        house.answers["Redis"] = redis_content(house.site.values["redis"]["url"])
        house.answers["Postgres"] = asyncio.run(postgres_content(house.postgres.server.dsn()))


def redis_content(url: str) -> bytes:
    """Every key and what stands under it."""
    by_type: Mapping[bytes, Callable[[Any, bytes], object]] = {
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    }
    with redis.Redis.from_url(url) as client:
        found = [(key, by_type[client.type(key)](client, key)) for key in client.scan_iter()]
    # The repr of octets has those that are ASCII as they are.
    return repr(found).encode()


async def postgres_content(dsn: str) -> bytes:
    """Every row, as who reads a backup sees it; without the client's secret, which must be sent and is kept so."""
    connection = await asyncpg.connect(dsn)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    texts = []
    for (name,) in map(tuple, tables):
        rows = await connection.fetch(f"SELECT to_jsonb(t) - 'client_secret' FROM \"{name}\" t")  # noqa: S608
        texts += [f"{name}: {row[0]}" for row in rows]
    await connection.close()
    return "\n".join(texts).encode()


def outputs(house: House) -> dict[str, bytes]:
    logs = {f"log of {name}": command.log.read_bytes() for name, command in house.site.commands.items()}
    webhook = {"events by webhook": json.dumps(house.webhook.bodies).encode()}
    traces = {"traces": b"\n".join(house.collector.bodies)}
    return logs | webhook | traces | {"event file": house.events.read_bytes()} | house.answers


def test_no_output_holds_a_secret(house: House) -> None:
    found = leaks(house.canaries, outputs(house))
    known = [name for name in found.pop("Redis", []) if not name.startswith(AS_ADDRESS)]
    assert (found, known) == ({}, [])


def test_the_outputs_are_those_of_what_was_done(house: House) -> None:
    """Or nothing would be proved: each tells of something that was done, and all systems were seen to fail."""
    told = outputs(house)
    assert "acme" in {fact for span in house.collector.spans for fact in span.facts.values()}
    for name in ("log of front", "event file", "events by webhook", "Postgres", "Redis"):
        assert ADA.encode() in told[name], name
    assert b'"level":"debug"' in told["log of front"]
    for system in ("directory provider", "oidc", "the shared counters", "objects", "postgres"):
        assert system.encode() in told["log of front"].lower(), system
    assert any(b"422" in text or b"not as it must be" in text for text in told.values())
    assert any(b"service unavailable" in text for text in house.answers.values())
    assert len(house.canaries.texts) > 60


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.encode(),
        lambda text: text.encode().hex().encode(),
        lambda text: quote(text, safe="").encode(),
        lambda text: json.dumps({"cause": text}).encode(),
        lambda text: repr(text.encode()).encode(),
        lambda text: b64encode(text.encode()),
        lambda text: urlsafe_b64encode(b"\0ada@acme.example\0" + text.encode()),
        lambda text: b64encode(b"\0a\0" + text.encode()),
        lambda text: b64encode(b"\0ab\0" + text.encode()),
        lambda text: text.rpartition("@")[2].encode(),
        lambda text: text.upper().encode(),
    ],
)
def test_the_search_finds_a_secret_however_it_is_written(written: Callable[[str], bytes]) -> None:
    canaries = Canaries()
    text = canaries.new("password")
    canaries.new("another")
    assert canaries.found_in(b"before " + written(text) + b" after") == ["password"]
    assert canaries.found_in(b"before and after") == []
