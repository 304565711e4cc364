"""What a directory's file system refuses: what it is counted as, and what the log is told of it."""

import errno
import os
from pathlib import Path

import pytest

from service.model.refusal import Reason, Refusal
from service.stores.objects import open_blobs
from tests.stores.test_begun import Counted, text_of


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EMFILE, "overload"),
        (errno.ENFILE, "overload"),
        (errno.EROFS, "denied"),
        (errno.EACCES, "denied"),
        (errno.EIO, "protocol"),
    ],
)
async def test_an_error_of_a_file_is_counted_by_its_number_and_told_without_its_path(
    number: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_file: int, _octets: bytes) -> int:
        raise OSError(number, os.strerror(number), "/var/mail/t/1")

    seen = Counted()
    store = open_blobs(f"file://{tmp_path}/mail", observer=seen)
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", failing)
        with pytest.raises(Refusal) as refused:
            await store.put("t/1", text_of(b"mail"))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert refused.value.cause == f"objects: {kind}: {os.strerror(number)}"
    assert seen.kinds == [kind]
