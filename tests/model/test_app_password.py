"""The text of an app password: whose it is, what it proves, how it may be typed."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from service.model.app_password import handle_of, parse_app_password, text_of, verifier_of

IDS = st.uuids()
SECRETS = st.binary(min_size=15, max_size=15)


@given(IDS, SECRETS)
def test_what_was_shown_names_and_opens_its_credential(credential_id: UUID, secret: bytes) -> None:
    presented = parse_app_password(text_of(credential_id, secret))
    assert presented is not None
    assert presented.names(credential_id)
    assert presented.secret == secret
    assert presented.opens(credential_id, verifier_of(credential_id, secret))


@given(IDS, SECRETS, st.integers(0, 14), st.integers(1, 255))
def test_no_other_secret_opens_it(credential_id: UUID, secret: bytes, place: int, other: int) -> None:
    changed = secret[:place] + bytes([secret[place] ^ other]) + secret[place + 1 :]
    presented = parse_app_password(text_of(credential_id, changed))
    assert presented is not None
    assert not presented.opens(credential_id, verifier_of(credential_id, secret))


def test_the_same_secret_opens_no_other_credential_of_the_same_handle() -> None:
    one, secret = uuid4(), b"x" * 15
    twin = UUID(int=one.int ^ 1)
    presented = parse_app_password(text_of(one, secret))
    assert presented is not None
    assert handle_of(one) == handle_of(twin)
    assert not presented.opens(twin, verifier_of(one, secret))


def test_it_may_be_typed_without_dashes_with_spaces_and_in_capitals() -> None:
    text = text_of(uuid4(), b"0123456789abcde")
    read = parse_app_password(text)
    assert read is not None
    for typed in (text.replace("-", ""), text.replace("-", " "), text.upper(), f" {text} "):
        assert parse_app_password(typed) == read


def test_it_has_five_groups_of_letters_that_nobody_mistakes() -> None:
    groups = text_of(uuid4(), bytes(range(15))).split("-")
    assert [len(group) for group in groups] == [6] * 5
    assert not set("".join(groups)) & set("lo01")


def test_other_passwords_are_none() -> None:
    for text in ("", "secret", "a" * 29, "a" * 31, "l" * 30, "é" * 30, "abcdef-abcdef-abcdef-abcdef"):
        assert parse_app_password(text) is None
