"""SASLprep, by the examples of RFC 4013 §3 and more. RFC 4013 §2, RFC 6856 §2.2, RFC 3454 §6."""

import pytest

from service.model.saslprep import prepare


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        (" spaces kept ", " spaces kept "),
        ("Grüße", "Grüße"),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_a_string_is_prepared(text: str, prepared: str) -> None:
    assert prepare(text) == prepared


@pytest.mark.parametrize("text", ["", "\u0007", "\u0627\u0031", "a\u0627", "\u00ad", "\ue000", "\ufffd", "a\u200e"])
def test_a_prohibited_or_empty_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"preparation|character|directions"):
        prepare(text)


def test_preparing_twice_changes_nothing() -> None:
    for text in ("I\u00adX", "\u2168", "Grüße", "a\u00a0b"):
        assert prepare(prepare(text)) == prepare(text)
