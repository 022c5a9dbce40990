"""Pages of device profiles, by forms as they are sent without JavaScript."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import lxml.html
import pytest

BATTERY = "/3_1.2/0/9"
CLOCK = "/3_1.2/0/13"


def words(element: Any) -> str:
    return " ".join(element.text_content().split())


def facts(element: Any) -> list[tuple[str, str]]:
    """Terms and what is said of them."""
    return [(words(term), words(term.getnext())) for term in element.xpath(".//dt")]


class Editor:
    """One profile, and the pages of it."""

    def __init__(self, reader: Any, rest: httpx.Client, name: str) -> None:
        self.reader, self.rest, self.name = reader, rest, name
        self.path = f"/console/profiles/{quote(name, safe='')}"

    def page(self, tab: str = "transport", **query: Any) -> lxml.html.HtmlElement:
        return self.reader.page(f"{self.path}/{tab}", edit="1", **query)

    def do(self, action: str, **fields: Any) -> lxml.html.HtmlElement:
        """Send a form of the draft: the page after that."""
        return self.reader.done(f"{self.path}/draft/{action}", **fields)

    def tick(self, page: Any, **ticked: Any) -> lxml.html.HtmlElement:
        """Of the instance that a page shows."""
        rows = page.xpath("//input[@name='row']/@value")
        (of,) = page.xpath("//form[@id='resources']/input[@name='of']/@value")
        return self.do("resources", of=of, row=rows, **ticked)

    def saved(self) -> dict[str, Any]:
        answer = self.rest.get(f"/profiles/{quote(self.name, safe='')}")
        assert answer.status_code == 200, answer.text
        return answer.json()["profileData"]["transportConfiguration"]

    def save(self) -> lxml.html.HtmlElement:
        assert "Save" in words(self.reader.page(f"{self.path}/review"))
        return self.do("save")


@pytest.fixture
def edit(reader: Any, rest: httpx.Client) -> Callable[..., Editor]:
    """``edit(observeAttr={…})``: a new profile of that."""

    def edit(name: str | None = None, **configuration: Any) -> Editor:
        name = name or f"profile {uuid.uuid4().hex[:8]}"
        answer = rest.post("/profiles", params={"name": name}, json={"observeAttr": {}, **configuration})
        assert answer.status_code == 201, answer.text
        return Editor(reader, rest, name)

    return edit


# --- all of them -----------------------------------------------------------------------------------


def test_the_list_tells_what_each_is_and_counts_devices_apart(edit: Any, reader: Any) -> None:
    one = edit(observeAttr={"telemetry": [BATTERY], "observeStrategy": "COMPOSITE_ALL"})
    page = reader.page("/console/profiles", q=one.name)
    (row,) = page.xpath("//tbody/tr")
    assert [words(cell) for cell in row.xpath("th|td")][:5] == [
        one.name, "Device 3", "…", "by device", "composite all"
    ]  # fmt: skip
    (counts,) = page.xpath("//tbody/@hx-get")
    (row,) = reader.page(counts).xpath("//tr")
    assert words(row.xpath("td")[1]) == "0"
    assert "No profile has that" in words(reader.page("/console/profiles", q=uuid.uuid4().hex))


def test_a_profile_is_created_in_two_steps(reader: Any, rest: httpx.Client) -> None:
    name = f"new {uuid.uuid4().hex[:8]}"
    page = reader.page("/console/new-profile")
    assert words(page.xpath("//*[@aria-current='step']")[0]) == "1. Device profile details"
    (form,) = page.xpath("//main//form")
    assert (form.get("method"), "csrf" in form.fields) == ("get", False)
    page = reader.page("/console/new-profile", step="transport", name=name, transportType="LWM2M")
    assert page.xpath("//input[@name='name']/@value") == [name]
    assert page.xpath("//select[@name='transportType']/option/@value") == ["LWM2M"]
    page = reader.done("/console/new-profile", name=name, transportType="LWM2M")
    assert words(page.xpath("//h1")[0]) == name
    assert words(page.xpath("//nav[@class='tabs']//a[@aria-current]")[0]) == "Transport configuration"
    again = reader.send("/console/new-profile", name=name, transportType="LWM2M")
    assert again.status_code == 422
    assert f"there is a profile '{name}'" in words(lxml.html.document_fromstring(again.text))


@pytest.mark.parametrize("name", ["new", "import", "<b>&\"'", "ü %2F?#"])
def test_names_are_any_text(edit: Any, rest: httpx.Client, name: str) -> None:
    name = f"{name}{uuid.uuid4().hex[:6] if name not in ('new', 'import') else ''}"
    one = edit(name)
    try:
        page = one.reader.page(f"{one.path}/transport")
        assert words(page.xpath("//h1")[0]) == name
        assert one.reader.client.get(f"{one.path}/export").json()["name"] == name
    finally:
        assert rest.delete(f"/profiles/{quote(name, safe='')}").status_code == 204


def test_duplicates_have_names_of_their_own_and_go_if_nobody_uses_them(edit: Any, reader: Any) -> None:
    one = edit(observeAttr={"telemetry": [BATTERY]})
    for copy in (f"{one.name} copy", f"{one.name} copy 2"):
        assert words(reader.done(f"{one.path}/duplicate").xpath("//h1")[0]) == copy
    page = reader.page(f"{one.path}/delete")
    assert "It is for no device" in words(page)
    assert not page.xpath("//input[@name='force']")
    assert f"{one.name} is deleted" in words(reader.done(f"{one.path}/delete"))
    reader.page(f"{one.path}/transport", status=404)


def test_one_in_use_says_by_whom_before_it_goes(edit: Any, reader: Any) -> None:
    one = edit()
    one.rest.put(f"/profiles/{one.name}/assignment", json={"rules": [{"priority": 3, "endpoint": "none*"}]})
    refused = reader.send(f"{one.path}/delete")
    assert refused.status_code == 409
    page = lxml.html.document_fromstring(refused.text)
    assert "is used by 1 rules" in words(page)
    assert page.xpath("//input[@name='force']/@value") == ["true"]
    reader.done(f"{one.path}/delete", force="true")


# --- Objects, instances, Resources -----------------------------------------------------------------


def test_it_opens_read_only(edit: Any, read_as: Any) -> None:
    one = edit(observeAttr={"telemetry": [BATTERY], "observe": [BATTERY], "keyName": {BATTERY: "charge"}})
    page = one.reader.page(f"{one.path}/transport")
    (row,) = page.xpath("//details//tbody/tr")
    assert [words(cell) for cell in row.xpath("td|th")] == [
        BATTERY, "Battery Level", "yes", "–", "yes", "charge", ""
    ]  # fmt: skip
    assert not page.xpath("//main//input[@type='checkbox']")
    eye = read_as("read").page(f"{one.path}/transport", edit="1")
    assert not eye.xpath("//main//input[@type='checkbox']")
    assert "Toggle edit mode" not in words(eye)


def test_who_may_not_edit_is_refused(edit: Any, read_as: Any) -> None:
    one = edit()
    operator = read_as("operate")
    assert operator.send(f"{one.path}/draft/objects", object="3_1.2").status_code == 403
    assert operator.send("/console/new-profile", name="x", transportType="LWM2M").status_code == 403
    assert operator.send("/console/import-profile", document="{}").status_code == 403


def test_objects_are_found_by_id_and_by_a_part_of_the_name(edit: Any) -> None:
    one = edit()

    def found(**query: Any) -> list[str]:
        return [words(item) for item in one.page(**query).xpath("//form[@id='found']//li//b")]

    assert len(found()) == 50
    assert found(find="3303") == ["Temperature"]
    assert found(find="connectivity mon") == ["Connectivity Monitoring"]
    assert found(find="no such thing") == []
    fragment = one.reader.page(f"{one.path}/objects", find="3303")
    assert fragment.xpath("//button[@name='object']/@value") == ["3303_1.1", "3303_1.0"]


def test_a_draft_is_not_in_force_before_it_is_saved(edit: Any) -> None:
    one = edit()
    page = one.do("objects", object="3_1.2")
    assert "Nothing is changed" in words(page.get_element_by_id("draft"))
    ticked = {"observe": [BATTERY], "telemetry": [BATTERY], f"key:{BATTERY}": "charge"}
    page = one.tick(page, **ticked)
    assert "Unsaved changes" in words(page.get_element_by_id("draft"))
    assert one.saved()["observeAttr"]["observe"] == []
    assert "not saved" in words(one.reader.page(f"{one.path}/transport"))
    review = one.reader.page(f"{one.path}/review")
    rows = [[words(cell) for cell in row.xpath("th|td")] for row in review.xpath("//tbody/tr")]
    assert ["Key name", BATTERY, "–", "charge"] in rows
    one.save()
    saved = one.saved()["observeAttr"]
    assert (saved["observe"], saved["keyName"]) == ([BATTERY], {BATTERY: "charge"})


def test_a_draft_is_of_one_session(edit: Any, read_as: Any) -> None:
    one = edit()
    one.tick(one.do("objects", object="3_1.2"), telemetry=[BATTERY])
    other = read_as("admin").page(f"{one.path}/transport", edit="1")
    assert "Nothing is changed" in words(other.get_element_by_id("draft"))


def test_what_is_wrong_is_told_at_the_row_and_cannot_be_saved(edit: Any) -> None:
    one = edit()
    page = one.tick(one.do("objects", object="3_1.2"), observe=[BATTERY])
    (row,) = page.xpath("//tr[.//input[@name='observe'][@checked]]")
    assert "neither an attribute nor telemetry" in words(row)
    assert "1 problem" in words(page.get_element_by_id("draft"))
    review = one.reader.page(f"{one.path}/review")
    assert not review.xpath("//form[contains(@action, '/draft/save')]")
    assert one.reader.send(f"{one.path}/draft/save").headers["location"] == f"{one.path}/review"
    assert one.saved()["observeAttr"]["observe"] == []


def test_a_column_is_checked_and_cleared(edit: Any) -> None:
    one = edit()

    def ticked(page: Any, member: str) -> set[str]:
        return set(page.xpath(f"//input[@name='{member}'][@checked]/@value"))

    page = one.tick(one.do("objects", object="3_1.2"), all="observe", attribute=[BATTERY])
    every = {row for row in page.xpath("//input[@name='row']/@value") if row.count("/") == 3}
    assert ticked(page, "observe") == every
    assert ticked(page, "telemetry") == every - {BATTERY}
    assert not one.reader.page(f"{one.path}/review").xpath("//ul[@class='faults']")
    page = one.tick(page, all="observe", observe=sorted(every))
    assert ticked(page, "observe") == set()


def test_instances_are_added_by_id_and_deleted(edit: Any) -> None:
    one = edit()
    assert "one instance only" in words(one.do("objects", object="3_1.2").get_element_by_id("object"))
    page = one.do("objects", object="3303_1.1")
    assert "several instances" in words(page.get_element_by_id("object"))
    page = one.do("instances", object="3303", instance="x7")
    assert page.xpath("//input[@id='new-instance']/@aria-invalid") == ["true"]
    page = one.do("instances", object="3303", instance="7")
    assert [words(link) for link in page.xpath("//div[@class='instances']//a")] == [
        "Instance 0",
        "Instance 7",
    ]
    assert page.xpath("//input[@name='key:/3303_1.1/7/5700']/@placeholder") == ["sensorValue7"]
    page = one.tick(page, telemetry=["/3303_1.1/7/5700"])
    one.save()
    assert one.saved()["observeAttr"]["telemetry"] == ["/3303_1.1/7/5700"]
    page = one.do("instances/remove", object="3303", instance="7")
    assert "nothing is open" not in words(page)
    one.save()
    assert one.saved()["observeAttr"]["telemetry"] == []


def test_notification_attributes_are_set_and_refused_at_the_field(edit: Any) -> None:
    one = edit(observeAttr={"telemetry": [BATTERY]})
    page = one.tick(one.page(object="3"), telemetry=[BATTERY], at=BATTERY)
    fields = page.xpath("//tr[@id='attributes']//input/@name")
    assert fields == ["pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax"]
    page = one.do("attributes", of="/3_1.2/0", place=BATTERY, pmin="often", pmax="60")
    assert page.xpath("//input[@name='pmin']/@aria-invalid") == ["true"]
    assert "a whole number of seconds is due" in words(page.get_element_by_id("attributes"))
    page = one.do("attributes", of="/3_1.2/0", place=BATTERY, pmin="10", pmax="60", gt="20.5")
    assert "pmin 10 · pmax 60 · gt 20.5" in words(page.get_element_by_id("object"))
    one.save()
    assert one.saved()["observeAttr"]["attributeLwm2m"] == {BATTERY: {"pmin": 10, "pmax": 60, "gt": 20.5}}


def test_strategies_and_other_settings(edit: Any) -> None:
    one = edit()
    names = (
        "clientOnlyObserveAfterConnect",
        "observeStrategy",
        "edrxCycle",
        "powerMode",
        "useObject19ForOtaInfo",
    )
    given = {f"has:{name}": "1" for name in names}
    given |= {
        names[0]: "2",
        names[1]: "COMPOSITE_BY_OBJECT",
        names[2]: "soon",
        names[3]: "E_DRX",
        names[4]: "true",
    }
    page = one.do("settings", **given)
    assert "a whole number of milliseconds" in words(page.get_element_by_id("fault-edrxCycle"))
    assert page.xpath("//input[@name='edrxCycle']/@value") == ["soon"]
    one.do("settings", **{**given, "edrxCycle": "20480"})
    one.save()
    client = one.saved()["clientLwM2mSettings"]
    assert [client[name] for name in (names[0], names[2], names[3], names[4])] == [2, 20480, "E_DRX", True]
    assert one.saved()["observeAttr"]["observeStrategy"] == "COMPOSITE_BY_OBJECT"


def test_another_version_of_an_object(edit: Any) -> None:
    one = edit(observeAttr={"telemetry": [BATTERY]})
    page = one.do("objects/version", object="3", version="1.1")
    assert page.xpath("//input[@name='telemetry'][@checked]/@value") == ["/3_1.1/0/9"]


def test_htmx_gets_what_has_changed_and_nothing_else(edit: Any) -> None:
    one = edit()
    page = one.do("objects", object="3_1.2")
    (token,) = set(page.xpath("//input[@name='csrf']/@value"))
    fields = {"csrf": token, "of": "/3_1.2/0", "row": [BATTERY, CLOCK], "observe": [BATTERY]}
    answer = one.reader.client.post(
        f"{one.path}/draft/resources", data=fields, headers={"hx-request": "true"}
    )
    assert answer.status_code == 200
    fragment = lxml.html.fragments_fromstring(answer.text.strip())
    assert fragment[0].get("class") == "draft changed"
    told = {one.get("id"): words(one) for one in fragment[1:]}
    assert "neither" in told.pop("fault-_2f_3_5f_1_2e_2_2f_0_2f_9")
    assert told.pop("fault-_2f_3_5f_1_2e_2_2f_0_2f_13") == ""
    assert told == {"counts-3": "1 problem · 1 observed · 0 attributes · 0 telemetry"}


# --- saving -----------------------------------------------------------------------------------------


def test_two_editors_at_once(edit: Any) -> None:
    one = edit()
    one.tick(one.do("objects", object="3_1.2"), telemetry=[BATTERY])
    one.rest.put(f"/profiles/{one.name}", json={"observeAttr": {"telemetry": [CLOCK]}})
    answer = one.reader.send(f"{one.path}/draft/save")
    assert answer.headers["location"] == f"{one.path}/review"
    review = one.reader.page(f"{one.path}/review")
    assert "Somebody else has saved this profile" in words(review)
    rows = [[words(cell) for cell in row] for row in review.xpath("//tbody/tr")]
    assert ["Telemetry", CLOCK, "yes", "–"] in rows
    assert one.saved()["observeAttr"]["telemetry"] == [CLOCK]
    one.do("save", over="true")
    assert one.saved()["observeAttr"]["telemetry"] == [BATTERY]


def test_a_draft_is_discarded(edit: Any) -> None:
    one = edit()
    one.tick(one.do("objects", object="3_1.2"), telemetry=[BATTERY])
    one.do("discard")
    assert "Nothing is changed" in words(one.page().get_element_by_id("draft"))


def test_a_profile_gets_another_name(edit: Any) -> None:
    one = edit()
    one.do("details", name=f"{one.name} II")
    page = one.save()
    assert words(page.xpath("//h1")[0]) == f"{one.name} II"


def test_what_devices_would_be_asked_is_told_before(edit: Any, rest: httpx.Client) -> None:
    one = edit()
    name = f"touched-{uuid.uuid4().hex[:8]}"
    rest.post("/devices", json={"name": name, "transportType": "LWM2M", "profile": one.name})
    one.tick(one.do("objects", object="3_1.2"), telemetry=[BATTERY])
    tiles = {words(tile.find("dt")): words(tile.find("dd"))
             for tile in one.reader.page(f"{one.path}/review").xpath("//dl[@class='tiles']/div")}  # fmt: skip
    assert tiles == {"Devices of the profile": "1", "Registered": "0", "Asked something else": "0"}


# --- servers ----------------------------------------------------------------------------------------


def server(index: int, **more: Any) -> dict[str, Any]:
    fields = {"host": "lwm2m.example.com", "port": "5683", "securityMode": "NO_SEC", "shortServerId": "123"}
    fields |= {"clientHoldOffTime": "1", "bootstrapServerAccountTimeout": "0", "lifetime": "300"}
    fields |= {"defaultMinPeriod": "1", "binding": "U", "notifIfDisabled": "true", **more}
    return {f"has:{index}": "1", **{f"{index}:{name}": value for name, value in fields.items()}}


def test_servers_are_added_edited_and_removed(edit: Any) -> None:
    one = edit()
    assert "No servers yet" in words(one.page("bootstrap"))
    one.do("servers/add", own="0")
    page = one.do("servers/add", bootstrap="true")
    assert [words(each) for each in page.xpath("//main//fieldset/legend")] == [
        "LwM2M server 123",
        "Bootstrap server",
    ]
    page = one.do("servers", **server(0, lifetime="77"), **server(1, host="", port="70000"))
    assert "a port from 1 to 65535 is due" in words(page.get_element_by_id("fault-1-port"))
    wanted = server(0, lifetime="77") | server(1, host="bs.example.com", clientHoldOffTime="4")
    page = one.do("servers", **wanted, bootstrapServerUpdateEnable="true")
    assert not page.xpath("//ul[@class='faults']")
    tree = facts(page.get_element_by_id("preview"))
    assert ("0 LWM2M Server URI", "coap://bs.example.com:5683") in tree
    assert ("1 Lifetime", "77") in tree
    one.save()
    first, second = one.saved()["bootstrap"]
    assert (first["lifetime"], first["shortServerId"]) == (77, 123)
    assert (second["bootstrapServerIs"], second["shortServerId"], second["clientHoldOffTime"]) == (
        True,
        None,
        4,
    )
    one.do("servers/remove", index="0")
    one.save()
    assert [each["host"] for each in one.saved()["bootstrap"]] == ["bs.example.com"]


def test_a_preview_of_bootstrap_shows_no_secret(edit: Any, rest: httpx.Client) -> None:
    servers = [{"host": "a.example.com", "port": 5684, "shortServerId": 1, "securityMode": "PSK"}]
    one = edit(bootstrap=servers)
    name, key = f"psk-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    psk = {"securityMode": "PSK", "clientPublicKeyOrId": name, "clientSecretKey": key}
    credentials = {
        "client": {"endpoint": name, "securityConfigClientMode": "PSK", "identity": f"{name} c", "key": key},
        "bootstrap": {"bootstrapServer": {"securityMode": "NO_SEC"}, "lwm2mServer": psk},
    }
    device = {"name": name, "transportType": "LWM2M", "profile": one.name}
    given = {"credentialsType": "LWM2M_CREDENTIALS", "credentialsValue": credentials}
    answer = rest.post("/devices", json={**device, "credentials": given})
    assert answer.is_success, answer.text
    page = one.reader.page(f"{one.path}/bootstrap", device=name)
    assert ("5 Secret Key", "set") in facts(page.get_element_by_id("preview"))
    assert key not in lxml.html.tostring(page).decode().lower()
    assert "has no device" in words(one.reader.page(f"{one.path}/bootstrap", device="none"))


# --- documents ---------------------------------------------------------------------------------------


def test_the_document_is_edited_as_json(edit: Any) -> None:
    one = edit()
    page = one.page("json")
    document = json.loads(page.get_element_by_id("document").text)
    document["profileData"]["transportConfiguration"]["observeAttr"]["telemetry"] = [BATTERY]
    page = one.do("json", document=json.dumps(document))
    assert any(words(line) == f'+ "{BATTERY}"' for line in page.xpath("//pre[@class='diff']/span"))
    for wrong, place in (("{", "line 1"), ("[]", "object is due"), ('{"bootstrap": 5}', "bootstrap")):
        answer = one.reader.send(f"{one.path}/draft/json", document=wrong)
        assert answer.status_code == 422
        again = lxml.html.document_fromstring(answer.text)
        assert place in words(again.get_element_by_id("wrong"))
        assert words(again.get_element_by_id("document")) == wrong
    one.save()
    assert one.saved()["observeAttr"]["telemetry"] == [BATTERY]


def test_profiles_of_other_platforms_are_imported_with_notes(reader: Any, rest: httpx.Client) -> None:
    name = f"imported {uuid.uuid4().hex[:8]}"
    older = {
        "name": "elsewhere",
        "createdTime": 1,
        "profileData": {
            "transportConfiguration": {"observeAttr": {"telemetry": ["/3/0/9"], "observeStrategy": 1}}
        },
    }
    file = {"file": ("profile.json", json.dumps(older).encode(), "application/json")}
    page = reader.done("/console/import-profile", files=file, name=name)
    notices = [words(notice) for notice in page.xpath("//div[@id='notices']/p")]
    assert notices == [f"{name} is imported.", "createdTime: is not used here and was left out"]
    assert rest.get(f"/profiles/{name}").json()["name"] == name
    again = reader.send("/console/import-profile", document=json.dumps({**older, "name": name}))
    assert again.status_code == 422
    assert "there is a profile" in again.text
    wrong = reader.send("/console/import-profile", document='{"name": "x", "profileData": {}}')
    assert "transportConfiguration" in words(
        lxml.html.document_fromstring(wrong.text).get_element_by_id("wrong")
    )


# --- devices -----------------------------------------------------------------------------------------


def test_who_a_profile_is_for(edit: Any, reader: Any, rest: httpx.Client) -> None:
    one = edit()
    name = f"used-{uuid.uuid4().hex[:8]}"
    rest.post("/devices", json={"name": name, "transportType": "LWM2M"})
    fields = {"0:priority": "7", "0:endpoint": f"{name}*", "1:priority": "8"}
    page = reader.done(f"{one.path}/use", **fields)
    (row,) = page.xpath("//table/tbody/tr")
    assert words(row).endswith(f"rule 7: endpoint {name}*")
    refused = reader.send(f"{one.path}/use", groups="no such group")
    assert refused.status_code == 422
    assert "there is no device group" in refused.text
    rest.post("/groups", json={"name": name})
    assert name in one.page("use").xpath("//input[@name='group']/@value")
    page = reader.done(f"{one.path}/use", group=name)
    assert ("Groups", name) in facts(page)
    reader.done(f"{one.path}/use")
    assert rest.get(f"/profiles/{one.name}/assignment").json() == {
        "groups": [],
        "rules": [],
        "default": False,
    }


# --- size --------------------------------------------------------------------------------------------


def test_twenty_objects_of_thirty_resources_stay_small(edit: Any) -> None:
    paths = [f"/{object}/0/{resource}" for object in range(33000, 33020) for resource in range(30)]
    names = {path: f"key{number}" for number, path in enumerate(paths)}
    one = edit(observeAttr={"telemetry": paths, "observe": paths, "keyName": names})
    for query in ({}, {"edit": "1", "object": "3303"}):
        answer = one.reader.client.get(f"{one.path}/transport", params=query)
        assert answer.status_code == 200
        assert len(answer.content) < (450_000 if not query else 150_000)
