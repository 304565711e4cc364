"""What clients count on in every answer: one line or many, no echo, codes that are announced and sent.

RFC 2449 §3 and §8, RFC 3206 §4 to §6, RFC 5034 §4, RFC 6856 §5, RFC 1939 §3. Checklist R28, R38, R54, R66, R98.
"""

import pytest

from service.model.policy import Policy
from service.model.proof import Password
from service.model.refusal import Reason
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.capabilities import after_login, before_login
from tests.protocol.pop3.test_bad_inputs import BEFORE_LOGIN, IN_CLEAR, IN_TRANSACTION, b64
from tests.protocol.pop3.world import NAME, SECRET, TLS, World

SENT = [sent for _, sent, _ in (*IN_TRANSACTION, *BEFORE_LOGIN, *IN_CLEAR)]
SINGLE = (
    "STAT",
    "LIST 1",
    "UIDL 1",
    "DELE 1",
    "NOOP",
    "RSET",
    "LIST 9",
    "RETR 9",
    "TOP 9 0",
    "UIDL 9",
    "XYZZY",
    "QUIT",
)
MULTI = ("LIST", "UIDL", "RETR 1", "TOP 1 0", "CAPA")


@pytest.mark.parametrize("verb", [b"", b"XYZZY ", b"USER a\r\nPASS ", b"AUTH ", b"RETR ", b"STAT ", b"LANG "])
def test_r28_no_answer_repeats_what_the_client_sent(verb: bytes) -> None:
    for world in (World(TLS), World().log_in()):
        answer = world.send(verb + b"[IN-USE] mirrored\r\n")
        assert b"mirrored" not in answer
        assert b"[IN-USE]" not in answer


def test_r28_a_bracket_opens_a_text_only_where_it_is_a_code() -> None:
    codes = (b"[AUTH] ", b"[IN-USE] ", b"[LOGIN-DELAY] ", b"[SYS/TEMP] ", b"[SYS/PERM] ")
    for sent in SENT:
        for world in (World(TLS), World().log_in()):
            for line in world.send(sent).split(b"\r\n"):
                status, _, text = line.partition(b" ")
                assert status not in (b"+OK", b"-ERR") or not text.startswith(b"[") or text.startswith(codes)


@pytest.mark.parametrize("reason", Reason)
def test_r38_r54_user_is_never_answered_with_a_code(reason: Reason) -> None:
    world = World(TLS, refuse={effects.LogIn: reason})
    assert world.send(b"USER a\r\n") == b"+OK Password, please\r\n"
    assert world.send(b"PASS b\r\n").startswith(b"-ERR [")


def test_r98_the_code_utf8_is_never_sent() -> None:
    sent = [World(TLS).send(each) + World().log_in().send(each) for each in SENT]
    assert not any(b"[UTF8]" in answer for answer in sent)
    assert not any(b"[UTF8]" in responses.refusal(reason) for reason in Reason)


def test_x16_every_code_that_is_announced_is_sent() -> None:
    said = b"".join(responses.refusal(reason) for reason in Reason)
    assert {"RESP-CODES", "AUTH-RESP-CODE"} <= set(before_login(TLS, stls=False)) & set(after_login(TLS, Policy()))
    for code in (b"[AUTH]", b"[IN-USE]", b"[LOGIN-DELAY]", b"[SYS/TEMP]", b"[SYS/PERM]"):
        assert code in said


@pytest.mark.parametrize("command", SINGLE)
def test_c21_one_line_answers_where_the_rfc_has_one(command: str) -> None:
    assert World().log_in().send(command.encode() + b"\r\n").count(b"\r\n") == 1


@pytest.mark.parametrize("command", MULTI)
def test_c21_many_lines_end_with_a_dot_and_only_a_success_has_them(command: str) -> None:
    answer = World().log_in().send(command.encode() + b"\r\n")
    assert answer.startswith(b"+OK")
    assert answer.endswith(b"\r\n.\r\n")
    refused = World(refuse={effects.LoadListing: Reason.UNAVAILABLE}).log_in().send(command.encode() + b"\r\n")
    assert refused.count(b"\r\n") == 1 or command == "CAPA"


@pytest.mark.parametrize("octets", [256, 1500, 12_000])
def test_r66_c18_x05_a_long_response_is_read_whole_in_one_step_and_in_two(octets: int) -> None:
    response = b64(b"\0" + NAME.encode() + b"\0" + b"p" * octets)
    refused = responses.refusal(Reason.CREDENTIALS)
    assert World(TLS).send(b"AUTH PLAIN " + response + b"\r\n") == refused
    assert World(TLS).send(b"AUTH PLAIN\r\n" + response + b"\r\n") == b"+ \r\n" + refused


def test_r66_the_longest_name_authzid_and_password_of_plain_are_read_inline() -> None:
    world = World(TLS)
    world.send(b"AUTH PLAIN " + b64(b"\0".join([b"a" * 255] * 3)) + b"\r\n")
    (effect,) = world.performed
    assert isinstance(effect, effects.LogIn)
    assert isinstance(effect.proof, Password)
    assert {len(part) for part in (effect.proof.name, effect.proof.secret, effect.proof.authzid)} == {255}


def test_r63_an_equals_sign_is_an_empty_response_and_no_login() -> None:
    assert World(TLS).send(b"AUTH PLAIN =\r\n") == responses.refusal(Reason.CREDENTIALS)


def test_r20_unique_ids_are_1_to_70_visible_characters_and_all_differ() -> None:
    lines = World(messages=[b"N: %d\r\n\r\n" % n for n in range(1000)]).log_in().send(b"UIDL\r\n").split(b"\r\n")[1:-2]
    ids = [line.split(b" ")[1] for line in lines]
    assert len(set(ids)) == 1000
    assert all(1 <= len(unique_id) <= 70 and all(0x21 <= c <= 0x7E for c in unique_id) for unique_id in ids)


def test_x02_numbers_stay_as_they_are_after_dele() -> None:
    world = World().log_in()
    before = world.send(b"UIDL 3\r\n")
    world.send(b"DELE 1\r\nDELE 2\r\n")
    assert world.send(b"UIDL 3\r\n") == before
    assert world.send(b"LIST\r\n").split(b"\r\n")[1:] == [b"3 36", b".", b""]


def test_c06_nothing_is_said_that_was_not_asked_for() -> None:
    world = World().log_in()
    for _ in range(3):
        world.send(b"LIST\r\nRETR 1\r\n")
        assert world.send(b"") == b""
        assert world.send(b"NOOP\r\n") == b"+OK\r\n"


def test_c31_spaces_in_a_password_are_kept_whichever_way_it_comes() -> None:
    spaced = " two  spaces "
    world = World(TLS)
    world.send(f"USER {NAME}\r\nPASS {spaced}\r\n".encode())
    world.send(b"AUTH PLAIN " + b64(f"\0{NAME}\0{spaced}".encode()) + b"\r\n")
    proofs = [effect.proof for effect in world.performed if isinstance(effect, effects.LogIn)]
    assert [proof.secret for proof in proofs if isinstance(proof, Password)] == [spaced, spaced]
    assert SECRET.count(" ") == 1
