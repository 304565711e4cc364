"""The UIDLs that an import keeps of Dovecot, by what Dovecot 2.3.19 served of the same lists. RFC 1939 §7."""

from pathlib import Path

import pytest

from service.mail.dovecot import DEFAULT_FORMAT
from service.mail.importing import open_archive
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from tests.mail.provider import Provider
from tests.mail.test_importing import FROM, dovecot, key, mbox_file, provider, run, unique_ids

__all__ = ["key", "provider"]

NAMES = [f"170000000{number}.M1P1.Host" for number in (1, 2, 3)]
HEAD = "3 V1795961455 N40 Gc086f5186f320c6bf37d000083ecc375"
LIST = f"{HEAD}\n17 W17 :{NAMES[0]}\n31 P W17 :{NAMES[1]}\n35 Gabc W17 :{NAMES[2]}\n"


def kept(folder: Path, listed: str, uidl: str = DEFAULT_FORMAT) -> list[str | None]:
    """What an import keeps of the three messages."""
    dovecot(folder, *(f"cur/{name}:2,S" for name in NAMES))
    (folder / "dovecot-uidlist").write_text(listed)
    return [message.unique_id for message in open_archive(folder, uidl).messages()]


@pytest.mark.parametrize(
    ("uidl", "first", "third"),
    [
        ("%08Xu%08Xv", "000000116b0c326f", "000000236b0c326f"),
        ("%u.%v", "17.1795961455", "35.1795961455"),
        ("%08Xu.%8Xu.%5u.%05u", "00000011.11.17.00017", "00000023.23.35.00035"),
        ("UID%u-%2.4v", "UID17-9596", "UID35-9596"),
        ("%-2.3v!%f", "55!1700000001.M1P1.Host", "55!1700000003.M1P1.Host"),
        ("%0.4v%u", "179517", "179535"),
        ("%3Xv%04Xv-%0u", "6b06b0c326f-17", "6b06b0c326f-35"),
        ("%g", "1700000001.M1P1.Host", "abc"),
        ("%Mf", "bcc5ef6414c6f836ea7e173332b33039", "230df1bcb0a8dce05b7bef7b2aa1b9cd"),
        ("%Uf", "1700000001.M1P1.HOST", "1700000003.M1P1.HOST"),
        ("%XMu", "6512bd43d9caa6e02c990b0a82652dca", "37693cfc748049e45d87b8c7d8b9aacd"),
        ("%Xf%4Mu", "070ef", "01c38"),
        ("%04Mu", "70efdf2ec9b086079795c442636b55fb", "1c383cd30b7c298ab50293adfecb7b18"),
        ("%%u%u", "%u17", "%u35"),
        ("%{uid | hex(8)}%{uidvalidity|hex(8)}", "000000116b0c326f", "000000236b0c326f"),
        ("%{guid}-%{uid}", "1700000001.M1P1.Host-17", "abc-35"),
        ("%f%f%f%f", None, None),
    ],
)
def test_dovecots_unique_ids_are_made_by_its_format(
    tmp_path: Path, uidl: str, first: str | None, third: str | None
) -> None:
    """A record P is kept whatever the format says, and an empty one is the file's name."""
    assert kept(tmp_path, LIST, uidl) == [first, NAMES[1], third]


@pytest.mark.parametrize(
    "uidl", ["", "%", "%v", "fixed", "%%u", "%m", "%u %v", "%Hu", "%z", "%{uid | hex(9)}", "%{owm}", "%-4u", "ü%u"]
)
def test_a_format_that_cannot_be_made_is_refused_at_once(tmp_path: Path, uidl: str) -> None:
    with pytest.raises(Refusal, match="the format") as refused:
        kept(tmp_path, LIST, uidl)
    assert refused.value.reason is Reason.INVALID


def test_a_list_of_version_1_is_read(tmp_path: Path) -> None:
    listed = f"1 1700000000 40\n7 {NAMES[0]}:2,S\n11 {NAMES[1]}\n12 {NAMES[2]}:2,\n"
    assert kept(tmp_path, listed, "%u.%v") == ["7.1700000000", "11.1700000000", "12.1700000000"]


async def test_a_message_that_dovecot_has_not_listed_yet_is_refused_by_itself(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """Its clients are told a UIDL later, and would download it again if it had another one here."""
    assert kept(tmp_path, LIST.replace(NAMES[0], "other")) == [None, NAMES[1], "000000236b0c326f"]
    steps = await run(provider, open_archive(tmp_path))
    assert [step.refusal.reason if step.refusal else None for step in steps] == [Reason.INVALID, None, None]
    assert "doveadm mailbox status" in str(steps[0].refusal.cause if steps[0].refusal else "")
    (tmp_path / "dovecot-uidlist").write_text(LIST)
    await run(provider, open_archive(tmp_path))
    assert unique_ids(provider, key) == [NAMES[1], "000000236b0c326f", "000000116b0c326f"]


async def test_of_equal_messages_each_keeps_its_own_unique_id_where_one_was_refused_at_first(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """Whichever of them Dovecot hadn't listed yet."""
    kept(tmp_path, LIST.replace(NAMES[0], "other"))
    for name in NAMES:
        (tmp_path / f"cur/{name}:2,S").write_bytes(b"Subject: alert\n\nsame\n")
    await run(provider, open_archive(tmp_path))
    (tmp_path / "dovecot-uidlist").write_text(LIST)
    steps = await run(provider, open_archive(tmp_path))
    assert [step.known for step in steps] == [False, True, True]
    assert unique_ids(provider, key) == [NAMES[1], "000000236b0c326f", "000000116b0c326f"]


@pytest.mark.parametrize("listed", [HEAD + "\n", LIST.replace(NAMES[0], "other")])
async def test_what_dovecot_has_not_listed_is_taken_as_it_is_on_request(
    provider: Provider, key: MaildropKey, tmp_path: Path, listed: str
) -> None:
    kept(tmp_path, listed)
    steps = await run(provider, open_archive(tmp_path, unlisted=True))
    assert not any(step.refusal for step in steps)
    assert unique_ids(provider, key)[0] is None


async def test_a_message_of_an_mbox_that_dovecot_has_given_no_uid_yet_is_refused_by_itself(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """Nor one with a UID that is another's already: a sender wrote it. Dovecot gives each its own at its next look."""
    first = FROM + b"X-IMAPbase: 7 0000000005\nX-UID: 5\n\nx\n\n"
    new, sent = b"A: new\n\ny\n\n", b"A: sent\n\nz\n\n"
    path = mbox_file(tmp_path, first + FROM + new + FROM + b"X-UID: 5\n" + sent)
    steps = await run(provider, open_archive(path))
    assert [step.refusal.reason if step.refusal else None for step in steps] == [None, Reason.INVALID, Reason.INVALID]
    assert "doveadm mailbox status" in str(steps[1].refusal.cause if steps[1].refusal else "")
    path.write_bytes(first.replace(b"05\nX", b"07\nX") + FROM + b"X-UID: 6\n" + new + FROM + b"X-UID: 7\n" + sent)
    await run(provider, open_archive(path))
    assert unique_ids(provider, key) == [f"000000{uid:02x}00000007" for uid in (5, 6, 7)]


async def test_what_of_an_mbox_dovecot_has_given_no_uid_is_taken_as_it_is_on_request(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    path = mbox_file(tmp_path, FROM + b"X-IMAPbase: 7 9\nX-UID: 5\n\nx\n\n" + FROM + b"\ny\n")
    steps = await run(provider, open_archive(path, unlisted=True))
    assert not any(step.refusal for step in steps)
    assert unique_ids(provider, key) == ["0000000500000007", None]


def test_of_an_mbox_unique_ids_are_made_of_its_numbers(tmp_path: Path) -> None:
    path = mbox_file(tmp_path, FROM + b"X-IMAPbase: 7 9\nX-UID: 5\n\nx\n")
    for uidl, expected in ((DEFAULT_FORMAT, "0000000500000007"), ("%u.%v", "5.7")):
        assert [message.unique_id for message in open_archive(path, uidl).messages()] == [expected]
    for uidl in ("%f", "%u%{guid}"):
        with pytest.raises(Refusal, match="is an mbox"):
            open_archive(path, uidl)


async def test_an_import_says_which_messages_kept_a_unique_id(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """Of those that it stored."""
    octets = FROM + b"X-UIDL: a\n\nx\n\n" + FROM + b"X-UIDL: a\n\ny\n\n" + FROM + b"\nz\n\n"
    archive = open_archive(mbox_file(tmp_path, octets))
    assert [one.kept for one in await run(provider, archive)] == [True, False, False]
    assert unique_ids(provider, key) == ["a", None, None]
    assert [one.kept for one in await run(provider, archive)] == [False] * 3
