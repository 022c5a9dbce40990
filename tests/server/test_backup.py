"""Backups: of one moment while others write, sealed, and whole when they are there."""

from __future__ import annotations

import json
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.backup import AHEAD, back_up
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource


def _names(file: Path) -> dict[str, int]:
    with tarfile.open(file) as archive:
        return {member.name: member.mode for member in archive}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "inventory.json").write_text('{"tenants": []}')
    (folder / "credentials.key").write_text("secret")
    (folder / "token.keys").write_text("secret")
    (folder / "lock").write_text("")
    return folder


def _resource(number: int) -> Resource:
    return Resource(number, "main", 1, f"r{number}", 3, "m2m:cnt", {"lbl": ["x" * 500]}, number)


def test_key_files_are_in_it_only_if_wanted(folder, tmp_path):
    SqliteLedger(folder / "ledger.db").close()
    manifest = back_up(folder, tmp_path / "a.tar")
    assert manifest["keys"] == []
    assert _names(tmp_path / "a.tar") == dict.fromkeys(
        ("manifest.json", "ledger.db", "inventory.json"), 0o600
    )
    back_up(folder, tmp_path / "b.tar", keys=True)
    assert {"credentials.key", "token.keys"} <= _names(tmp_path / "b.tar").keys()
    with tarfile.open(tmp_path / "b.tar") as archive:
        shown = json.load(archive.extractfile("manifest.json"))
    assert shown["keys"] == ["credentials.key", "token.keys"]
    assert shown["schema"] >= 7
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.tar", "b.tar", "data"]


def test_uploaded_models_are_in_it_whatever_comes_and_goes_meanwhile(folder, tmp_path, monkeypatch):
    SqliteLedger(folder / "ledger.db").close()
    models = folder / "models"
    models.mkdir()
    for name in ("aa.xml", "bb.xml", "cc.new"):
        (models / name).write_text(name)
    add = tarfile.TarFile.add

    def meanwhile(self, file, name, **more):
        if name == "models/aa.xml":
            (models / "bb.xml").unlink()
        elif name == "inventory.json":
            (models / "dd.xml").write_text("dd")
        add(self, file, name, **more)

    monkeypatch.setattr(tarfile.TarFile, "add", meanwhile)
    back_up(folder, tmp_path / "a.tar")
    names = [name for name in _names(tmp_path / "a.tar") if name.startswith("models")]
    assert names == ["models/aa.xml", "models/dd.xml"]


def test_it_is_of_one_moment_while_a_server_writes(folder, tmp_path):
    ledger = SqliteLedger(folder / "ledger.db")
    for number in range(1, 200):
        ledger.run(lambda write, number=number: write.put(_resource(number * 2)))
    stop, written = threading.Event(), []

    def write() -> None:
        number = 1000
        while not stop.is_set():
            # Two rows together or none.
            first, second = _resource(number), _resource(number + 1)
            ledger.run(lambda write, one=first, two=second: (write.put(one), write.put(two)))
            written.append(number)
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not written:
            pass
        steps: list[int] = []

        def progress(rest: int, all: int) -> None:
            steps.append(rest)
            # Something is written between the steps.
            count = len(written)
            while len(written) == count:
                pass

        back_up(folder, tmp_path / "a.tar", progress=progress)
    finally:
        stop.set()
        writer.join()
        ledger.close()
    assert steps[-1] == 0
    restored = tmp_path / "restored"
    with tarfile.open(tmp_path / "a.tar") as archive:
        archive.extractall(restored)
    copy = SqliteLedger(restored / "ledger.db")
    ids = {one.id for one in copy.reader.children(1)}
    assert ids >= {number * 2 for number in range(1, 200)}
    late = {number for number in ids if number >= 1000}
    assert late
    assert late == {number + other for number in written for other in (0, 1) if number in late}
    assert len(late) < 2 * len(written)
    copy.close()


def test_sequence_numbers_of_oscore_are_never_used_again(folder, tmp_path):
    ledger = SqliteLedger(folder / "ledger.db")
    ledger.run(lambda write: write.take_oscore_numbers(7, 100, 0))
    back_up(folder, tmp_path / "a.tar")
    assert ledger.run(lambda write: write.take_oscore_numbers(7, 1, 0)) == 100
    ledger.close()
    with tarfile.open(tmp_path / "a.tar") as archive:
        archive.extractall(tmp_path / "restored")
    copy = SqliteLedger(tmp_path / "restored" / "ledger.db")
    assert copy.run(lambda write: write.take_oscore_numbers(7, 1, 0)) == 100 + AHEAD
    copy.close()


def test_what_cannot_be_backed_up(folder, tmp_path):
    with pytest.raises(SettingsError, match="no data folder"):
        back_up(folder, tmp_path / "a.tar")
    SqliteLedger(folder / "ledger.db").close()
    (tmp_path / "a.tar").write_text("something else")
    with pytest.raises(SettingsError, match="exists already"):
        back_up(folder, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_text() == "something else"
    with pytest.raises(SettingsError, match="cannot back up"):
        back_up(folder, tmp_path / "missing" / "a.tar")
