"""One device in the console: what its pages say, and what its forms do without JavaScript."""

from __future__ import annotations

import json
import time

import lxml.html
import pytest

from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

HOSTILE = "<b onclick=x>&\"'</b>"
HERE = "/console/devices/meter-of-pages"
SLEEPER = "/console/devices/sleeper-of-pages"
TYPES = {
    110: (ResourceType.STRING, HOSTILE),
    120: (ResourceType.INTEGER, -5),
    125: (ResourceType.UNSIGNED_INTEGER, 2**63),
    130: (ResourceType.FLOAT, 3.25),
    140: (ResourceType.BOOLEAN, True),
    150: (ResourceType.OPAQUE, b"\x00\x01\xad"),
    160: (ResourceType.TIME, 1_700_000_000),
    170: (ResourceType.OBJLNK, None),
}


def instance():
    found = {id: Resource(type, value, "RW") for id, (type, value) in TYPES.items()}
    found[3] = Resource(ResourceType.NONE, operations="E")
    found[1120] = Resource(ResourceType.INTEGER, {0: 7, 2: 9}, "RW")
    return found


@pytest.fixture(scope="module")
def meter(fleet):
    objects = [*default_objects(300, "U"), SimulatedObject(3442, {0: instance()}, template=instance)]
    return fleet.start("meter-of-pages", objects=objects)


@pytest.fixture(scope="module")
def sleeper(fleet):
    """Its awake window is over at once: it says nothing before it is told to."""
    return fleet.start("sleeper-of-pages", queue_mode=True, awake=0.0, lifetime=3600, sleep=3000)


def observed(reader, id):
    """The mark of a row, if it says so."""
    mark = reader.page(f"{HERE}/objects").get_element_by_id(id)
    return mark if text(mark).startswith("observed") else None


def text(element):
    return " ".join(element.text_content().split())


def facts(page):
    names = (text(one) for one in page.xpath("//dl[@class='facts']/dt"))
    return dict(zip(names, map(text, page.xpath("//dl[@class='facts']/dd")), strict=True))


def test_the_overview_tells_the_facts_of_the_registration(reader, meter):
    page = reader.page(HERE)
    found = facts(page)
    told = [found[name] for name in ("Endpoint name", "LwM2M version", "Binding")]
    assert told == ["meter-of-pages", "1.1", "U"]
    assert found["Lifetime"].startswith("5 min, expires ")
    assert "127.0.0.1" in found["Address"]
    assert "registered" in text(page.get_element_by_id("device-state"))
    chips = [text(one) for one in page.xpath("//ul[@class='chips']/li")]
    assert chips[0].startswith("/1 LwM2M Server 1.1")


def test_the_tree_has_names_types_units_and_last_values(reader, meter):
    page = reader.page(f"{HERE}/objects")
    row = page.get_element_by_id("r-3-0-9")
    assert "Battery Level" in text(row)
    assert "Integer, %, 0..100, read" in text(row)
    assert text(page.get_element_by_id("v-3-0-9")).startswith("72 % Read")
    assert "unknown" in page.get_element_by_id("r-3-0-22").get("class")
    assert not row.xpath(".//*[contains(@href, 'Write')]")


def test_the_tree_is_searched_by_the_server_too(reader, meter):
    page = reader.page(f"{HERE}/objects", q="battery level")
    assert [one.get("id") for one in page.xpath("//li[contains(@class, 'resource')]")] == ["r-3-0-9"]
    known = reader.page(f"{HERE}/objects", q="/3/0", known="true")
    assert known.xpath("//*[@id='r-3-0-9']")
    assert not known.xpath("//*[@id='r-3-0-22']")
    assert "Nothing of that name" in text(reader.page(f"{HERE}/objects", q="no such thing"))


def test_reading_shows_the_code_and_the_value(reader, meter):
    meter.set("/3/0/9", 55)
    page = reader.done(f"{HERE}/do", do="Read /3/0/9")
    assert "2.05 Content" in text(page.get_element_by_id("content"))
    assert "55" in text(page.get_element_by_id("content"))
    assert text(reader.page(f"{HERE}/objects").get_element_by_id("v-3-0-9")).startswith("55 %")


def asked(reader, do):
    """What htmx gets for a button: fragments, those with an id by it."""
    headers = {"hx-request": "true", "x-csrf-token": token(reader)}
    answer = reader.client.post(f"{HERE}/do", data={"do": do}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert HOSTILE not in answer.text
    came, *changed = lxml.html.fragments_fromstring(answer.text)
    return came, {one.get("id"): one for one in changed}


def test_a_button_of_a_page_gets_the_answer_beside_it(reader, meter):
    """With the cells and marks that changed."""
    came, changed = asked(reader, "Read /3442/0/110")
    assert "2.05 Content" in text(came)
    assert HOSTILE in text(changed["v-3442-0-110"])
    assert "registered" in text(changed["device-state"])
    _, changed = asked(reader, "Observe /3442/0/110")
    assert changed["m-3442-0-110"].xpath(".//button/@value") == ["ObserveCancel /3442/0/110"]


def token(reader):
    return reader.page("/console/").xpath("//input[@name='csrf']/@value")[0]


WRITES = [
    ("110", {"v": "new & <i>"}, "new & <i>"),
    ("120", {"v": "-77"}, -77),
    ("125", {"v": str(2**64 - 1)}, 2**64 - 1),
    ("130", {"v": "0.5"}, 0.5),
    ("140", {"v": "false"}, False),
    ("150", {"v": "de ad", "v.as": "hex"}, b"\xde\xad"),
    ("160", {"v": "2026-01-02T03:04:05", "v.offset": "60"}, 1_767_326_645),
]


@pytest.mark.parametrize(("id", "fields", "value"), WRITES, ids=[one[0] for one in WRITES])
def test_a_form_that_fits_the_type_writes(reader, meter, id, fields, value):
    form = reader.page(f"{HERE}/objects/3442/0/{id}")
    assert form.xpath("//*[@name='v']")
    page = reader.done(f"{HERE}/do", do=f"WriteReplace /3442/0/{id}", **fields)
    assert "2.04 Changed" in text(page.get_element_by_id("content"))
    assert meter.get(f"/3442/0/{id}").content == value


def test_a_file_may_be_written(reader, meter):
    files = {"v.file": ("image", b"\x01\x02\x03")}
    reader.done(f"{HERE}/do", files, do="WriteReplace /3442/0/150", v="")
    assert meter.get("/3442/0/150").content == b"\x01\x02\x03"


def test_instances_of_a_resource_are_written_in_rows(reader, meter):
    reader.done(f"{HERE}/do", do="Read /3442/0/1120")
    page = reader.page(f"{HERE}/objects/3442/0/1120")
    assert page.xpath("//input[@name='id']/@value")[:2] == ["0", "2"]
    rows = {"row": ["0", "1", "2"], "id": ["0", "5", ""], "v0": "1", "v1": "50", "v2": ""}
    reader.done(f"{HERE}/do", do="WriteReplace /3442/0/1120", **rows)
    assert meter.get("/3442/0/1120").content == {0: 1, 5: 50}


def test_one_instance_of_a_resource_is_a_place_of_its_own(reader, meter):
    meter.set("/3442/0/1120", {0: 1, 5: 50})
    reader.done(f"{HERE}/do", do="Read /3442/0/1120")
    place = f"{HERE}/objects/3442/0/1120"
    assert f"{place}/5" in reader.page(place).xpath("//a/@href")
    page = reader.page(f"{place}/5")
    assert page.xpath("//input[@name='v']/@value") == ["50"]
    reader.done(f"{HERE}/do", do="WriteReplace /3442/0/1120/5", v="51")
    assert meter.get("/3442/0/1120").content == {0: 1, 5: 51}


def test_what_does_not_fit_is_not_sent(reader, meter):
    answer = reader.send(f"{HERE}/do", do="WriteReplace /1/0/1", v="soon")
    assert answer.status_code == 400
    assert "is no whole number" in answer.text
    checked = reader.send(f"{HERE}/check", check="WriteReplace /1/0/6", v="maybe")
    assert "is not true or false" in checked.text
    assert "can be asked this" in reader.send(f"{HERE}/check", check="WriteReplace /1/0/1", v="60").text
    assert meter.get("/1/0/1").content == 300


@pytest.mark.parametrize(
    "do", ["", "Reboot /3/0/4", "Read /x", "WriteReplace /3442", "WriteUpdate /", "Create /"]
)
def test_what_no_button_says_is_refused(reader, meter, do):
    assert reader.send(f"{HERE}/do", do=do, r120="1", v="1").status_code == 400


def test_executing_with_arguments(reader, meter):
    reader.done(f"{HERE}/do", do="Execute /3442/0/3", arguments="0='now',1")
    assert meter.get("/3442/0/3").executed == ["0='now',1"]


def test_observing_marks_the_row_and_cancelling_unmarks_it(reader, meter):
    done = reader.done(f"{HERE}/do", do="Observe /3/0/9", **{"a.pmin": "1", "a.gt": "50"})
    assert "2.05 Content" in text(done.get_element_by_id("content"))
    mark = observed(reader, "m-3-0-9")
    assert mark.xpath(".//*[@title='pmin=1&gt=50']")
    assert mark.xpath(".//button/@value") == ["ObserveCancel /3/0/9"]
    reader.done(f"{HERE}/do", do="ObserveCancel /3/0/9")
    assert text(reader.page(f"{HERE}/objects").get_element_by_id("m-3-0-9")) == "Observe"


def test_all_observations_are_ended_from_the_overview(reader, meter):
    reader.done(f"{HERE}/do", do="Observe /3/0/10")
    reader.done(f"{HERE}/do", do="ObserveComposite /", path=["/3/0/11", "/3/0/13"])
    (links,) = reader.page(HERE).xpath("//ul[li[@class='observation']]")
    assert {text(one) for one in links.xpath(".//a")} >= {"/3/0/10", "/3/0/11, /3/0/13"}
    (composite,) = [one for one in links.xpath(".//a/@href") if "/composite?" in one]
    assert "ObserveCompositeCancel /" in reader.page(composite).xpath("//button/@value")
    reader.done(f"{HERE}/do", do="ObserveCancelAll /")
    assert not reader.page(HERE).xpath("//li[@class='observation']")


def test_attributes_that_fit_the_type_are_offered_and_written(reader, meter):
    page = reader.page(f"{HERE}/objects/3/0/9")
    assert {"a.pmin", "a.gt", "a.st"} <= set(page.xpath("//input/@name"))
    assert not reader.page(f"{HERE}/objects/3/0/0").xpath("//input[@name='a.gt']")
    done = reader.done(f"{HERE}/do", do="WriteAttributes /3/0/9", remove="pmax", **{"a.pmin": "7"})
    assert "2.04 Changed" in text(done.get_element_by_id("content"))
    found = reader.done(f"{HERE}/do", do="Discover /3/0")
    assert "pmin=7" in text(found)


def test_creating_and_deleting_an_instance(reader, meter):
    page = reader.done(f"{HERE}/do", do="Create /3442", instance="7", r120="4")
    assert "2.01 Created" in text(page.get_element_by_id("content"))
    deadline = time.monotonic() + 10
    while not reader.page(f"{HERE}/objects").xpath("//*[@id='i-3442-7']"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reader.done(f"{HERE}/do", do="Delete /3442/7")
    assert 7 not in meter.tree.objects[3442].instances


BOTH = ["/3442/0/120", "/3/0/14"]


def test_several_places_are_read_observed_and_written_together(reader, meter):
    page = reader.page(f"{HERE}/composite", path=BOTH, more="/3/0/15, /x")
    assert page.xpath("//form[@hx-post]//input[@name='path']/@value") == [*BOTH, "/3/0/15"]
    assert "'x' is not an id" in text(page)
    meter.set("/3442/0/120", 44)
    done = reader.done(f"{HERE}/do", do="ReadComposite /", path=BOTH)
    assert "2.05 Content" in text(done.get_element_by_id("content"))
    assert facts(done)["Integer Value /3442/0/120"] == "44"
    reader.done(f"{HERE}/do", do="WriteComposite /", path=BOTH, n0="45", n1="")
    assert meter.get("/3442/0/120").content == 45
    reader.done(f"{HERE}/do", do="ObserveComposite /", path=BOTH)
    page = reader.page(f"{HERE}/composite", path=BOTH)
    assert "ObserveCompositeCancel /" in page.xpath("//button/@value")
    reader.done(f"{HERE}/do", do="ObserveCompositeCancel /", path=BOTH)
    assert "ObserveComposite /" in reader.page(f"{HERE}/composite", path=BOTH).xpath("//button/@value")


def test_an_instance_is_written_in_part(reader, meter):
    page = reader.page(f"{HERE}/objects/3442/0")
    assert page.xpath("//*[@name='r130']")
    done = reader.done(f"{HERE}/do", do="WriteUpdate /3442/0", r130="7.5", r110="")
    assert "2.04 Changed" in text(done.get_element_by_id("content"))
    assert meter.get("/3442/0/130").content == 7.5


def test_the_history_is_a_chart_a_table_and_a_file(reader, meter):
    for value in (11, 22, 33):
        meter.set("/3/0/9", value)
        reader.done(f"{HERE}/do", do="Read /3/0/9")
    page = reader.page(f"{HERE}/history", path="/3/0/9", range="1h")
    (chart,) = page.xpath("//live-plot/script/text()")
    assert json.loads(chart)["lines"][0]["values"][-3:] == [11, 22, 33]
    assert [text(one) for one in page.xpath("//tbody/tr/td[2]")][:3] == ["33", "22", "11"]
    (file,) = page.xpath("//a[@download]/@href")
    answer = reader.client.get(file)
    assert answer.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[4] for line in answer.text.splitlines()[-3:]] == ["11", "22", "33"]
    texts = reader.page(f"{HERE}/history", path="/3/0/14")
    assert not texts.xpath("//live-plot")
    assert texts.xpath("//details[@open]//tbody/tr")


def test_a_history_of_intervals_and_of_a_time_of_ones_own(reader, meter):
    page = reader.page(f"{HERE}/history", path="/3/0/9", agg="count")
    (chart,) = page.xpath("//live-plot/script/text()")
    assert sum(json.loads(chart)["lines"][0]["values"]) >= 1
    past = {"range": "custom", "from": "2020-01-01T00:00:00", "to": "2020-01-02T00:00:00"}
    assert "Nothing was told" in text(reader.page(f"{HERE}/history", path="/3/0/9", **past))
    wrong = {**past, "to": "2019-01-01T00:00:00"}
    assert "ends before it begins" in text(reader.page(f"{HERE}/history", path="/3/0/9", **wrong))
    assert "Nothing is known of /9/9" in text(reader.page(f"{HERE}/history", path="/9/9"))


def test_who_may_only_read_gets_no_buttons(read_as, meter):
    reader = read_as("read")
    page = reader.page(f"{HERE}/objects")
    assert not page.xpath("//button[@name='do']")
    assert not reader.page(f"{HERE}/objects/3442/0/110").xpath("//*[@name='v']")
    assert reader.send(f"{HERE}/do", do="Read /3/0/9").status_code in (400, 403)


def test_a_sleeping_device_is_asked_when_it_wakes(reader, rest, sleeper):
    rest.put("/devices/sleeper-of-pages/power-saving", json={"awakeWindow": 0.05})
    until = time.monotonic() + 10
    while "asleep" not in text(reader.page(SLEEPER).get_element_by_id("device-state")):
        assert time.monotonic() < until
        time.sleep(0.05)
    page = reader.done(f"{SLEEPER}/do", do="Read /3/0/9")
    content = page.get_element_by_id("content")
    assert "waits until the device wakes" in text(content)
    (cancel,) = [one for one in page.forms if one.action.endswith("/cancel")]
    done = reader.done(cancel.action)
    assert "taken back" in text(done.get_element_by_id("content"))


def test_there_is_no_such_place(reader, meter):
    reader.page(f"{HERE}/objects/3/7/1", status=404)
    reader.page(f"{HERE}/objects/x", status=404)
    reader.page("/console/devices/nobody-of-pages", status=404)
