"""What CAPA announces is read now and then, and outlives an outage. RFC 2449 §6.5 and §6.7."""

import pytest
from structlog.testing import capture_logs

from service.app.front import Announcements
from service.model.policy import Announced
from service.model.refusal import Reason, Refusal
from tests.mail.provider import Provider

pytestmark = pytest.mark.asyncio


async def test_an_outage_of_the_directory_is_told_once_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    provider.add("user@example.org", login_delay=60)
    announcements = Announcements(provider.directory)
    await announcements.refresh()
    known = announcements.latest

    async def down() -> Announced:
        raise Refusal(Reason.UNAVAILABLE, "told to fail")

    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(provider.directory, "announced", down)
        await announcements.refresh()
        await announcements.refresh()
    assert announcements.latest == known
    assert known.login_delay == 60
    assert [line["event"] for line in lines] == ["unavailable"]
    with capture_logs() as lines:
        await announcements.refresh()
    assert [line["event"] for line in lines] == ["available again"]
