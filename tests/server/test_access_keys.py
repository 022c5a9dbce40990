"""Keys that tokens are signed with: a file for its owner, kept as long as tokens live; hashes of secrets."""

import json
import stat

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access import keys as module
from lwm2m_server.access.hashing import hash_secret, is_secret
from lwm2m_server.access.keys import AGE, SigningKeys

LIFETIME = 300


@pytest.fixture
def clock(monkeypatch):
    """``clock(seconds)`` lets time pass."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])

    def forward(seconds):
        now[0] += seconds

    return forward


@pytest.fixture
def file(tmp_path):
    return tmp_path / "token.keys"


def test_made_once_and_found_again(file):
    first = SigningKeys(file, LIFETIME).signing()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = SigningKeys(file, LIFETIME)
    assert again.signing().id == first.id
    assert again.public(first.id).public_numbers() == first.private.public_key().public_numbers()
    assert "private" not in repr(first)


def test_a_key_signs_for_a_while_and_is_known_as_long_as_its_tokens(file, clock):
    keys = SigningKeys(file, LIFETIME)
    first = keys.signing()
    clock(AGE - 1)
    assert keys.signing() is first
    clock(1)
    second = keys.signing()
    assert second.id != first.id
    assert SigningKeys(file, LIFETIME).signing().id == second.id
    # The last token of the first was signed just before the second was made.
    clock(LIFETIME - 1)
    third = keys.rotate()
    assert keys.public(first.id) is not None
    clock(LIFETIME)
    keys.rotate()
    assert keys.public(first.id) is None
    assert keys.public(second.id) is None
    assert keys.public(third.id) is not None
    keys.rotate(at_once=True)
    assert keys.public(third.id) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"keys": {"a": {}}}', '{"keys": {"a": {"made": 1, "private": "x"}}}']
)
def test_what_is_no_key_file_is_refused(file, text):
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(SettingsError, match=r"token\.keys"):
        SigningKeys(file, LIFETIME)


def test_a_file_that_others_can_read_is_refused(file):
    SigningKeys(file, LIFETIME)
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        SigningKeys(file, LIFETIME)


def test_no_key_is_lost_when_it_cannot_be_kept(file, tmp_path):
    keys = SigningKeys(file, LIFETIME)
    former, text = keys.signing(), json.loads(file.read_text())
    (tmp_path / "token.keys.new").mkdir()
    with pytest.raises(SettingsError):
        keys.rotate()
    assert keys.signing() is former
    assert json.loads(file.read_text()) == text


def test_hashes_of_secrets():
    hashed = hash_secret("s3cret")
    assert hashed.startswith("scrypt$16384$8$1$")
    assert "s3cret" not in hashed
    assert hash_secret("s3cret") != hashed
    assert is_secret("s3cret", hashed)
    assert not is_secret("s3cre", hashed)
    assert not is_secret("", hashed)
