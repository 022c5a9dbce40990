"""One process per data directory."""

import subprocess
import sys

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.store.lock import DataDirectory

TRY = """
import sys
from pathlib import Path
from lwm2m_engine.errors import SettingsError
from lwm2m_server.store.lock import DataDirectory
try:
    DataDirectory(Path(sys.argv[1]))
except SettingsError as error:
    sys.exit(str(error))
"""


def attempt(path):
    return subprocess.run(
        [sys.executable, "-c", TRY, str(path)], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_second_process_is_refused_until_the_first_lets_go(tmp_path):
    with DataDirectory(tmp_path):
        second = attempt(tmp_path)
        assert (second.returncode, second.stderr.strip()) == (
            1,
            f"data directory {tmp_path} is in use by another process",
        )
    assert attempt(tmp_path).returncode == 0


def test_a_second_holder_in_the_same_process_is_refused(tmp_path):
    with DataDirectory(tmp_path), pytest.raises(SettingsError, match="in use"):
        DataDirectory(tmp_path)
    DataDirectory(tmp_path).close()


def test_a_new_directory_is_its_owners_only(tmp_path):
    with DataDirectory(tmp_path / "a" / "data") as data:
        assert data.path.stat().st_mode & 0o777 == 0o700
        assert (data.path / "lock").stat().st_mode & 0o777 == 0o600
        assert (data.ledger.parent, data.inventory.parent) == (data.path, data.path)


def test_a_place_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"data directory .*file"):
        DataDirectory(tmp_path / "file")
