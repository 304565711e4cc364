"""Import: mbox and Maildir into a maildrop, once and again. RFC 1939 §7, RFC 4155 §2."""

import mailbox
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.mail import mbox as mbox_module
from service.mail.archives import Archive, ArchivedMessage
from service.mail.importing import Import, Imported, import_recipient, open_archive
from service.mail.maildir import Maildir
from service.mail.mbox import Mbox
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from service.stores.memory.blobs import MemoryBlobStore
from tests.mail.provider import Provider

FROM = b"From a@b.example Sun Mar  9 12:00:00 2025\n"
PROSE = b"From Anna's mail of Mon, 3 Jan 2022 10:15"


class BlobsThatFailLater(MemoryBlobStore):
    """Takes some blobs, then fails until it is mended."""

    left = 20

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        if self.left == 0:
            raise Refusal(Reason.UNAVAILABLE, "down")
        self.left -= 1
        await super().put(key, chunks)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def key(provider: Provider) -> MaildropKey:
    return provider.add("u@a.example")


def mbox_file(folder: Path, octets: bytes) -> Path:
    path = folder / "mbox"
    path.write_bytes(octets)
    return path


def texts(archive: Archive) -> list[bytes]:
    return [b"".join(message.pieces()) for message in archive.messages()]


async def run(provider: Provider, archive: Archive) -> list[Imported]:
    recipient = await import_recipient(provider.directory, "u@a.example")
    importing = Import(provider.index, provider.blobs, provider.clock, recipient)
    return [one async for one in importing.run(archive)]


def unique_ids(provider: Provider, key: MaildropKey) -> list[str | None]:
    return [row.message.imported_unique_id for row in provider.rows(key)]


def dovecot(folder: Path, *names: str) -> Path:
    for sub in ("cur", "new", "tmp"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(b"Subject: %d\n\ntext\n" % number)
    return folder


@pytest.mark.parametrize("piece", [1, 2, 7, 13, 256 * 1024])
@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", []),
        (FROM, [b""]),
        (FROM + b"\n", [b""]),
        (FROM + b"A: b\n\nx\n", [b"A: b\n\nx\n"]),
        (FROM + b"A: b\n\nx\n\n", [b"A: b\n\nx\n"]),
        (FROM + b"A: b\n\nx\n\n" + FROM + b"C: d\n\ny\n\n", [b"A: b\n\nx\n", b"C: d\n\ny\n"]),
        (FROM + b"A: b\n\nx", [b"A: b\n\nx"]),
        (FROM + b"A: b\n\n>From me\n>>From you\n> From\n>Fro", [b"A: b\n\nFrom me\n>From you\n> From\n>Fro"]),
        (FROM + b">From a\n", [b"From a\n"]),
        (FROM + b"A: b\n\nx\nFrom here 12:00\n\nFrom now on\n", [b"A: b\n\nx\nFrom here 12:00\n\nFrom now on\n"]),
        (FROM + b"A: b\r\n\r\nx\r\n\r\n" + FROM + b"y\r\n\r\n", [b"A: b\r\n\r\nx\r\n", b"y\r\n"]),
        (FROM + b"\n\n\n" + FROM + b"\n" + FROM, [b"\n\n", b"", b""]),
        (
            FROM + b"\nx\n\nFrom 9:00 to 17:00 we are open.\n\n" + FROM,
            [b"\nx\n\nFrom 9:00 to 17:00 we are open.\n", b""],
        ),
        (FROM + b"\nx\n\nFrom Mon Jan 5 we open at 9:00\n", [b"\nx\n\nFrom Mon Jan 5 we open at 9:00\n"]),
        (FROM + b"\nx\n\nFrom us all: Mon Jan 5 9:00 to 17:00\n", [b"\nx\n\nFrom us all: Mon Jan 5 9:00 to 17:00\n"]),
        (FROM + b"\nx\n\n" + PROSE + b" I take that\nA: b\n", [b"\nx\n\n" + PROSE + b" I take that\nA: b\n"]),
        (FROM + b"\nx\n\n" + PROSE + b"\nI take that\n", [b"\nx\n\n" + PROSE + b"\nI take that\n"]),
        (b"From \nA: b\n\nx\n\nFrom \r\nC: d\n\ny\n\n", [b"A: b\n\nx\n", b"C: d\n\ny\n"]),
        (FROM + b"A: b\n\nx\n\nFrom \nus all\n", [b"A: b\n\nx\n\nFrom \nus all\n"]),
        (FROM + b"Content-Length: 48\n\nx\n\n" + FROM + b"\ny\n\n" + FROM, [b"\nx\n\n" + FROM + b"\ny\n", b""]),
        (FROM + b"Content-Length: 47\n\nx\n\n" + FROM + b"\ny\n\n" + FROM, [b"\nx\n", b"\ny\n", b""]),
        (FROM + b"Content-Length: 99999999999\n\nx\n\n" + FROM + b"\ny\n", [b"\nx\n", b"\ny\n"]),
    ],
)
def test_an_mbox_is_cut_at_its_from_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, octets: bytes, expected: list[bytes], piece: int
) -> None:
    monkeypatch.setattr(mbox_module, "PIECE", piece)
    assert texts(Mbox(mbox_file(tmp_path, octets))) == expected


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("more", "whole"), [(b"", True), (b"\n", True), (b"\nFr", False), (b"\n" + FROM, False), (b"x" * 500, False)]
)
def test_a_content_length_is_believed_where_a_message_ends_there(
    tmp_path: Path, more: bytes, whole: bool, end: bytes
) -> None:
    """Dovecot leaves a line of text as it is that looks like a From line. Some count the empty line after the text."""
    first, rest = b"see\n", b"A: in text\n\nmore\n"
    text = (first + b"\n" + FROM + rest).replace(b"\n", end)
    length = len(text + more.replace(b"\n", end))
    head = FROM.replace(b"\n", end) + b"A: b" + end
    octets = (head + b"content-length: %d" % length + end * 2 + text + end) * 2
    header = b"A: b" + end + end
    parts = [header + text] if whole else [header + first.replace(b"\n", end), rest.replace(b"\n", end)]
    assert texts(Mbox(mbox_file(tmp_path, octets))) == parts * 2


@pytest.mark.parametrize(
    "line",
    [
        "From - Thu Jan  1 00:00:00 2026",
        "From ???@??? Thu Jan 01 00:00:00 2026",
        "From MAILER-DAEMON  Sun Nov 29 10:44:47 2026 +0100",
        "From a@b.example Thu Jan  1 0:00 CET 2026",
        "From uucp!a Thu Jan  1 00:00:00 2026 remote from b",
        'From "a b"@c.example Thu Jan  1 00:00:00 2026',
        "From 17@xxx Thu Jan 01 00:00:00 +0000 2026",
        "From a@b.example Thu, 01 Jan 2026 00:00:00 +0000",
        "From Thu Jan  1 00:00:00 2026",
        "From anna at orchard.example  Thu Jan  1 00:00:00 2026",
        "From John Smith <j@c.example> Thu, 01 Jan 2026 00:00:00 +0000",
        "From anna at orchard.example Thu Jan  1 0:00 CET 2026",
        "From anna at orchard.example  Thu Jan  1 00:00:00 2026 +0100",
    ],
)
def test_from_lines_of_many_writers_begin_a_message(tmp_path: Path, line: str) -> None:
    """RFC 4155 appendix A, and what isn't as it says."""
    for end in (b"\n", b"\r\n"):
        message = b"A: b\n\nx\n".replace(b"\n", end)
        octets = (line.encode() + end + message + end) * 3
        assert texts(Mbox(mbox_file(tmp_path, octets))) == [message] * 3


def test_an_mbox_that_python_wrote_is_read_back(tmp_path: Path) -> None:
    written = mailbox.mbox(tmp_path / "mbox")
    letters = [b"Subject: %d\n\nline\n\n  From x 12:00\n%s\n" % (n, b"x" * 70000) for n in range(9)]
    for letter in letters:
        written.add(letter)
    written.close()
    assert texts(Mbox(tmp_path / "mbox")) == letters


def test_an_imap_servers_notes_are_no_message(tmp_path: Path) -> None:
    notes = b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nThis text\n\n"
    assert texts(Mbox(mbox_file(tmp_path, FROM + notes + FROM + b"A: b\n\nx\n"))) == [b"A: b\n\nx\n"]


def test_x_uidl_is_kept_from_the_header_alone(tmp_path: Path) -> None:
    octets = FROM + b"x-uidl: abc$1\nA: b\n\n" + FROM + b"A: b\n\nX-UIDL: body\n\n" + FROM + b"X-UIDL: a b\n\n"
    found = [message.unique_id for message in Mbox(mbox_file(tmp_path, octets)).messages()]
    assert found == ["abc$1", None, None]


def test_dovecots_unique_ids_are_kept_by_the_uids_of_an_mbox(tmp_path: Path) -> None:
    base = b"X-IMAPbase: 1795949044 0000000004\nX-UID: 1   \n\nx\n\n"
    later = [
        b"X-UID: 2\n\n",
        b"X-UID: 2\n\n",
        b"X-UID: 31\r\n\n",
        b"A: b\n\nX-UID: 32\n\n",
        b"X-UID: x\n\n",
    ]
    octets = b"".join(FROM + each for each in (base, *later))
    found = [message.unique_id for message in Mbox(mbox_file(tmp_path, octets)).messages()]
    assert found == ["000000016b0c01f4", "000000026b0c01f4", None, "0000001f6b0c01f4", None, None]


def test_x_uidl_is_not_believed_where_there_are_uids(tmp_path: Path) -> None:
    """What a sender, or an earlier server's fetcher, wrote was told to no client of Dovecot's."""
    base = b"X-UIDL: a\nX-IMAPbase: 1795949044 0000000004\nX-UID: 1\n\nx\n\n"
    octets = b"".join(FROM + each for each in (base, b"X-UIDL: b\nX-UID: 2\n\n", b"X-UIDL: c\n\n"))
    found = [message.unique_id for message in Mbox(mbox_file(tmp_path, octets)).messages()]
    assert found == ["000000016b0c01f4", "000000026b0c01f4", None]


def test_dovecots_unique_ids_need_the_uidvalidity_of_the_first_message(tmp_path: Path) -> None:
    """RFC 3501 §2.3.1.1: a UID means something together with the UIDVALIDITY alone."""
    second = FROM + b"X-IMAPbase: 7 9\nX-UID: 5\n\n"
    notes = b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 7 9\n\nThis text\n\n"
    for first, unique_ids_of in ((FROM + b"A: b\n\n", [None, None]), (FROM + notes, ["0000000500000007"])):
        path = mbox_file(tmp_path, first + second)
        assert [message.unique_id for message in Mbox(path).messages()] == unique_ids_of


async def test_messages_are_listed_in_order_with_their_unique_ids(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    octets = b"".join(FROM + b"X-UIDL: id%d\n\n.%d\n\n" % (n, n) for n in range(40))
    steps = await run(provider, Mbox(mbox_file(tmp_path, octets)))
    assert await provider.texts(key) == [b"X-UIDL: id%d\r\n\r\n.%d\r\n" % (n, n) for n in range(40)]
    assert unique_ids(provider, key) == [f"id{n}" for n in range(40)]
    assert sum(step.octets for step in steps) == len(octets)
    assert not any(step.known or step.refusal for step in steps)
    row = provider.rows(key)[0].message
    assert row.trace == b""
    assert row.received == provider.clock.moment
    assert row.blob.dotted


async def test_a_second_run_adds_only_what_is_new(provider: Provider, key: MaildropKey, tmp_path: Path) -> None:
    octets = b"".join(FROM + b"\n%d\n\n" % (n % 3) for n in range(20))
    await run(provider, Mbox(mbox_file(tmp_path, octets)))
    rows, blobs = provider.rows(key), await provider.keys()
    assert len(rows) == 20
    provider.clock.move(days=2)
    steps = await run(provider, Mbox(mbox_file(tmp_path, octets)))
    assert [step.known for step in steps] == [True] * 20
    assert provider.rows(key) == rows
    assert await provider.keys() == blobs
    steps = await run(provider, Mbox(mbox_file(tmp_path, octets + FROM + b"\n2\n\n")))
    assert [step.known for step in steps] == [True] * 20 + [False]


def test_what_dovecot_never_serves_of_a_header_is_no_part_of_a_text(tmp_path: Path) -> None:
    header = b"A: b\nStatus: RO\nX-UIDL: own\nX-Status: A\r\nx-uid : 7\nX-Keywords: a\n b\n\tc\nLines: 1\n"
    notes = b"Content-Length: 2\nX-IMAPbase: 7 8\n"
    body = b"\nStatus: RO\n>From x\n"
    octets = FROM + header + notes + body + b"\n" + FROM + body + b"\n" + FROM + b"Status: O\n\n"
    served = b"\nStatus: RO\nFrom x\n"
    assert texts(Mbox(mbox_file(tmp_path, octets))) == [b"A: b\nX-UIDL: own\nLines: 1\n" + served, served, b""]


async def test_a_message_that_was_looked_at_since_is_known(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """As Dovecot leaves an mbox behind before and after its owner came."""
    base, second = b"A: b\nX-IMAPbase: 7 0000000002\nX-UID: 1\n", b"A: c\nX-UID: 2\n"
    for number, status in enumerate((b"Status: O\n", b"Status: RO\nX-Keywords:      \nContent-Length: 2\n")):
        octets = FROM + base + status + b"\nx\n\n" + FROM + second + status + b"\ny\n\n"
        steps = await run(provider, Mbox(mbox_file(tmp_path, octets)))
        assert [step.known for step in steps] == [number == 1] * 2
    assert await provider.texts(key) == [b"A: b\r\n\r\nx\r\n", b"A: c\r\n\r\ny\r\n"]


async def test_a_message_its_owner_removed_is_not_listed_again(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    archive = Mbox(mbox_file(tmp_path, FROM + b"\nx\n"))
    await run(provider, archive)
    provider.remove(key, provider.clock.moment)
    assert [step.known for step in await run(provider, archive)] == [True]
    assert await provider.texts(key) == []


async def test_the_same_file_in_another_maildrop_has_other_unique_ids(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    other = provider.add("v@a.example")
    archive = Mbox(mbox_file(tmp_path, FROM + b"\nx\n"))
    await run(provider, archive)
    recipient = await import_recipient(provider.directory, "v@a.example")
    importing = Import(provider.index, provider.blobs, provider.clock, recipient)
    assert [one.known async for one in importing.run(archive)] == [False]
    assert provider.rows(key)[0].message.unique_id != provider.rows(other)[0].message.unique_id


async def test_a_store_failure_ends_the_run_and_the_next_one_goes_on(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    blobs = provider.blobs = BlobsThatFailLater()
    archive = Mbox(mbox_file(tmp_path, b"".join(FROM + b"\n%d\n\n" % n for n in range(40))))
    with pytest.raises(Refusal) as refused:
        await run(provider, archive)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert len(provider.rows(key)) == 16
    blobs.left = 99
    steps = await run(provider, archive)
    assert [step.known for step in steps] == [True] * 16 + [False] * 24
    assert await provider.texts(key) == [b"\r\n%d\r\n" % n for n in range(40)]


async def test_a_full_maildrop_refuses_and_keeps_no_blob(provider: Provider, tmp_path: Path) -> None:
    key = provider.add("u@a.example", quota_octets=10)
    archive = Mbox(mbox_file(tmp_path, FROM + b"\nxx\n\n" + FROM + b"\n" + b"x" * 20 + b"\n\n" + FROM + b"\nyyy\n\n"))
    steps = await run(provider, archive)
    reasons = [step.refusal.reason if step.refusal else None for step in steps]
    assert reasons == [None, Reason.NEVER_FITS, Reason.OVER_QUOTA]
    assert len(provider.rows(key)) == len(await provider.keys()) == 1


async def test_a_duplicate_x_uidl_is_kept_once(provider: Provider, key: MaildropKey, tmp_path: Path) -> None:
    await run(provider, Mbox(mbox_file(tmp_path, (FROM + b"X-UIDL: same\n\nx\n\n") * 2)))
    assert unique_ids(provider, key) == ["same", None]


async def test_a_unique_id_that_the_maildrop_has_already_is_not_kept(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """G7: neither one of another archive, removed or not, nor one of Poplar's own."""
    first = FROM + b"X-UIDL: same\n\nx\n\n" + FROM + b"\nown\n\n"
    await run(provider, Mbox(mbox_file(tmp_path, first)))
    own = provider.rows(key)[1].message.unique_id.hex.encode()
    second = FROM + b"X-UIDL: same\n\ny\n\n" + FROM + b"X-UIDL: " + own + b"\n\nz\n\n" + FROM + b"X-UIDL: new\n\n"
    await run(provider, Mbox(mbox_file(tmp_path, second)))
    assert unique_ids(provider, key) == ["same", None, None, None, "new"]
    for archive in (first, second, first):
        steps = await run(provider, Mbox(mbox_file(tmp_path, archive)))
        assert all(step.known for step in steps)
    provider.remove(key, provider.clock.moment)
    await run(provider, Mbox(mbox_file(tmp_path, FROM + b"X-UIDL: same\n\nafter\n\n")))
    assert unique_ids(provider, key)[5:] == [None]


async def test_a_maildir_is_imported_by_time_of_arrival(provider: Provider, key: MaildropKey, tmp_path: Path) -> None:
    dovecot(
        tmp_path, "cur/300.c.host:2,S", "new/100.a.host", "cur/1000.d.host:2,ST", "cur/200.b.host:2,RS", "new/.hidden"
    )
    assert isinstance(open_archive(tmp_path), Maildir)
    steps = await run(provider, open_archive(tmp_path))
    assert [step.name for step in steps] == ["new/100.a.host", "cur/200.b.host:2,RS", "cur/300.c.host:2,S"]
    assert await provider.texts(key) == [b"Subject: %d\r\n\r\ntext\r\n" % n for n in (1, 3, 0)]


async def test_dovecots_unique_ids_are_kept(provider: Provider, key: MaildropKey, tmp_path: Path) -> None:
    dovecot(tmp_path, "cur/1.a,S=9,W=11:2,S", "new/2.b", "new/3.c", "cur/5.e:2,", "new/6.f", "new/7.g")
    (tmp_path / "dovecot-uidlist").write_text(
        "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
        "25006 W11 :1.a,S=9,W=11:2,S\n25007 Pold-uidl.7 W11 :2.b\n25008 :3.c\nnonsense\n"
        "25009 Pmsg:0002 W11 :5.e:2,\n25010 S4 P: :6.f\n25011 Pa:b:c:7 :7.g\n"
    )
    await run(provider, open_archive(tmp_path))
    kept = ["000061ae4c0907b0", "old-uidl.7", "000061b04c0907b0", "msg:0002", ":", "a:b:c:7"]
    assert unique_ids(provider, key) == kept


@pytest.mark.parametrize("content", ["", "2 1275660208 25022\n1 x\n", "garbage"])
async def test_another_list_of_unique_ids_is_ignored(
    provider: Provider, key: MaildropKey, tmp_path: Path, content: str
) -> None:
    dovecot(tmp_path, "cur/1.a")
    (tmp_path / "dovecot-uidlist").write_text(content)
    await run(provider, open_archive(tmp_path))
    assert unique_ids(provider, key) == [None]


async def test_a_file_that_vanishes_or_changes_is_refused_alone(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    dovecot(tmp_path, "cur/1.a", "cur/2.b", "cur/3.c")
    changing = tmp_path / "cur/2.b"

    class Changing(MemoryBlobStore):
        async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
            changing.write_bytes(b"Subject: other\n\ntext\n")
            await super().put(key, chunks)

    provider.blobs = Changing()
    archive = open_archive(tmp_path)
    messages = list(archive.messages())
    (tmp_path / "cur/1.a").unlink()

    class Listed:
        octets = archive.octets

        def messages(self) -> Iterator[ArchivedMessage]:
            return iter(messages)

    steps = await run(provider, Listed())
    assert [step.refusal.reason if step.refusal else None for step in steps] == [
        Reason.NOT_FOUND,
        Reason.INVALID,
        None,
    ]
    assert len(provider.rows(key)) == len(await provider.keys()) == 1


async def test_g10_no_link_in_a_maildir_leads_to_anothers_mail(
    provider: Provider, key: MaildropKey, tmp_path: Path
) -> None:
    """Nor one that takes the place of a folder while the import runs. The operator may name the Maildir by a link."""
    other, own = dovecot(tmp_path / "other", "cur/1.a", "new/2.b"), dovecot(tmp_path / "own", "new/2.b", "new/3.c")
    (own / "cur").rmdir()
    (own / "cur").symlink_to(other / "cur")
    (own / "new/1.x").symlink_to(other / "cur/1.a")
    (own / "new/4.x").symlink_to(tmp_path / "nothing")
    (tmp_path / "named").symlink_to(own)
    steps = await run(provider, open_archive(tmp_path / "named"))
    assert {step.name for step in steps if step.refusal and "is a link" in step.refusal.cause} == {
        "named/cur",
        "new/1.x",
    }
    assert [step.name for step in steps if not step.refusal] == ["new/2.b", "new/3.c"]
    messages = list(open_archive(own).messages())
    (own / "new").rename(own / "old")
    (own / "new").symlink_to(other / "new")
    for message in messages:
        with pytest.raises(OSError, match="is a link"):
            list(message.pieces())


@pytest.mark.parametrize("address", ["other@a.example", "whoever@a.example", "nonsense"])
async def test_only_a_maildrops_own_address_is_imported_into(
    provider: Provider, key: MaildropKey, address: str
) -> None:
    provider.alias("other@a.example", key)
    provider.alias("@a.example", key)
    with pytest.raises(Refusal) as refused:
        await import_recipient(provider.directory, address)
    assert refused.value.reason in {Reason.NO_RECIPIENT, Reason.INVALID}


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"hello\n")
    for path in (tmp_path, tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(Refusal) as refused:
            open_archive(path)
        assert refused.value.reason is Reason.INVALID


def test_a_file_that_became_shorter_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = mbox_file(tmp_path, FROM + b"A: b\n\n" + b"x" * 1000 + b"\n")
    (message,) = Mbox(path).messages()
    os.truncate(path, 100)
    with pytest.raises(OSError, match="shorter"):
        list(message.pieces())
