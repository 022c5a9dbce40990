"""Certificates that are renewed while the server runs."""

import os

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.security.reloading import Reloading


class Engine:
    def __init__(self, file):
        self._file, self.used = file, []
        self.reload()

    def reload(self):
        text = self._file.read_text()
        if text == "broken":
            raise SettingsError("it is broken")
        self.used.append(text)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "server.pem"
    file.write_text("first")
    return file


async def test_engines_read_files_that_are_others(file, tmp_path, capsys):
    watched = Reloading((file, None, tmp_path / "missing"))
    one, two = watched.add(Engine(file)), watched.add(Engine(file))

    async def look():
        watched.follow(watched._look())

    await look()
    assert (one.used, two.used) == (["first"], ["first"])
    file.write_text("second!")
    await look()
    assert one.used == two.used == ["first", "second!"]
    file.write_text("broken")
    await look()
    await look()
    assert one.used == ["first", "second!"]
    told = capsys.readouterr().out
    assert told.count("it is broken") == 1
    # In place of the other, as certificate managers do it; with the same size.
    (tmp_path / "new").write_text("third!!")
    os.replace(tmp_path / "new", file)
    await look()
    assert two.used == ["first", "second!", "third!!"]


async def test_without_files_there_is_nothing_to_watch(file):
    nothing = Reloading((None, None))
    nothing.add(Engine(file))
    await nothing.watch()
    await Reloading((file,)).watch()
