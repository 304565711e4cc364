"""Verifiers that other systems made: the right password matches, and what costs too much is never computed.

The vectors come from Dovecot's own test of its schemes, `openssl passwd`, glibc's crypt(3), libpass, the reference
implementation of Argon2 and RFC 6070 (PBKDF2). RFC 4648 §4 and §8: base64 and hexadecimal. RFC 8018 §5.2, RFC 9106.
"""

import base64
import hashlib
import re
import threading
from collections.abc import Iterator

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.refusal import Reason, Refusal
from service.stores.passwords import Argon2Hashes, Cost, argon2
from service.stores.passwords.matching import Matcher
from service.stores.passwords.verifiers import DIGESTS, SCHEMES, SELF_NAMED, TEXTS, matcher

CHEAP = Cost(memory_kib=64, passes=1)
HORSE = "correct horse"

DOVECOT = [
    "{CRYPT}//EsnG9FLTKjo",
    "{MD5}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/",
    "{SHA1}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
    "{SMD5}JTu1KRwptKZJg/RLd+6Vn5GUd0M=",
    "{LDAP-MD5}CY9rzUYh03PK3k6DJie09g==",
    "{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
    "{SHA512}7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/w==",
    "{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO",
    "{MD5-CRYPT}$1$GgvxyNz8$OjZhLh4P.gF1lxYEbLZ3e/",
    "{PBKDF2}$1$bUnT4Pl7yFtYX0KU$5000$50a83cafdc517b9f46519415e53c6a858908680a",
    "{BLF-CRYPT}$2y$05$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$f2iuP4aUeNMrgu34fhOkkg$1XSZZMWlIs0zmE+snlUIcLADO3GXbA2O/hsQmmc317k",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/nVNq3uArHd5GJSEx0ty85Cc",
]
SHA512 = (
    "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"
)  # fmt: skip
SHA512_ROUNDS = (
    "$6$rounds=1000$saltsalt$4GMtaIz3E1AdDi2SmCokEW0ehi.HdxNDcL3fGE1XXuzvo6kbx7UOloZKONqEk5H3JrQA4NOfU8BmqFPrpGqwA1"
)
OPENSSL = [
    "$1$saltsalt$NuzA7WTAelpl95xgBGWN60",
    "$apr1$saltsalt$EGVZDNN6gOqijy.tv9axG/",
    "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
    SHA512,
    "$5$rounds=1000$saltsalt$R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXposU8",
    SHA512_ROUNDS,
]
GLIBC = [
    "$5$rounds=10000$saltstringsaltst$ffO6RHJbzihHqETll0c/MLDJrGhQw9fAaO1LcVIStWB",
    "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
    "{DES-CRYPT}abhfCpXqd4GrI",
]
LIBPASS = [
    "$pbkdf2-sha256$1000$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0",
    "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0",
    "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0",
    "$pbkdf2$i=1000,l=20$c2FsdHNhbHQ$wQoBU7GXMNo2CJC+raijrf6key4",
    "$pbkdf2$1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4",
    "{PBKDF2}1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4",
    "{PBKDF2-SHA256}1000$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0",
    "{PBKDF2-SHA512}1000$c2FsdHNhbHQ$"
    ".sUSD8jw4f8ns7m9b7kj8PeJLe8lJXO8Am09BLgO79kST9D/Ija5aKINGF5Xg7hkKXw1.fNhBzzJP3eIXcWXww",
    "{SSHA512}50rsRNBf8j3I5xE+QwaHdFyMhOzITssZ8BB3UxwQ+SI1JKygYm6ZeRYTDuUyFZIIqDonoTuXwB0Z/MAPhgQCFHNhbHRzYWx0",
    "{SSHA256}YflVcOMs6k7tbGkQbQNVn6/ehAnUAVltiLPKHBWGi2tzYWx0c2FsdA==",
]
REFERENCE = [
    "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    "$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
]
RFC_6070 = [
    "{pbkdf2}$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1",
]
VECTORS = [
    *((verifier, "test") for verifier in DOVECOT),
    *((verifier, HORSE) for verifier in (*OPENSSL, *GLIBC, *LIBPASS)),
    *((verifier, "password") for verifier in (*REFERENCE, *RFC_6070)),
    ("{PLAIN-MD5}098f6bcd4621d373cade4e832627b4f6", "test"),
    ("{MD5}CY9rzUYh03PK3k6DJie09g==", "test"),
    ("{SHA}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "test"),
    ("{SHA.hex}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "test"),
    ("{SSHA.HEX}1ffceb0eff055d4bb5266c2f5588a37eb604177e2355970e", "test"),
    ("{ssha.b64}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO", "test"),
    ("{SSHA.base64}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO", "test"),
    ("{Sha512-Crypt}" + SHA512, HORSE),
    ("{SHA512-CRYPT.b64}" + base64.b64encode(SHA512.encode()).decode(), HORSE),
    ("{CRYPT}" + SHA512, HORSE),
    ("{CRYPT.HEX}" + SHA512.encode().hex(), HORSE),
    ("{SHA256-CRYPT}" + GLIBC[0], HORSE),
    ("{BLF-CRYPT}" + GLIBC[1], HORSE),
    ("{CRYPT}" + GLIBC[1], HORSE),
    ("{MD5-CRYPT}" + OPENSSL[1], HORSE),
]


@pytest.fixture
def hashes() -> Iterator[Argon2Hashes]:
    hashes = Argon2Hashes(CHEAP, threads=1)
    yield hashes
    hashes.close()


@pytest.mark.parametrize(("verifier", "password"), VECTORS)
async def test_a_password_matches_what_another_system_stored(
    hashes: Argon2Hashes, verifier: str, password: str
) -> None:
    assert hashes.adopt(f" {verifier}\r\n") == verifier
    assert await hashes.verify(verifier, password)
    for wrong in ("", "w" + password, password.upper(), password[:2] + "\0" + password[2:], "p" * 255):
        assert not await hashes.verify(verifier, wrong)
    assert not hashes.current(verifier)


def test_every_scheme_and_every_form_has_a_vector() -> None:
    named = {found[1].upper() for v, _ in VECTORS if (found := re.match(r"\{([^.}]+)", v))}
    assert set(SCHEMES) - named <= {"PBKDF2-SHA1"}
    for begins in SELF_NAMED.keys() - {"$2a$", "$2y$", "$pbkdf2-sha1$", "$pbkdf2-sha512$"}:
        assert any(verifier.startswith(begins) for verifier, _ in VECTORS), begins
    assert set(SCHEMES) == TEXTS.keys() | DIGESTS.keys()


@pytest.mark.parametrize("name", ["$2a$", "$2b$", "$2y$"])
async def test_bcrypt_counts_72_octets_of_a_password_under_each_of_its_names(hashes: Argon2Hashes, name: str) -> None:
    made = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert await hashes.verify(name + made[4:], "x" * 72 + "and more")
    assert not await hashes.verify(name + made[4:], "x" * 71)


async def test_bits_of_bcrypt_that_mean_nothing_are_ignored(hashes: Argon2Hashes) -> None:
    """Of the salt's last character four are, of the hash's two; some systems stored them set."""
    made = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"
    for same in (made, made[:28] + "v" + made[29:], made[:-1] + "3"):
        assert hashes.adopt(same) == same
        assert await hashes.verify(same, HORSE)
        assert not await hashes.verify(same, "wrong")


async def test_des_counts_8_octets_of_a_password(hashes: Argon2Hashes) -> None:
    assert await hashes.verify("{CRYPT}abhfCpXqd4GrI", "correct donkey")
    assert not await hashes.verify("{CRYPT}abhfCpXqd4GrI", "correct")


@pytest.mark.parametrize("password", ["pässwörd ☃", " ", "p" * 255])
async def test_a_password_is_verified_as_utf_8(hashes: Argon2Hashes, password: str) -> None:
    digest = hashlib.sha256(password.encode() + b"salt").digest() + b"salt"
    assert await hashes.verify("{SSHA256}" + base64.b64encode(digest).decode(), password)


REFUSED = {
    "$6$rounds=1000001$saltsalt$" + "a" * 86: "asks for 1000001 rounds",
    "$5$rounds=999999999$saltsalt$" + "a" * 43: "asks for 999999999 rounds",
    "$2b$15$" + "a" * 53: "asks for 15 as its cost",
    "$2b$31$" + "a" * 53: "asks for 31 as its cost",
    "$2b$03$" + "a" * 53: "has a cost under 4",
    "{PBKDF2}$1$salt$2000001$" + "a" * 40: "asks for 2000001 rounds",
    "{PBKDF2}$1$salt$0$" + "a" * 40: "asks for 0 rounds",
    "$pbkdf2-sha512$999999999$c2FsdA$" + "a" * 86: "asks for 999999999 rounds",
    "$argon2id$v=19$m=4000000,t=1,p=1$" + "A" * 22 + "$" + "A" * 43: "asks for 4000000 KiB of memory",
    "$argon2id$v=19$m=262144,t=16,p=1$" + "A" * 22 + "$" + "A" * 43: "KiB of memory times passes",
    "$argon2id$v=19$m=64,t=0,p=1$" + "A" * 22 + "$" + "A" * 43: "asks for 0 KiB of memory times passes",
    "$argon2i$v=16$m=64,t=1,p=1$" + "A" * 22 + "$" + "A" * 43: "version 19",
    "$6$saltsalt$short": "not a whole SHA-crypt hash",
    "$1$saltsalt$short": "not a whole hash",
    "$1$sältsalt$NuzA7WTAelpl95xgBGWN60": "plain ASCII",
    "{CRYPT}": "not a whole hash",
    "{DES-CRYPT}abhfCpXqd4GrI.": "not a whole hash",
    "{SHA512-CRYPT}$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/": "doesn't begin as one of {SHA512-CRYPT}",
    "{SHA512-CRYPT.b64}//79": "doesn't begin as one of {SHA512-CRYPT}",
    "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9MX": "has 21 octets, which is no sha1 digest",
    "{SSHA}qUqP5cyxm6YcTAhz05Hphw==": "has 16 octets, which is no sha1 digest",
    "{SSHA}" + "A" * 200: "salt of more than 64 octets",
    "{SSHA}!!!": "is not base64",
    "{SHA.hex}zz": "is not hexadecimal",
    "{PBKDF2-SHA256}1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4": "no sha256 digest",
    "$pbkdf2-sha256$i=1000,l=20$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0": "32 octets, and says 20",
    "$pbkdf2-sha256$i=1000,l=20$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4": "no sha256 digest",
    "$pbkdf2-sha256$i=2000001,l=32$c2FsdA$" + "a" * 43: "asks for 2000001 rounds",
    "{PBKDF2}1000$c2FsdHNhbHQ": "not a whole PBKDF2 hash",
    "{PLAIN}secret": "is of the scheme {PLAIN}, which isn't accepted: ARGON2I, ARGON2ID, BLF-CRYPT",
    "{CRAM-MD5}e02d374fde0dc75a": "is of the scheme {CRAM-MD5}",
    "$y$j9T$abcdefgh$79JhsKZwfY/UU2qrk3QcffpHl7EyEEJK0pA5pD1wu73": "names no known scheme",
    "abhfCpXqd4GrI": "names no known scheme",
    "secret": "names no known scheme",
    "": "names no known scheme",
    "$6$" + "a" * 2000: "more than 1024 characters",
}


@pytest.mark.parametrize(("verifier", "why"), REFUSED.items())
async def test_what_no_login_could_match_is_refused_in_plain_words(
    hashes: Argon2Hashes, verifier: str, why: str
) -> None:
    with pytest.raises(Refusal) as refused:
        hashes.adopt(verifier)
    assert refused.value.reason is Reason.INVALID
    assert why in refused.value.cause
    assert refused.value.cause.startswith("the verifier ")
    assert "secret" not in refused.value.cause


class Counted:
    """Counts what Argon2 computes, and whether it computed before an answer came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.secrets: list[bytes] = []
        self.real = argon2.matches
        monkeypatch.setattr(argon2, "matches", self)

    def __call__(self, verifier: bytes, secret: bytes) -> bool:
        assert threading.current_thread() is not threading.main_thread()
        self.secrets.append(secret)
        return self.real(verifier, secret)


@pytest.mark.parametrize("verifier", [*REFUSED, OPENSSL[0], LIBPASS[-1], GLIBC[1]])
async def test_g13_a_refusal_by_any_scheme_costs_one_argon2_and_no_absurd_cost_is_computed(
    hashes: Argon2Hashes, monkeypatch: pytest.MonkeyPatch, verifier: str
) -> None:
    counted = Counted(monkeypatch)
    assert not await hashes.verify(verifier, "wrong")
    assert counted.secrets == [b""]


async def test_a_right_password_of_another_scheme_costs_no_argon2(
    hashes: Argon2Hashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    assert await hashes.verify(SHA512, HORSE)
    assert counted.secrets == []


async def test_only_argon2id_at_todays_cost_is_current(hashes: Argon2Hashes) -> None:
    assert hashes.current(await hashes.hash(HORSE))
    dearer = Argon2Hashes(Cost(memory_kib=128, passes=2), threads=1)
    made = await dearer.hash(HORSE)
    assert dearer.current(made)
    assert not hashes.current(made)
    assert hashes.adopt(made) == made
    dearer.close()


def test_a_matcher_tells_nothing_of_its_verifier_by_its_errors() -> None:
    with pytest.raises(ValueError, match="the verifier names no known scheme") as refused:
        matcher("hunter2")
    assert "hunter2" not in str(refused.value)


H64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SHAPES = st.sampled_from(
    [
        ("$2b$04$", 53, ""),
        ("$2a$04$", 53, ""),
        ("$1$saltsalt$", 22, ""),
        ("$apr1$$", 22, ""),
        ("$5$rounds=1000$salt$", 43, ""),
        ("$6$rounds=1000$$", 86, ""),
        ("{DES-CRYPT}", 13, ""),
        ("{SSHA}", 40, ""),
        ("{SHA256}", 43, "="),
        ("{PBKDF2-SHA256}1$c2FsdA$", 43, ""),
        ("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$", 43, ""),
        ("$argon2i$v=19$m=64,t=3,p=2$c29tZXNhbHQ$", 22, ""),
    ]
)


@st.composite
def well_shaped(draw: st.DrawFn) -> str:
    """What looks like a verifier, of random characters."""
    begins, characters, ends = draw(SHAPES)
    return begins + draw(st.text(H64, min_size=characters, max_size=characters)) + ends


@given(verifier=st.text() | well_shaped() | st.sampled_from(SCHEMES).map("{{{}}}".format), secret=st.binary())
def test_whatever_is_stored_either_proves_something_or_is_refused_and_never_fails(verifier: str, secret: bytes) -> None:
    proves = proof_or_refusal(verifier)
    if isinstance(proves, str):
        assert proves.startswith("the verifier ")
    else:
        assert proves(secret) in (True, False)


def proof_or_refusal(verifier: str) -> Matcher | str:
    try:
        return matcher(verifier)
    except ValueError as error:
        return str(error)
