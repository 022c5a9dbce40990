"""Devices chosen in the list: what is done to them at once, by one form and without a script."""

from __future__ import annotations

import pytest

HERE = "/console/chosen-devices"
NAMES = ["c1", "c2", "c3", "c4"]


@pytest.fixture(scope="module")
def console(own_console):
    return own_console


@pytest.fixture(autouse=True)
def fleet(rest):
    """Four devices, a group with two of them by name and by id, and a profile."""
    for name in NAMES:
        rest.delete(f"/devices/{name}")
        assert rest.post("/devices", json={"name": name}).status_code == 201
    profile = {"name": "meters", "transportType": "LWM2M"}
    rest.post("/profiles", json=profile | {"profileData": {"transportConfiguration": {}}})
    for group in ("cellar", "new"):
        rest.delete(f"/groups/{group}")
    assert rest.post("/groups", json={"name": "cellar", "devices": ["c1"]}).status_code == 201


def groups(rest):
    return {one["name"]: one["groups"] for one in rest.get("/devices?q=c").json()["devices"]}


def notice(shown):
    return " ".join(shown.xpath("//div[@id='notices']")[0].text_content().split())


def refused(answer):
    """Status, and the devices and reasons of the page that says to whom it was not done."""
    import lxml.html

    rows = lxml.html.document_fromstring(answer.text).xpath("//div[@aria-label='Refused']//tbody/tr")
    return answer.status_code, {row.findtext("th/a"): row.findtext("td") for row in rows}


def test_each_row_can_be_chosen_for_one_form(reader):
    shown = reader.page("/console/devices")
    (form,) = shown.xpath("//form[@id='chosen']")
    assert form.get("action") == HERE
    boxes = shown.xpath("//input[@form='chosen'][@name='device'][@type='checkbox']")
    assert [one.get("value") for one in boxes] == NAMES
    assert [one.get("aria-label") for one in boxes] == [f"Choose {name}" for name in NAMES]
    assert shown.xpath("//input[@form='chosen'][@name='shown']/@value") == NAMES
    buttons = form.xpath(".//button[@name='action']/@value")
    assert buttons == ["join", "leave", "assign", "unassign", "remove"]
    assert form.xpath(".//datalist/option/@value") == ["cellar"]


def test_they_join_and_leave_a_group(reader, rest):
    chosen = {"device": ["c1", "c2"], "to-group": "cellar", "back": "/console/devices?group=cellar"}
    shown = reader.done(HERE, **chosen, action="join")
    assert notice(shown) == "In the group cellar now: 2 devices."
    assert shown.xpath("//tbody/tr/th/a/text()") == ["c1", "c2"]
    shown = reader.done(HERE, **chosen | {"device": "c1"}, action="leave")
    assert notice(shown) == "Not in the group cellar now: 1 device."
    assert groups(rest) == {"c1": [], "c2": ["cellar"], "c3": [], "c4": []}


def test_a_group_that_is_new(reader, rest):
    fields = {"device": ["c3", "c4"], "to-group": "new", "action": "join"}
    status, why = refused(reader.send(HERE, **fields))
    assert (status, set(why)) == (400, {"c3", "c4"})
    assert "no device group 'new'" in why["c3"]
    reader.done(HERE, **fields, **{"new-group": "true"})
    assert groups(rest)["c4"] == ["new"]
    status, why = refused(reader.send(HERE, **fields, **{"new-group": "true"}))
    assert status == 400
    assert "taken" in why["c3"]


def test_without_a_script_all_are_those_of_the_page(reader, rest):
    fields = {"shown": ["c1", "c2", "c3"], "to-group": "cellar", "all": "true", "action": "join"}
    reader.done(HERE, **fields)
    assert [name for name, found in groups(rest).items() if found] == ["c1", "c2", "c3"]
    # A script has checked the rows themselves.
    shown = reader.done(HERE, **fields | {"action": "leave", "device": "c2", "scripted": "true"})
    assert notice(shown).endswith("1 device.")


def test_a_profile_is_assigned_and_taken_away(reader, rest):
    shown = reader.done(HERE, device=["c1", "c2"], action="assign", **{"to-profile": "meters"})
    assert notice(shown) == "Assigned the profile meters: 2 devices."
    assert rest.get("/devices/c2/profile").json()["by"] == "device"
    reader.done(HERE, device=["c2"], action="unassign")
    assert rest.get("/devices/c2/profile").json() is None
    assert rest.get("/devices/c1/profile").json()["profile"] == "meters"


def test_to_remove_them_takes_another_word(reader, rest):
    import lxml.html

    answer = reader.send(HERE, device=["c1", "c4"], action="remove", back="/console/devices?q=c")
    asked = lxml.html.document_fromstring(answer.text)
    assert asked.xpath("string(//h1)") == "Remove these 2 devices?"
    assert asked.xpath("//input[@name='device']/@value") == ["c1", "c4"]
    assert set(groups(rest)) == set(NAMES)
    (form,) = asked.xpath("//main//form")
    given = {name: form.xpath(f".//input[@name='{name}']/@value") for name in ("action", "back", "device")}
    shown = reader.done(HERE, **given)
    assert notice(shown) == "Removed: 2 devices."
    assert shown.xpath("//input[@id='q']/@value") == ["c"]
    assert set(groups(rest)) == {"c2", "c3"}


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("join", {"to-group": "cellar"}),
        ("assign", {"to-profile": "meters"}),
        ("forget", {}),
    ],
)
def test_those_that_are_refused_are_told_with_the_reason(reader, rest, action, more):
    """What can be done is done."""
    hostile = "<b>gone"
    status, why = refused(reader.send(HERE, device=["c1", hostile, "c2"], action=action, **more))
    assert (status, set(why)) == (200, {hostile})
    assert "there is no device" in why[hostile] or "has no device" in why[hostile]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"action": "join"}, "Say which group."),
        ({"action": "assign"}, "Choose a profile."),
        ({"action": "assign", "to-profile": "none"}, "none"),
        ({"action": "explode"}, "Choose what is to be done."),
    ],
)
def test_what_cannot_be_done(reader, fields, why):
    status, found = refused(reader.send(HERE, device="c1", **fields))
    assert status == 400
    assert why in found["c1"]


def test_nobody_chosen_and_nowhere_else_to_go_back_to(reader):
    assert "No device was chosen." in notice(reader.done(HERE, action="join"))
    answer = reader.send(HERE, device="c1", action="unassign", back="https://elsewhere.example/")
    assert answer.headers["location"] == "/console/devices"


def test_who_only_reads_chooses_nothing(read_as):
    someone = read_as("read")
    shown = someone.page("/console/devices")
    assert shown.xpath("//*[@id='chosen'] | //*[@form='chosen'] | //script[contains(@src, 'choosing')]") == []
    assert someone.send(HERE, device="c1", action="forget").status_code == 403
