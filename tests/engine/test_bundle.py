"""The registry's own files are read as the reader of all files reads them."""

from __future__ import annotations

import pytest

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model import bundle, ddf
from lwm2m_engine.model.sources import bundled_directory, read_file

FILES = sorted(bundled_directory().glob("*.xml"))


def test_the_whole_registry() -> None:
    odd = []
    for file in FILES:
        data = file.read_bytes()
        spec, (objects, problems) = bundle.read(data, str(file)), both(data, str(file))
        if spec is None:
            odd.append(file.stem)
            assert problems
        else:
            assert ((spec,), spec.source, problems) == (objects, str(file), ())
            assert list(spec.resources) == list(objects[0].resources)
    # Their oddities are noted with the line, which the short way does not know.
    assert odd == ["10260_1_0", "10482_1_0", "15_1_0"]


def both(data: bytes, file: str):
    try:
        found = ddf.parse(data, file)
    except DDFError as error:
        return (), (error,)
    return found.objects, found.problems


@pytest.mark.parametrize("name", ["3_1_0", "3347_1_1", "10371_1_0", "22_1_1"])
def test_what_differs_from_the_form_is_left_to_the_other(name: str) -> None:
    """Each line left out, given twice, emptied, with other words in it."""
    lines = (bundled_directory() / f"{name}.xml").read_text("utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        tag = line.strip().partition(">")[0]
        for other in (
            "", line * 2, line.replace("\n", ""), line.replace("\n", "\r\n"), f"{tag}/>\n", f"{tag}></a>\n",
            line.replace(">", "> "), line.replace("1", "4"), line.replace("e", "&"), line.replace("R<", "E<"),
            line.replace("Integer", "Unsigned Integer"), line.replace("String", ""),
            line.replace("Single", "Multiple"),
        ):  # fmt: skip
            data = "".join((*lines[:number], other, *lines[number + 1 :])).encode()
            spec = bundle.read(data, "")
            if spec is not None:
                assert both(data, "") == ((spec,), ())


def test_a_part_of_a_file_is_none() -> None:
    data = (bundled_directory() / "3_1_0.xml").read_bytes()
    assert bundle.read(data, "") is not None
    assert not [end for end in range(len(data)) if bundle.read(data[:end], "") is not None]
    assert bundle.read(data + b"\n", "") is None
    assert bundle.read(data + b"<a/>", "") is None


def test_no_text_at_all() -> None:
    assert bundle.read(b"\xff", "") is None
    assert bundle.read(b"", "") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<Name>Manufacturer<", "<Name>A &quot;B&quot;<"),
        ('<Item ID="1">', '<Item ID="0">'),
        ('<Item ID="1">', '<Item ID="99">'),
        ("<Name>Manufacturer<", "<Name> <"),
        ("<Operations>R<", "<Operations>X<"),
    ],
)
def test_other_content_is_left_to_the_other(old: str, new: str) -> None:
    text = (bundled_directory() / "3_1_0.xml").read_text("utf-8")
    assert old in text
    assert bundle.read(text.replace(old, new, 1).encode(), "") is None


def test_a_file_that_vanished_is_a_problem(tmp_path) -> None:
    (problem,) = read_file(str(tmp_path / "gone.xml"), size=3).problems
    assert problem.refused
    assert problem.reason == "No such file or directory"
