"""Export: a maildrop into a Maildir that another server serves under the same UIDLs. RFC 1939 §7.

What Dovecot 2.3.19 made of such a Maildir stands in deploy/by-hand.md: it served every message under its UIDL.
"""

import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from service.mail.exported_maildir import ExportedMaildir
from service.mail.exporting import Exported, begin_export
from service.mail.importing import open_archive
from service.mail.patience import Patience
from service.mail.provisioning import Office
from service.mail.retrieval import Resumption, Retrieval
from service.model.refusal import Reason, Refusal
from service.stores.memory.tenancy import memory_tenancy
from tests.mail.house import ADDRESS, House, Interrupted

TEXTS = [b"Subject: %d\r\n\r\n" % n + b"." * n + b"x\r\n" for n in range(40)]


@dataclass
class Damaged(Interrupted):
    """Gives other octets than were stored for some blobs, or fails for good after so many."""

    damaged: set[str] = field(default_factory=set)
    left: int = 1000

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        yield await self.read(key, start, end, patience)

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise Refusal(Reason.UNAVAILABLE, "away")
        octets = await self.behind.read(key, start, end, patience)
        return octets[:-1] + b"?" if key in self.damaged else octets


async def run(house: House, path: Path, blobs: Damaged | None = None) -> list[Exported]:
    office = Office(memory_tenancy(house.provider.state), "cli:tester", timedelta(days=7))
    retrieval = Retrieval(blobs or house.blobs, Resumption(pause=0))
    export = await begin_export(office, retrieval, ADDRESS, path)
    return [one async for one in export.run()]


def archived(path: Path) -> list[tuple[str | None, bytes]]:
    """What an import reads there: UIDLs and texts."""
    return [(one.unique_id, b"".join(one.pieces())) for one in open_archive(path).messages()]


def uidls(house: House) -> list[str]:
    """What clients are told of the listed messages."""
    listed = [row.message for row in house.provider.rows(house.key) if row.removed_at is None]
    return [one.imported_unique_id or one.unique_id.hex for one in listed]


async def furnished(*texts: bytes) -> House:
    house = await House().furnish(*texts)
    row = house.provider.rows(house.key)[0]
    row.message = type(row.message)(
        row.message.unique_id, row.message.blob, row.message.received, b"Received: by x\r\n", "0000001!kept"
    )
    return house


async def test_every_listed_message_is_there_under_the_uidl_that_clients_know(tmp_path: Path) -> None:
    house = await furnished(*TEXTS)
    removed = house.provider.rows(house.key)[7]
    removed.removed_at, removed.removed_in = house.clock.now(), 1
    retrieved = house.provider.rows(house.key)[3]
    retrieved.retrieved_at = house.clock.now()
    exported = await run(house, tmp_path / "deep" / "Maildir")
    texts = [b"Received: by x\r\n" + TEXTS[0], *TEXTS[1:7], *TEXTS[8:]]
    assert [one.unique_id for one in exported] == uidls(house)
    assert sorted(archived(tmp_path / "deep" / "Maildir")) == sorted(zip(uidls(house), texts, strict=True))
    names = sorted(file.name for file in (tmp_path / "deep" / "Maildir" / "cur").iterdir())
    assert [name for name in names if name.endswith(":2,S")] == [
        name for name in names if retrieved.message.unique_id.hex in name
    ]
    assert not list((tmp_path / "deep" / "Maildir" / "tmp").iterdir())


async def test_numbers_follow_the_order_of_the_maildrop_and_the_list_says_the_next_one(tmp_path: Path) -> None:
    house = await furnished(*TEXTS[:3])
    await run(house, tmp_path / "m")
    head, *lines = (tmp_path / "m" / "dovecot-uidlist").read_text().splitlines()
    assert head.split()[0] == "3"
    assert head.split()[2:] == ["N4", f"G{house.key.maildrop_id.hex}"]
    assert [line.split(" :")[0] for line in lines] == [f"{n} P{uidl}" for n, uidl in enumerate(uidls(house), 1)]
    for line in lines:
        name = line.partition(" :")[2]
        (file,) = (tmp_path / "m" / "cur").glob(f"{name}:2,*")
        assert f",S={file.stat().st_size},W={file.stat().st_size}" in name


async def test_a_second_run_adds_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    house = await furnished(*TEXTS[:3])
    await run(house, tmp_path / "m")
    before = (tmp_path / "m" / "dovecot-uidlist").read_text().splitlines()[1:]
    gone = house.provider.rows(house.key)[1]
    gone.removed_at, gone.removed_in = house.clock.now(), 1
    await house.deliver(TEXTS[9])
    assert [one.known for one in await run(house, tmp_path / "m")] == [True, True, False]
    after = (tmp_path / "m" / "dovecot-uidlist").read_text().splitlines()
    assert after[1:4] == before
    assert after[4].startswith("4 P")
    assert after[0].split()[2] == "N5"
    assert len(archived(tmp_path / "m")) == 4


async def test_a_run_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    house = await furnished(*TEXTS)
    with pytest.raises(Refusal) as refused:
        await run(house, tmp_path / "m", Damaged(house.blobs.behind, left=20))
    assert refused.value.reason is Reason.UNAVAILABLE
    exported = await run(house, tmp_path / "m")
    assert sum(one.known for one in exported) == 20
    assert sorted(one for one, _ in archived(tmp_path / "m") if one) == sorted(uidls(house))


async def test_g8_a_damaged_message_is_refused_and_nothing_of_it_is_there(tmp_path: Path) -> None:
    house = await furnished(*TEXTS[:3])
    bad = house.provider.rows(house.key)[1].message
    exported = await run(house, tmp_path / "m", Damaged(house.blobs.behind, damaged={bad.blob.key}))
    assert [one.refusal is None for one in exported] == [True, False, True]
    assert bad.unique_id.hex not in (tmp_path / "m" / "dovecot-uidlist").read_text()
    assert len(list((tmp_path / "m" / "cur").iterdir())) == 2
    assert not list((tmp_path / "m" / "tmp").iterdir())


async def test_the_audit_says_who_was_given_the_mail_though_it_broke_off(tmp_path: Path) -> None:
    house = await furnished(*TEXTS[:2])
    with pytest.raises(Refusal):
        await run(house, tmp_path / "m", Damaged(house.blobs.behind, left=0))
    ((_, entry),) = house.provider.state.audit
    assert (entry.actor, entry.action, entry.subject) == ("cli:tester", "maildrop.export", ADDRESS)
    assert entry.details == {"path": str(tmp_path / "m"), "messages": 2}


async def test_no_session_ends_and_nothing_changes(tmp_path: Path) -> None:
    house = await furnished(*TEXTS[:2])
    held = await house.open()
    await run(house, tmp_path / "m")
    await house.update(held, [1, 2])
    assert uidls(house) == []


@pytest.mark.parametrize("there", ["mail", "another's list", "another maildrop's", "a file", "a link"])
async def test_g10_a_folder_of_something_else_is_refused_before_anybody_is_given_anything(
    tmp_path: Path, there: str
) -> None:
    house, path = await furnished(*TEXTS[:1]), tmp_path / "m"
    if there == "a file":
        path.write_text("x")
    elif there == "another maildrop's":
        ExportedMaildir(path, house.provider.add("v@a.example").maildrop_id)
    else:
        (path / "new").mkdir(parents=True)
    if there == "mail":
        (path / "new" / "1.x").write_text("x")
    elif there == "another's list":
        (path / "dovecot-uidlist").write_text("3 V1 N2\n1 :x\n")
    elif there == "a link":
        (tmp_path / "elsewhere").mkdir()
        (path / "cur").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal) as refused:
        await run(house, path)
    assert refused.value.reason is Reason.INVALID
    assert not house.provider.state.audit


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    house, before = await furnished(*TEXTS[:1]), os.umask(0)
    try:
        await run(house, tmp_path / "m")
    finally:
        os.umask(before)
    for each in (tmp_path / "m", *(tmp_path / "m").rglob("*")):
        assert each.stat().st_mode & 0o077 == 0


async def test_an_address_without_a_maildrop_is_not_found(tmp_path: Path) -> None:
    house = await furnished(*TEXTS[:1])
    office = Office(memory_tenancy(house.provider.state), "cli:tester", timedelta(days=7))
    with pytest.raises(Refusal) as refused:
        await begin_export(office, house.retrieval, f"no-{ADDRESS}", tmp_path / "m")
    assert refused.value.reason is Reason.NOT_FOUND
    assert not (tmp_path / "m").exists()
