"""The text of a token: RFC 6750 §2.1 (its characters), and the rights of each scope."""

import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.token import (
    RIGHTS,
    SERVICE,
    Right,
    Scope,
    TokenKey,
    parse_token,
    parse_token_name,
    token_text,
)

KEY = TokenKey(SERVICE, UUID(int=7))
SECRET = bytes(range(32))


@given(tenant=st.uuids(), token=st.uuids(), secret=st.binary(min_size=32, max_size=32))
def test_a_token_is_read_as_it_was_written(tenant: UUID, token: UUID, secret: bytes) -> None:
    text = token_text(TokenKey(tenant, token), secret)
    assert parse_token(text) == (TokenKey(tenant, token), secret)
    # RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
    assert re.fullmatch(r"poplar_[A-Za-z0-9_-]{86}", text)


@given(text=st.text(max_size=120))
def test_what_is_no_token_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        parse_token(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text.upper(),
        lambda text: text.removeprefix("poplar_"),
        lambda text: text.replace("poplar_", "poplar_ "),
        lambda text: text[:-1] + "B",
    ],
    ids=["short", "long", "padded", "upper", "bare", "spaced", "not canonical"],
)
def test_a_token_has_one_form(change: "object") -> None:
    assert callable(change)
    with pytest.raises(ValueError, match="not a token"):
        parse_token(change(token_text(KEY, SECRET)))


def test_only_the_full_scope_provides_and_only_the_providers_oversee() -> None:
    assert {scope for scope, rights in RIGHTS.items() if Right.PROVIDE in rights} == {Scope.FULL}
    assert {scope for scope, rights in RIGHTS.items() if Right.OVERSEE not in rights} == {Scope.TENANT}
    assert set(RIGHTS) == set(Scope)


@pytest.mark.parametrize("name", ["", "A", "-x", "a b", "a/b", "x" * 65, "ü"])
def test_a_tokens_name_fits_a_path_and_the_audit(name: str) -> None:
    with pytest.raises(ValueError, match="a token's name"):
        parse_token_name(name)
    assert parse_token_name(f"a{uuid4().hex}") != ""
