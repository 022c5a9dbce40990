"""Places of definition files, and changes in them."""

import os

import pytest

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.ddf import MAX_BYTES
from lwm2m_engine.model.normalized import write
from lwm2m_engine.model.sources import Sources, bundled_directory
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.values import ResourceType


def ddf(object_id=33333, version="1.0", name="Tank", kind=ResourceType.INTEGER):
    level = ResourceSpec(1, "Level", "level", kind, "R", multiple=False, mandatory=True)
    urn = f"urn:oma:lwm2m:x:{object_id}:{version}"
    return write(ObjectSpec(object_id, name, version, "1.0", urn, False, False, {1: level}))


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "xml"
    directory.mkdir()
    return directory


def reasons(definitions):
    return [(problem.file, problem.reason) for problem in definitions.problems]


def test_a_dropped_file_is_seen_and_its_removal_restores_the_former_state(place, tmp_path):
    (place / "tank.xml").write_bytes(ddf())
    other = tmp_path / "other"
    sources = Sources([place, other])
    before = Catalog.of(sources)
    assert not sources.changed()

    other.mkdir()
    dropped = other / "mine.xml"
    dropped.write_bytes(ddf(name="My Tank", kind=ResourceType.FLOAT))
    (other / "new.xml").write_bytes(ddf(33334))
    assert sources.changed()
    assert sources.changed()
    after = Catalog.of(sources)
    assert not sources.changed()
    assert (after[33333].name, after.types((33333, 0, 1))) == ("My Tank", ResourceType.FLOAT)
    assert 33334 in after

    dropped.unlink()
    (other / "new.xml").unlink()
    assert sources.changed()
    restored = Catalog.of(sources)
    assert list(restored) == list(before)
    assert restored[33333].name == "Tank"


def test_a_change_within_a_file_is_seen(place):
    file = place / "tank.xml"
    file.write_bytes(ddf(name="Tank"))
    sources = Sources([place])
    sources.read()
    file.write_bytes(ddf(name="Drum"))
    os.utime(file, ns=(1, 1))
    assert sources.changed()
    assert Catalog.of(sources)[33333].name == "Drum"


def test_unchanged_files_are_not_parsed_again(place):
    (place / "a.xml").write_bytes(ddf())
    sources = Sources([place])
    (first,) = sources.read().objects
    (place / "b.xml").write_bytes(ddf(33334))
    assert sources.read().objects[0] is first


def test_changed_is_true_before_the_first_read(place):
    assert Sources([place]).changed()


def test_one_bad_file_is_one_problem_and_the_others_count(place):
    (place / "a.xml").write_bytes(b"<LWM2M>\n<Object></LWM2M>")
    (place / "b.xml").write_bytes(ddf())
    (place / "c.xml").write_bytes(b"")
    (place / "d.xml").write_bytes(b" " * (MAX_BYTES + 1))
    catalog = Catalog.of(Sources([place]))
    assert 33333 in catalog
    rows = [(os.path.basename(problem.file), problem.line, problem.refused) for problem in catalog.problems]
    assert rows == [("a.xml", 2, True), ("c.xml", catalog.problems[1].line, True), ("d.xml", None, True)]
    assert catalog.problems[2].reason == f"{MAX_BYTES + 1} bytes, more than {MAX_BYTES}"


def test_a_bad_file_leaves_the_definition_of_an_earlier_place(place, tmp_path):
    (place / "tank.xml").write_bytes(ddf())
    bad = tmp_path / "tank.xml"
    bad.write_bytes(ddf()[:-20])
    catalog = Catalog.of(Sources([place, bad]))
    assert catalog[33333].name == "Tank"
    assert [problem.file for problem in catalog.problems] == [str(bad)]


def test_different_definitions_in_one_place_are_a_problem(place):
    (place / "a.xml").write_bytes(ddf(name="Tank"))
    (place / "b.xml").write_bytes(ddf(name="Drum"))
    (place / "c.xml").write_bytes(ddf(name="Tank"))
    definitions = Sources([place]).read()
    assert [spec.name for spec in definitions.objects] == ["Tank"]
    text = f"object 33333 version 1.0 differs from that in {place / 'a.xml'}"
    assert reasons(definitions) == [(str(place / "b.xml"), text)]
    assert definitions.problems[0].refused


def test_what_is_searched_in_a_directory(place):
    for name in ("a.xml", "B.XML", "below/deeper/c.xml", "notes.txt", ".hidden.xml", ".git/d.xml"):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ddf(33000 + len(name)))
    os.mkfifo(place / "pipe.xml")
    os.symlink(place / "nowhere", place / "broken.xml")
    sources = Sources([place])
    sources.read()
    assert [os.path.relpath(file, place) for file in sources.files] == [
        "B.XML",
        "a.xml",
        "below/deeper/c.xml",
    ]


def test_a_single_file_may_have_any_name(tmp_path):
    file = tmp_path / "tank.ddf"
    file.write_bytes(ddf())
    assert Catalog.of(Sources([file]))[33333].source == str(file)


def test_a_place_may_come_into_being_later(tmp_path):
    optional, expected = tmp_path / "optional", tmp_path / "expected"
    sources = Sources([optional], expected=[expected])
    assert reasons(sources.read()) == [(str(expected), "no such file or directory")]
    assert not sources.changed()
    expected.mkdir()
    (expected / "tank.xml").write_bytes(ddf())
    assert sources.changed()
    definitions = sources.read()
    assert [spec.id for spec in definitions.objects] == [33333]
    assert definitions.problems == ()


def test_a_place_named_twice_counts_once(place):
    assert Sources([place, place.parent / "b" / ".." / "xml"], expected=[place]).places == (place,)


def test_standard_places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    user = tmp_path / "lwm2m" / "models"
    places = Sources.standard([tmp_path / "m"], plugins=[tmp_path / "p"], working=tmp_path / "w").places
    assert places[0] == bundled_directory()
    assert places[1] == tmp_path / "p"
    assert places[3:] == (user, tmp_path / "w", tmp_path / "m")


def test_load_adds_to_the_bundled_registry(place):
    (place / "tank.xml").write_bytes(ddf())
    (place / "device.xml").write_bytes(ddf(3, "1.2", name="My Device"))
    catalog = Catalog.load(place)
    assert len(catalog) == 328
    assert catalog[3].name == "My Device"
    assert catalog[3, "1.1"].name == "Device"
    assert Catalog.bundled()[3].name == "Device"


def test_load_says_that_a_path_does_not_exist(tmp_path):
    catalog = Catalog.load(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in [problem.file for problem in catalog.problems if not problem.refused]
