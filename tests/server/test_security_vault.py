"""The key file, and what is sealed with the key in it."""

import os
import stat

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.security.vault import Vault, make_key_file


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "credentials.key"
    make_key_file(made)
    return made


def test_what_is_sealed_can_be_opened_where_it_belongs(file):
    vault = Vault.load(file)
    sealed = vault.seal(b"secret", b"7/management")
    assert b"secret" not in sealed
    assert vault.seal(b"secret", b"7/management") != sealed
    assert Vault.load(file).open(sealed, b"7/management") == b"secret"
    for other in (b"8/management", b"7/bootstrap"):
        with pytest.raises(SettingsError):
            vault.open(sealed, other)
    with pytest.raises(SettingsError):
        vault.open(sealed[:-1], b"7/management")
    with pytest.raises(SettingsError):
        vault.open(b"", b"7/management")


def test_another_key_is_told_by_its_fingerprint(file, tmp_path):
    vault, other = Vault.load(file), Vault(bytes(32), "elsewhere")
    assert vault.fingerprint != other.fingerprint
    with pytest.raises(SettingsError, match=rf"key_file.*{other.fingerprint} \(elsewhere\)"):
        other.open(vault.seal(b"secret", b"x"), b"x")


def test_the_key_is_the_owners_alone_and_never_overwritten(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="exists"):
        make_key_file(file)
    assert file.read_bytes() == before
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="can be read by others"):
        Vault.load(file)


@pytest.mark.parametrize("content", [b"", b"not a key", b"AAAA\n", b"\xff" * 44, b"A" * 5000])
def test_a_file_that_is_no_key_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="is no key file"):
        Vault.load(file)


def test_places_that_do_not_work(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        Vault.load(tmp_path / "missing")
    with pytest.raises(SettingsError, match="No such file"):
        make_key_file(tmp_path / "missing" / "key")
    with pytest.raises(SettingsError):
        Vault.load(tmp_path)


def test_the_key_is_in_nothing_that_prints(file):
    vault, key = Vault.load(file), file.read_text().strip()
    shown = f"{vault!r} {vault.place} {vault.fingerprint} {os.path.basename(vault.place)}"
    assert key not in shown
