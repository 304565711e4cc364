"""Everything that reads what strangers wrote, each as a function of octets, and what it is fed first.

Owns which errors a reader may answer with; any other exception, and any that takes a reader apart, is a defect. Refuses
to know where inputs come from: `test_corpus.py` replays those that are kept, `growing.py` invents more.
"""

import io
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from service.admin.issuers import IssuerForm
from service.admin.policies import PolicyValues
from service.cli.applying.documents import DeclarationError, documents
from service.cli.bulk.lists import Reading
from service.mail.claims import Moment, judged
from service.mail.mbox import Mbox
from service.model.account import Status
from service.model.address import parse_address, parse_domain
from service.model.app_password import parse_app_password
from service.model.issuer import IssuerTerms, Method, NewIssuer, check_issuer
from service.model.policy_table import check_policy
from service.model.refusal import Refusal
from service.model.tenancy import NewCredential
from service.model.token import parse_token
from service.protocol.proxy import ProxyError, octets_wanted, parse
from service.protocol.sasl.exchange import Challenge, Fetch
from service.protocol.sasl.mechanisms import MECHANISMS
from service.settings import SettingsError
from service.settings.explaining import masked_url
from service.settings.files import read_file
from service.stores.directories.http_hook import HookOptions, HttpHook
from service.stores.oidc.signatures import check_header, fitting, parsed, read_keys, verified
from service.stores.redis.urls import parse_target
from service.telemetry.behind_balancers import Preface
from service.telemetry.cleaning import scrubbed
from tests.protocol.lmtp.world import World as LmtpWorld
from tests.protocol.pop3.world import ALL, CLEAR, KEYS, World

ADA = "ada@acme.example"
TERMS = IssuerTerms("https://id.example", ("poplar",), algorithms=("RS256", "ES256", "EdDSA"))
HOOK = HttpHook("provider", HookOptions("https://hook.example/", b"secret"))
MOMENT = Moment(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=30))


@dataclass(frozen=True)
class Reader:
    """`read` takes any octets and answers, or raises one of `refuses`."""

    read: Callable[[bytes], object]
    seeds: Sequence[bytes]
    refuses: tuple[type[Exception], ...] = ()
    words: Sequence[bytes] = ()
    """What its inputs are made of, for mutations."""

    def survives(self, octets: bytes) -> None:
        """Read; raises whatever a reader may not raise."""
        try:
            self.read(octets)
        except self.refuses:
            return


def pop3(octets: bytes) -> None:
    """The first octet chooses the connection; the rest comes whole, and then in two pieces."""
    around = (ALL, CLEAR)[octets[:1] == b"c"]
    whole, cut = World(around), World(around)
    half = len(octets) // 2
    read = whole.send(octets[1:])
    # What STLS drops depends on what came in one piece with it.
    assert b"STLS" in octets.upper() or cut.send(octets[1:half]) + cut.send(octets[max(half, 1) :]) == read


def sasl(octets: bytes) -> None:
    """The first octet chooses the mechanism; lines are the client's responses."""
    names = sorted(MECHANISMS)
    exchange = MECHANISMS[names[(octets or b"\0")[0] % len(names)]].begin(ALL.outside)
    for response in octets[1:].split(b"\n"):
        move = exchange.respond(response)
        if isinstance(move, Fetch):
            move = move.resume(KEYS, "nonce")
        if not isinstance(move, Challenge):
            return


def proxy(octets: bytes) -> None:
    """As a listener reads it, exactly as far as it asks; and as the ops port does."""
    Preface().feed(octets)
    end = 0
    while wanted := octets_wanted(octets[:end]):
        end += wanted
        if len(octets) < end:
            return
    parse(octets[:end])


def lmtp(octets: bytes) -> None:
    whole, cut = LmtpWorld(), LmtpWorld()
    whole.play(octets)
    cut.play(*(octets[at : at + 7] for at in range(0, len(octets), 7)))
    if b"STARTTLS" not in octets.upper():
        assert (whole.output, whole.delivered) == (cut.output, cut.delivered)


def policy(octets: bytes) -> None:
    PolicyValues.model_validate_json(octets)
    values: dict[str, Any] = json.loads(octets)
    check_policy({name: tuple(each) if isinstance(each, list) else each for name, each in values.items()})


def issuer(octets: bytes) -> None:
    form = IssuerForm.model_validate_json(octets)
    check_issuer(NewIssuer("name", form.terms, Status.ACTIVE, "secret"))


def token(octets: bytes) -> None:
    """A line of keys in JSON, then a token that anybody may have made."""
    document, _, text = octets.partition(b"\n")
    said = parsed(text.decode())
    if said is not None:
        try:
            judged(TERMS, said.claims, MOMENT)
        except Refusal:
            judged(IssuerTerms(TERMS.url, TERMS.audiences, Method.INTROSPECTION), said.claims, MOMENT)
        check_header(said, TERMS.algorithms)
    told = json.loads(document)
    keys = read_keys(told if isinstance(told, dict) else None)
    if said is not None:
        verified(text.decode(), fitting(keys, said) or keys, said.algorithm)


def claims(octets: bytes) -> None:
    told = json.loads(octets)
    if isinstance(told, dict):
        judged(TERMS, told, MOMENT)


def csv(octets: bytes) -> None:
    """What is wrong with a line never ends the reading of others."""
    for entry in Reading(lambda verifier, label: NewCredential(label, "password", verifier), "main").entries(
        io.BytesIO(octets)
    ):
        assert entry.line > 1
        assert entry.text.isprintable()


def yaml(octets: bytes) -> None:
    """What `poplar apply` reads, and what settings are read from."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tenants.yaml"
        path.write_bytes(octets)
        with suppress(SettingsError):
            read_file(path)
        for document in documents([path]):
            document.where(("tenants",))


def mbox(octets: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mbox"
        path.write_bytes(octets)
        for message in Mbox(path).messages():
            for _ in message.pieces():
                pass


def names(octets: bytes) -> None:
    """One line for each reader of names."""
    for read in (parse_address, parse_domain, parse_token, parse_app_password):
        try:
            read(octets.decode())
        except (ValueError, Refusal):
            continue


def urls(octets: bytes) -> None:
    """What settings hold, and what a log may not show of it."""
    text = octets.decode("utf-8", "replace")
    scrubbed(text)
    for read in (masked_url, parse_target):
        try:
            read(text)
        except ValueError:
            continue


def hook(octets: bytes) -> None:
    HOOK._answer(octets, "x")


def _in_base64(text: str) -> bytes:
    return b64encode(text.encode())


POP3_SEEDS = [
    b"aUSER user@example.org\r\nPASS good pass\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\n"
    b"TOP 1 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n",
    b"aCAPA\r\nAUTH\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH LOGIN\r\nYQ==\r\nYQ==\r\nNOOP\r\n",
    b"aAUTH SCRAM-SHA-256 "
    + _in_base64("n,,n=user,r=abc")
    + b"\r\n"
    + _in_base64("c=biws,r=abcnonce,p=AAAA")
    + b"\r\n\r\n",
    b"aAUTH XOAUTH2 " + _in_base64("user=user@example.org\1auth=Bearer good.token\1\1") + b"\r\nUTF8\r\nQUIT\r\n",
    b"cUSER x\r\nSTLS\r\nPASS y\r\nAPOP x y\r\n",
]
SASL_SEEDS = [
    bytes([number]) + text
    for number in range(len(MECHANISMS))
    for text in (
        b"\0user\0pass",
        b"n,a=user@example.org,\1host=pop.example.org\1port=995\1auth=Bearer good.token\1\1\n\1",
        b"user=user\1auth=Bearer abc\1\1\n",
        b"n,,n=user,r=abc\nc=biws,r=abcnonce,p=AAAA\n",
        b"p=tls-server-end-point,,n=us=2Cer,r=abc,x=y\nc=biws,r=abcnonce,p=AAAA\n",
    )
]
PROXY_SEEDS = [
    b"PROXY TCP4 203.0.113.7 192.0.2.9 40000 995\r\n",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x09\x9c\x40\x03\xe3",
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20\xcb\0\x71\x07\xc0\0\x02\x09\x9c\x40\x03\xe3\x20\0\x11\x01\0\0\0\0\x21\0\x07TLSv1.3\x02\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(36),
]
LMTP_SEEDS = [
    b"LHLO x\r\nMAIL FROM:<a@b.example> SIZE=9 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<u@d.example>\r\n"
    b"DATA\r\n.a\r\n..\r\n.\r\nQUIT\r\n",
    b'LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<"a b"@d.example>\r\nRCPT TO:<@r.example:u@d.example>\r\n'
    b"BDAT 3\r\nabcBDAT 0 LAST\r\n",
    b"HELO x\r\nSTARTTLS\r\nVRFY x\r\nRSET\r\nNOOP\r\n",
    b"LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nDATA\r\nSubject: =?utf-8?B?w6Q=?=\r\n X: y\r\n"
    b"Content-Type:"
    b' multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\n--x--\r\n.\r\n',
]
KEY_SET = json.dumps(
    {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "1"}, {"kty": "RSA", "n": 1}]}
)
TOKEN_SEEDS = [
    f"{KEY_SET}\n{head}.{body}.{tail}".encode()
    for head, body, tail in [
        ("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ", "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUifQ", "AAAA"),
        ("eyJhbGciOiJub25lIn0", "e30", ""),
        ("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9", "eyJleHAiOjFlNDAwfQ", "AA"),
    ]
]
CLAIMS = {"iss": "https://id.example", "aud": ["poplar"], "exp": 1767225700, "nbf": 1, "iat": 1, "email": ADA}

READERS: Mapping[str, Reader] = {
    "pop3": Reader(pop3, POP3_SEEDS, (), [b"AUTH ", b"\r\n", b"USER ", b"PASS ", b"TOP 1 ", b"99999999999999999999"]),
    "sasl": Reader(sasl, SASL_SEEDS, (), [b"\0", b"\1", b",", b"=2C", b"n,,", b"p=", b"auth=Bearer ", b"\xc2\xad"]),
    "proxy": Reader(proxy, PROXY_SEEDS, (ProxyError,), [b"PROXY ", b"TCP4 ", b"TCP6 ", b"\r\n", b"\x20\0\x05", b"::"]),
    "lmtp": Reader(lmtp, LMTP_SEEDS, (), [b"\r\n", b".\r\n", b"BDAT 2\r\n", b" LAST", b"RCPT TO:<", b">", b"SIZE="]),
    "policy": Reader(
        policy,
        [
            b'{"login_delay": 60, "mechanisms": ["PLAIN"], "networks": ["10.0.0.0/8"], "shown_since": "2026-01-01"}',
            b"{}",
        ],
        (ValueError,),
        [b"null", b"[", b"{", b'"dele"', b'"keep"', b"1e999", b"-1", b'"::/0"', b"9" * 30],
    ),
    "issuer": Reader(
        issuer,
        [b'{"url": "https://id.example", "audiences": ["a"], "method": "introspection", "client_id": "x"}'],
        (ValidationError, ValueError),
        [b'"jwks_uri"', b'"https://[::1]:1/"', b'"http://localhost"', b"@", b"#", b"?", b"%00"],
    ),
    "token": Reader(
        token,
        TOKEN_SEEDS,
        (Refusal, ValueError, RecursionError),
        [b".", b"eyJ", b'"kty"', b'"OKP"', b'"Ed25519"', b'"crv"', b'"x"', b"[", b"{}", b'"oct"', b'"k"', b'"d"'],
    ),
    "claims": Reader(
        claims,
        [json.dumps(CLAIMS).encode(), b'{"exp": 253402300799, "iss": "https://id.example", "aud": "poplar"}'],
        (Refusal, ValueError, RecursionError),
        [b"1e308", b"-62135596800", b"9" * 400, b'"cnf"', b'"scope"', b"[]", b"NaN", b"true", b'"email_verified"'],
    ),
    "csv": Reader(
        csv,
        [
            b'address,password,status,aliases,login_delay\nada@acme.example,"a, b",active,'
            b"x@acme.example;y@acme.example,60\n"
        ],
        (Refusal,),
        [b'"', b",", b"\n", b"suspended", b"\xef\xbb\xbf", b"networks", b"\r", b"\0"],
    ),
    "yaml": Reader(
        yaml,
        [
            b"tenants:\n  acme:\n    domains: [acme.example]\n"
            b"    maildrops: &a\n      ada@acme.example: {password_file: x}\n---\n*a\n"
        ],
        (DeclarationError,),
        [
            b"&a ",
            b"*a",
            b"!!python/object:os.system",
            b"{",
            b"[",
            b": ",
            b"- ",
            b"? ",
            b"<<: ",
            b"2026-13-99",
            b"!!int ",
        ],
    ),
    "mbox": Reader(
        mbox,
        [
            b"From a@b Thu Jan  1 00:00:00 2026\nSubject: x\nX-UIDL: abc\n\n>From y\n\n"
            b"From c@d Thu Jan  1 00:00:01 2026\n\nz\n"
        ],
        (Refusal,),
        [b"\nFrom ", b"\n\n", b"X-UIDL: ", b"\r\n", b">From "],
    ),
    "names": Reader(
        names, [b"ada+x@acme.example", b"poplar_AAAA", "ä@xn--a.example".encode()], (ValueError,), [b"@", b".", b"+"]
    ),
    "urls": Reader(
        urls,
        [
            b"redis://u:p@h:1/0?ssl_ca_certs=x",
            b"redis+sentinel://h,[::1]:2/mymaster/0",
            b"postgresql://u:p@h/d?password=x",
        ],
        (),
        [b"://", b"@", b":", b"[", b"]", b"%", b"?password=", b"rediss+cluster", b"Bearer "],
    ),
    "hook": Reader(
        hook,
        [b'{"id": "x", "answer": "allow", "label": "y", "policy": {"networks": ["::/0"], "login_delay": 1}}'],
        (Refusal,),
        [b"null", b"[", b"{", b'"deny"', b"1e999", b"9" * 5000],
    ),
}
