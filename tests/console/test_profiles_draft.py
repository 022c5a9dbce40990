"""What is done to a draft of a device profile, without pages around it."""

from __future__ import annotations

import copy

import pytest

from lwm2m_server.console.profiles.draft import LISTS, Draft
from lwm2m_server.console.profiles.faults import Faults
from lwm2m_server.console.profiles.places import Place, instance_of, object_of
from lwm2m_server.console.profiles.rows import Rows
from lwm2m_server.console.profiles.values import number

OBSERVED = {
    "keyName": {"/3_1.2/0/9": "charge"},
    "observe": ["/3_1.2/0/9", "/3303/*/5700"],
    "attribute": [],
    "telemetry": ["/3_1.2/0/9", "/3303/*/5700", "/3303/2/5700"],
    "attributeLwm2m": {"/3_1.2/0/9": {"pmin": 10}, "/3303": {"pmax": 60}},
    "observeStrategy": "SINGLE",
    "initAttrTelAsObsStrategy": False,
}
DOCUMENT = {
    "name": "meter",
    "transportType": "LWM2M",
    "profileData": {"transportConfiguration": {"type": "LWM2M", "observeAttr": OBSERVED, "bootstrap": []}},
}
MODEL = {
    "resources": [
        {"id": 5700, "name": "Sensor Value", "operations": "R", "type": "Float", "multiple": False,
         "units": "Cel", "range": "", "keyName": "sensorValue"},
        {"id": 5605, "name": "Reset", "operations": "E", "type": "", "multiple": False,
         "units": "", "range": "", "keyName": None},
    ]
}  # fmt: skip


def place(text: str) -> Place:
    found = Place.parse(text)
    assert found is not None
    return found


def fresh() -> Draft:
    return Draft.of(copy.deepcopy(DOCUMENT), "tag")


def test_it_begins_as_what_is_saved_and_shows_what_that_names() -> None:
    draft = fresh()
    assert not draft.is_changed
    assert {id: (one.version, one.instances) for id, one in draft.shown.items()} == {
        3: ("1.2", ["0"]),
        3303: (None, ["*", "2"]),
    }


def test_what_is_kept_is_what_comes_back() -> None:
    draft = fresh()
    draft.add_object(5, "1.1")
    draft.name = "other"
    again = Draft.load(draft.dump())
    assert again == draft
    assert again.is_changed


def test_an_object_with_nothing_done_is_shown_and_not_in_the_document() -> None:
    draft = fresh()
    draft.add_object(5, "1.1")
    assert 5 in draft.shown
    assert not draft.is_changed


def test_an_object_goes_with_all_that_is_said_of_it() -> None:
    draft = fresh()
    draft.remove_object(3303)
    assert "3303" not in str(draft.document())
    assert draft.observed["observe"] == ["/3_1.2/0/9"]
    assert list(draft.shown) == [3]


def test_instances_come_in_order_and_go_alone() -> None:
    draft = fresh()
    for instance in ("10", "0", "2"):
        draft.add_instance(3303, instance)
    assert draft.shown[3303].instances == ["*", "0", "2", "10"]
    draft.remove_instance(3303, "2")
    assert draft.observed["telemetry"] == ["/3_1.2/0/9", "/3303/*/5700"]
    assert draft.shown[3303].instances == ["*", "0", "10"]


def test_another_version_is_that_of_all_paths() -> None:
    draft = fresh()
    draft.set_version(3303, "1.1")
    assert draft.observed["telemetry"][1:] == ["/3303_1.1/*/5700", "/3303_1.1/2/5700"]
    assert draft.observed["attributeLwm2m"]["/3303_1.1"] == {"pmax": 60}
    assert str(draft.place(3303, "*", 5700)) == "/3303_1.1/*/5700"


def test_ticks_are_of_the_rows_that_were_shown() -> None:
    draft = fresh()
    rows = [place("/3_1.2/0/9"), place("/3_1.2/0/13")]
    draft.tick(rows, {"observe": [], "attribute": rows, "telemetry": [rows[1], place("/3/0/1")]})
    assert draft.observed["observe"] == ["/3303/*/5700"]
    assert draft.observed["attribute"] == ["/3_1.2/0/9", "/3_1.2/0/13"]
    assert draft.observed["telemetry"] == ["/3303/*/5700", "/3303/2/5700", "/3_1.2/0/13"]


def test_the_same_ticks_change_nothing_not_even_the_order() -> None:
    draft = fresh()
    rows = [place("/3_1.2/0/9")]
    draft.tick(rows, {"observe": rows, "attribute": [], "telemetry": rows})
    draft.call({rows[0]: "charge"})
    draft.set_attributes(rows[0], {"pmin": 10})
    assert not draft.is_changed


def test_key_names_and_attributes_come_and_go() -> None:
    draft = fresh()
    draft.call({place("/3/0/9"): " ", place("/3_1.2/0/13"): " clock "})
    assert draft.observed["keyName"] == {"/3_1.2/0/13": "clock"}
    draft.set_attributes(place("/3_1.2/0/9"), {})
    draft.set_attributes(place("/3303"), {"pmin": 1})
    assert draft.observed["attributeLwm2m"] == {"/3303": {"pmin": 1}}


def test_rows_are_of_the_model_and_of_what_it_does_not_know() -> None:
    draft = fresh()
    draft.observed["telemetry"].append("/3303/2/9999")
    rows = {str(row.place): row for row in Rows(draft, Faults()).of(3303, "2", MODEL)}
    assert list(rows) == ["/3303", "/3303/2", "/3303/2/5605", "/3303/2/5700", "/3303/2/9999"]
    value = rows["/3303/2/5700"]
    assert (value.ticked, value.default_key, value.key) == ({"telemetry"}, "sensorValue2", "")
    assert value.about == "Float · Cel · read"
    assert not rows["/3303/2/5605"].readable
    assert rows["/3303/2/9999"].name == "not in the model"
    assert rows["/3303"].told == "pmax 60"


def test_an_overview_has_what_is_mapped_once() -> None:
    rows = [str(row.place) for row in Rows(fresh(), Faults()).mapped(3303, MODEL)]
    assert rows == ["/3303", "/3303/*/5700", "/3303/2/5700"]


def test_faults_are_told_where_they_can_be_mended() -> None:
    where = "profileData.transportConfiguration."
    told = [
        (f"{where}observeAttr.observe[1]", "transport", "/3303/*/5700"),
        (f'{where}observeAttr.keyName["/3_1.2/0/9"]', "transport", "/3_1.2/0/9"),
        (f'{where}observeAttr.attributeLwm2m["/3303"].pmax', "transport", "/3303"),
        (f"{where}observeAttr.telemetry[99]", "transport", "None"),
        (f"{where}clientLwM2mSettings.edrxCycle", "transport", "None"),
        (f"{where}bootstrap[0].port", "bootstrap", "None"),
        ("name", "details", "None"),
        ("profileData.else", "json", "None"),
    ]
    faults = Faults.of([{"place": one, "reason": "why"} for one, _, _ in told], {"observeAttr": OBSERVED})
    assert [(fault.tab, str(fault.path)) for fault in faults] == [(tab, path) for _, tab, path in told]
    assert faults.at(place("/3/0/9")) == ["why"]
    assert (faults.under(3303), faults.under(3303, "*"), faults.under(5)) == (2, 1, 0)
    assert faults.of_field("bootstrap[0].port") == "why"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" 5 ", 5),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("abc", "abc"),
        ("nan", "nan"),
        ("9" * 40, 1e40),
    ],
)
def test_a_number_is_one_and_all_else_stays_for_the_api_to_refuse(text: str, value: object) -> None:
    assert number(text) == value


def test_what_no_path_no_object_and_no_instance_is() -> None:
    assert Place.parse("/3/0/9/1") is None
    assert Place.parse("/٣") is None
    assert str(Place.parse("3_1.2/007/*")) == "None"
    assert str(Place.parse("3/007/9")) == "/3/7/9"
    assert (object_of("3_1.2"), object_of("3"), object_of("x")) == ((3, "1.2"), (3, None), None)
    assert [instance_of(text) for text in ("7", "007", "*", "65535", "x", "-1", "")] == [
        "7", "7", "*", None, None, None, None
    ]  # fmt: skip


def test_paths_that_are_none_stay_as_they_are() -> None:
    draft = fresh()
    draft.observed["observe"].append("what")
    draft.remove_object(3)
    draft.tick([], {member: [] for member in LISTS})
    assert draft.observed["observe"] == ["/3303/*/5700", "what"]
