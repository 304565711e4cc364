"""The demo's letters are many, the same every time, and as unusual as they claim.

RFC 2045 §2.8 and §6, RFC 2046 §5.1, RFC 5321 §4.5.2, RFC 5322 §3.6, RFC 6531 §3.4.
"""

from email import message_from_bytes
from email.policy import default

from service.embedded.corpus import Letter, Post, all_letters

POST = Post(("a@one.example", "b@one.example"), ("c@two.example", "d@two.example"))
LETTERS = list(all_letters(POST))
CONTENTS = [letter.content for letter in LETTERS]


def test_there_are_at_least_forty_messages() -> None:
    assert sum(len(letter.recipients) for letter in LETTERS) >= 40


def test_every_maildrop_gets_mail() -> None:
    reached = {recipient for letter in LETTERS for recipient in letter.recipients}
    assert reached >= set(POST.everyone)


def test_they_are_the_same_every_time() -> None:
    assert list(all_letters(POST)) == LETTERS


def test_every_line_ends_with_crlf() -> None:
    assert all(
        b"\n" not in content.replace(b"\r\n", b"") and b"\r" not in content.replace(b"\r\n", b"")
        for content in CONTENTS
    )


def test_no_two_letters_share_a_message_id() -> None:
    ids = [message_from_bytes(content, policy=default)["Message-ID"] for content in CONTENTS]
    assert len(set(ids)) == len(ids)


def test_every_unusual_trait_is_there() -> None:
    assert any(b"\r\n.\r\n" in content for content in CONTENTS)
    assert any(b"\r\n..\r\n" in content for content in CONTENTS)
    assert any(content.endswith(b"\r\n\r\n") for content in CONTENTS)
    assert 998 < max(len(line) for content in CONTENTS for line in content.split(b"\r\n")) < 2040
    assert any(len(content) > 4_000_000 for content in CONTENTS)
    assert any(b"=?utf-8?" in content for content in CONTENTS)
    assert {"multipart/alternative", "multipart/mixed", "multipart/report", "text/plain"} <= kinds()


def kinds() -> set[str]:
    return {message_from_bytes(content, policy=default).get_content_type() for content in CONTENTS}


def test_only_letters_with_utf8_in_their_header_ask_for_smtputf8() -> None:
    assert {letter.utf8 for letter in LETTERS} == {True, False}
    assert all(letter.utf8 is not header_of(letter).isascii() for letter in LETTERS)


def header_of(letter: Letter) -> bytes:
    return letter.content.partition(b"\r\n\r\n")[0]


def test_a_bounce_has_the_null_reverse_path() -> None:
    assert "" in {letter.sender for letter in LETTERS}


def test_attachments_open_again() -> None:
    import io
    import zipfile

    files = [part for content in CONTENTS for part in message_from_bytes(content, policy=default).iter_attachments()]
    archives = [part for part in files if part.get_content_type() == "application/zip"]
    assert archives
    assert all(zipfile.ZipFile(io.BytesIO(part.get_content())).testzip() is None for part in archives)
