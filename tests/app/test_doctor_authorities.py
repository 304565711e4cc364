"""The doctor finds the files of authorities without which a front end doesn't start."""

from pathlib import Path

import pytest
import trustme

from service.app.doctor import examine
from service.app.doctor.authorities import check_authority_files
from service.app.doctor.findings import Finding
from service.settings import Settings
from tests.app.conftest import Make, Values, listener


async def findings(settings: Settings) -> list[Finding]:
    return [finding async for finding in check_authority_files(settings)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authorities.pem"


@pytest.fixture
def sections(values: Values, path: Path) -> Values:
    """Both settings, with the one file."""
    return {"tls": values["tls"] | {"client_ca": str(path)}, "oauth": {"ca_file": str(path)}}


@pytest.fixture(params=[None, "", "nonsense"])
def broken(request: pytest.FixtureRequest, path: Path) -> Path:
    """A file that isn't there, or is none of authorities."""
    if request.param is not None:
        path.write_text(request.param)
    return path


async def test_authorities_that_a_front_end_can_t_read_are_wrong(make: Make, sections: Values, broken: Path) -> None:
    found = await findings(make(**sections))
    assert [(each.subject, each.state) for each in found] == [("tls.client_ca", "wrong"), ("oauth.ca_file", "wrong")]
    assert all(str(broken) in each.text for each in found)


async def test_authorities_that_can_be_read_are_good(make: Make, sections: Values, path: Path, ca: trustme.CA) -> None:
    ca.cert_pem.write_to_path(str(path))
    found = {each.subject: each.state for each in await examine(make(**sections))}
    assert (found["tls.client_ca"], found["oauth.ca_file"]) == ("good", "good")


async def test_authorities_are_of_no_concern_to_who_does_not_read_them(make: Make, sections: Values) -> None:
    delivering = make(**sections, database={"lmtp_url": "postgresql://127.0.0.1:1/x"})
    assert await findings(delivering) == []
    clear = make(**sections, listeners=[listener("pop3")])
    assert [each.subject for each in await findings(clear)] == ["oauth.ca_file"]
    assert await findings(make()) == []
