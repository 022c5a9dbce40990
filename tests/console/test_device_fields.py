"""How values are entered: inputs by the definition of a Resource, and what comes back as the API takes it."""

from __future__ import annotations

import pytest

from lwm2m_engine.values import ResourceType
from lwm2m_server.console.device.fields import Unfit, field, moment, optional, read_rows
from lwm2m_server.console.device.tree import Definition
from lwm2m_server.console.device.values import id_of, reading, shown


def definition(type, range="", *, multiple=False):
    return Definition(1, "Thing", "RW", type, multiple, False, "", range)


class Form(dict):
    """What was typed, by name."""

    def raw(self, name):
        return self.get(name)

    def text(self, name, default=""):
        return self.get(name, default).strip()

    def all(self, name):
        return self.get(name, [])


@pytest.mark.parametrize(
    ("type", "range", "kind", "limits"),
    [
        (ResourceType.INTEGER, "0..100", "number", ("0", "100")),
        (ResourceType.INTEGER, "", "number", ("", "")),
        (ResourceType.UNSIGNED_INTEGER, "", "number", ("0", "")),
        (ResourceType.FLOAT, "-30..0.5", "number", ("-30", "0.5")),
        (ResourceType.INTEGER, "0: off, 1: on", "choice", ("", "")),
        (ResourceType.INTEGER, "5,10,15", "choice", ("", "")),
        (ResourceType.BOOLEAN, "", "choice", ("", "")),
        (ResourceType.TIME, "", "time", ("", "")),
        (ResourceType.OPAQUE, "", "bytes", ("", "")),
        (ResourceType.OBJLNK, "", "link", ("", "")),
        (ResourceType.STRING, "1..5", "text", ("", "")),
    ],
)
def test_the_input_fits_the_definition(type, range, kind, limits):
    found = field("v", definition(type, range))
    assert (found.kind, found.limits) == (kind, limits)


def test_choices_have_the_names_of_the_definition():
    found = field("v", definition(ResourceType.INTEGER, "0: off, 1: on"))
    assert found.choices == (("0", "0: off"), ("1", "1: on"))
    assert field("v", definition(ResourceType.STRING, "1..5 characters")).longest == 5


@pytest.mark.parametrize(
    ("type", "form", "value"),
    [
        (ResourceType.INTEGER, {"v": " -9223372036854775808 "}, -(2**63)),
        (ResourceType.FLOAT, {"v": "1e3"}, 1000.0),
        (ResourceType.FLOAT, {"v": "NaN"}, "NaN"),
        (ResourceType.BOOLEAN, {"v": "true"}, True),
        (ResourceType.STRING, {"v": " as typed "}, " as typed "),
        (ResourceType.OPAQUE, {"v": "00 AD"}, {"hex": "00AD"}),
        (ResourceType.OPAQUE, {"v": "AK0=", "v.as": "base64"}, "AK0="),
        (ResourceType.OPAQUE, {"v": "ä", "v.as": "text"}, "w6Q="),
        (ResourceType.OBJLNK, {"v": "3:0"}, "3:0"),
        (ResourceType.TIME, {"v": "1970-01-01T01:00", "v.offset": "-60"}, 0),
        (ResourceType.INTEGER, {"v": ""}, None),
    ],
)
def test_what_was_entered_is_read_as_its_type(type, form, value):
    assert field("v", definition(type)).read(Form(form)) == value


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (ResourceType.INTEGER, "1.5"),
        (ResourceType.INTEGER, str(2**64)),
        (ResourceType.INTEGER, "9" * 5000),
        (ResourceType.FLOAT, "1,5"),
        (ResourceType.FLOAT, "1e999"),
        (ResourceType.FLOAT, "nan"),
        (ResourceType.BOOLEAN, "yes"),
        (ResourceType.TIME, "tomorrow"),
        (ResourceType.TIME, "9999-12-31T23:59:59+99:99"),
    ],
)
def test_what_is_no_value_of_the_type_is_refused(type, text):
    with pytest.raises(Unfit):
        field("v", definition(type)).read(Form({"v": text}))


def test_an_empty_text_is_a_value_where_one_is_due():
    only, among = field("v", definition(ResourceType.STRING), required=True), definition(ResourceType.STRING)
    assert only.read(Form({"v": ""})) == ""
    assert optional("v", among, "now").read(Form({"v": ""})) is None


def test_rows_without_an_id_or_with_one_twice_are_refused():
    many = definition(ResourceType.INTEGER, multiple=True)
    typed = {"v0": "1", "v1": "2", "row": ["0", "1"]}
    assert read_rows(Form({**typed, "id": ["3", "4"]}), many) == {"3": 1, "4": 2}
    for ids in (["", "4"], ["4", "4"], ["-1", "4"]):
        with pytest.raises(Unfit):
            read_rows(Form({**typed, "id": ids}), many)


def test_a_moment_needs_a_zone_that_can_be():
    with pytest.raises(Unfit):
        moment("2026-01-01T00:00", "east")


def test_values_are_shown_whatever_they_are():
    assert shown(3, ResourceType.INTEGER, "3: charged").label == "charged"
    assert shown(0, ResourceType.TIME).moment == 0
    assert shown("AK0=", ResourceType.OPAQUE).text == "00 ad"
    assert shown({"omitted": 70000}, ResourceType.OPAQUE).text == "70000 bytes, not kept"
    assert shown({"contentFormat": 0, "raw": "AK0="}, None).text == "00 ad"
    assert shown("x" * 500, None).short.endswith("…")
    row = {"path": "/3/0/7", "key": "k", "name": None, "units": None, "type": None, "at": 1, "source": "send"}
    assert [id for id, _ in reading({**row, "value": {"0": 1, "4": 2}}).values] == ["0", "4"]


def test_ids_of_elements_are_of_letters_that_no_selector_reads_otherwise():
    assert id_of("/3/0/9") == "3-0-9"
    assert id_of('/d"><v.1/3/0/9') == "d_22__3e__3c_v_2e_1-3-0-9"
