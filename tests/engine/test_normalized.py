"""Definition files written anew."""

import os
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.model.ddf import parse
from lwm2m_engine.model.form import OPERATIONS
from lwm2m_engine.model.names import attribute_names
from lwm2m_engine.model.normalized import file_name, is_prose, write
from lwm2m_engine.model.sources import bundled_directory
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.values import ResourceType

BUNDLED = sorted(bundled_directory().glob("*.xml"))
VERSION = st.builds("{}.{}".format, st.integers(0, 20), st.integers(0, 20))
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=20)
NAME = TEXT.map(lambda text: " ".join(text.split())).filter(bool)
RANGE = st.sampled_from(["", "0..100", "<7 to >12.5", "0: OFF\n1: ON & more", "ON;OFF"]) | TEXT.map(str.strip)


@st.composite
def specs(draw):
    names = draw(st.dictionaries(st.integers(0, 65534), NAME, min_size=1, max_size=5))
    attributes = attribute_names(names.items())
    resources = {
        id: ResourceSpec(
            id,
            names[id],
            attributes[id],
            draw(st.sampled_from(ResourceType)),
            draw(st.sampled_from(sorted(OPERATIONS))),
            multiple=draw(st.booleans()),
            mandatory=draw(st.booleans()),
            range=draw(RANGE.filter(lambda text: not is_prose(text))),
            units=draw(st.sampled_from(["", "Cel", "/100"])),
        )
        for id in sorted(names)
    }
    object_id = draw(st.integers(0, 65534))
    flags = draw(st.booleans()), draw(st.booleans())
    urn = f"urn:oma:lwm2m:x:{object_id}"
    return ObjectSpec(object_id, draw(NAME), draw(VERSION), draw(VERSION), urn, *flags, resources)


@given(specs())
def test_what_is_written_is_read_back(spec):
    data = write(spec)
    assert parse(data).objects == (spec,)
    assert write(parse(data).objects[0]) == data


@pytest.mark.parametrize("file", BUNDLED, ids=lambda file: file.stem)
def test_the_bundled_files_are_normalized(file):
    data = file.read_bytes()
    found = parse(data, str(file))
    (spec,) = found.objects
    assert file.name == file_name(spec)
    assert write(spec) == data
    assert "schema" not in " ".join(problem.reason for problem in found.problems)


def test_a_range_that_is_prose_is_left_out():
    level = ResourceSpec(
        1, "Level", "level", ResourceType.STRING, "R", False, False, "The values are listed in 5.3"
    )
    spec = ObjectSpec(33333, "Tank", "1.0", "1.0", "urn:oma:lwm2m:x:33333", False, False, {1: level})
    (found,) = parse(write(spec)).objects
    assert found == attrs.evolve(spec, resources={1: attrs.evolve(level, range="")})


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("", False),
        ("0..255 bytes", False),
        ("0: CONFIGURED_ON\n\t1: FULL_ON\n\t2: RECALL", False),
        ("ON;OFF", False),
        ("<7 to >12.5", False),
        ("10 or 26 Bytes", False),
        ("The possible values of Resource are listed in 5.3.1.1", True),
    ],
)
def test_is_prose(text, prose):
    assert is_prose(text) is prose


def test_no_text_of_the_registry_is_copied():
    for file in BUNDLED:
        text = file.read_text("utf-8")
        assert text.count("<!--") == 1
        assert "<Description>" not in text
        assert "<Description1>" not in text
        assert "<Description2>" not in text


def test_the_bundled_files_are_small():
    assert sum(os.path.getsize(file) for file in BUNDLED) < 2_000_000
    assert len(BUNDLED) == 424
    assert {Path(file).suffix for file in BUNDLED} == {".xml"}
