"""One demo a folder, nobody else's folder, files that are never half written, a certificate by name (RFC 6125 §6.4)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from service.embedded.certificate import certificate_files
from service.embedded.process import EmbeddedError
from service.embedded.state import note, recall, state_folder, write_whole


def test_a_second_holder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with state_folder(tmp_path / "s"), pytest.raises(EmbeddedError, match=r"already runs on .* \(process \d+\)"):
        state_folder(tmp_path / "s").__enter__()


def test_the_next_holder_finds_what_was_noted(tmp_path: Path) -> None:
    with state_folder(tmp_path / "s") as state:
        assert recall(state) == {}
        note(state, {"delivered": 3})
    with state_folder(tmp_path / "s") as state:
        assert recall(state) == {"delivered": 3}


def test_fresh_forgets_all(tmp_path: Path) -> None:
    with state_folder(tmp_path / "s") as state:
        note(state, {"delivered": 3})
        (state / "blobs").mkdir()
    with state_folder(tmp_path / "s", fresh=True) as state:
        assert recall(state) == {}
        assert not (state / "blobs").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_strangers_folder_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(EmbeddedError, match="files that are not a demo's"):
        state_folder(tmp_path, fresh=fresh).__enter__()
    assert (tmp_path / "thesis.tex").read_text() == "ten years of work"


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(EmbeddedError, match="is not a folder"):
        state_folder(tmp_path / "s").__enter__()


def test_what_is_written_whole_is_its_owners_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep" / "ready.json", "{}")
    assert (tmp_path / "deep" / "ready.json").stat().st_mode & 0o077 == 0
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["ready.json"]


def test_certificates_are_made_once(tmp_path: Path) -> None:
    first = certificate_files(tmp_path).ca_file.read_bytes()
    assert certificate_files(tmp_path).ca_file.read_bytes() == first


def test_half_made_certificates_are_made_anew(tmp_path: Path) -> None:
    files = certificate_files(tmp_path)
    before = files.ca_file.read_bytes()
    (files.folder / "default.crt").unlink()
    assert certificate_files(tmp_path).ca_file.read_bytes() != before


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    assert (certificate_files(tmp_path).folder / "default.key").stat().st_mode & 0o077 == 0


def test_the_certificate_names_this_machine_for_at_most_825_days(tmp_path: Path) -> None:
    read = x509.load_pem_x509_certificate((certificate_files(tmp_path).folder / "default.crt").read_bytes())
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert sorted(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]
    assert read.not_valid_after_utc - read.not_valid_before_utc <= timedelta(days=825)


def test_a_certificate_about_to_expire_is_made_anew(tmp_path: Path) -> None:
    files = certificate_files(tmp_path)
    soon = datetime.now(UTC) + timedelta(days=20)
    trustme.CA().issue_cert("localhost", not_after=soon).cert_chain_pems[0].write_to_path(files.folder / "default.crt")
    before = files.ca_file.read_bytes()
    assert certificate_files(tmp_path).ca_file.read_bytes() != before
