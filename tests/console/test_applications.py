"""Applications and device groups, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

APP, GROUP = "/console/applications", "/console/groups"
PROFILE = {"name": "la-profile", "transportType": "LWM2M", "profileData": {"transportConfiguration": {}}}


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


def said(page: Any) -> str:
    return " ".join(words(one) for one in page.xpath("//*[contains(@class, 'notice')]"))


@pytest.fixture
def names(rest: Any) -> Iterator[str]:
    """A beginning for names of this test; what has them goes."""
    yield "la-"
    for kind, member in (("applications", "applications"), ("groups", "groups"), ("devices", "devices")):
        for one in rest.get(f"/{kind}", params={"q": "la-", "limit": 100}).json()[member]:
            rest.delete(f"/{kind}/{one['name']}")


def add_devices(rest: Any, *devices: str) -> None:
    for name in devices:
        answer = rest.post("/devices", json={"name": name})
        assert answer.status_code == 201, answer.text


def test_an_application_comes_changes_and_goes(reader: Any, rest: Any, names: str) -> None:
    page = reader.done(
        "/console/new-application",
        name="la-hook",
        kind="WebHook",
        pointsOfAccess="http://me:hidden@198.51.100.1/a\nhttp://198.51.100.1/b",
        headers="Authorization: also-hidden",
        labels="<b>room</b>:1",
    )
    assert "la-hook is registered" in said(page)
    text = page.text_content()
    assert "hidden" not in text.replace("la-hook", "")
    assert page.xpath("//code[text()='Authorization']")
    (addresses,) = page.xpath("//textarea[@name='pointsOfAccess']/text()")
    assert addresses.split() == ["http://me:***@198.51.100.1/a", "http://198.51.100.1/b"]
    reader.done(f"{APP}/la-hook", kind="MQTT", pointsOfAccess=addresses, labels="<b>room</b>:1\nfloor:2")
    one = rest.get("/applications/la-hook").json()
    assert (one["kind"], one["labels"], one["headers"]) == (
        "MQTT",
        ["<b>room</b>:1", "floor:2"],
        ["Authorization"],
    )
    reader.done(f"{APP}/la-hook", kind="MQTT", labels="", replaceHeaders="true", headers="Site: north")
    assert rest.get("/applications/la-hook").json()["headers"] == ["Site"]
    page = reader.done(f"{APP}/la-hook/pause", paused="true")
    assert "gets nothing until you resume it" in said(page)
    assert rest.get("/applications/la-hook").json()["paused"]
    reader.done(f"{APP}/la-hook/pause")
    assert not rest.get("/applications/la-hook").json()["paused"]
    assert "la-hook is removed" in said(reader.done(f"{APP}/la-hook/delete"))
    reader.page(f"{APP}/la-hook", 404)


def test_what_is_refused_is_told_beside_what_was_typed(reader: Any, names: str) -> None:
    answer = reader.send(
        "/console/new-application", name="la-x", kind="WebHook", appId="Wrong", labels="kept"
    )
    assert answer.status_code == 400
    assert "App-ID" in answer.text
    assert 'value="la-x"' in answer.text
    assert ">\nkept</textarea>" in answer.text
    answer = reader.send("/console/new-group", name="la-g", devices="la-ghost")
    assert answer.status_code == 400
    assert "la-ghost" in answer.text


def test_an_application_joins_and_leaves_groups(reader: Any, rest: Any, names: str) -> None:
    rest.post("/applications", json={"name": "la-app"})
    rest.post("/groups", json={"name": "la-group"})
    page = reader.page(f"{APP}/la-app")
    assert "la-group" in page.xpath("//select[@name='group']/option/@value")
    page = reader.done(f"{APP}/la-app/groups", group="la-group")
    assert page.xpath(f"//a[@href='{GROUP}/la-group']")
    (row,) = reader.page(APP, q="la-app").xpath("//tbody/tr")
    assert "la-group" in words(row)
    reader.done(f"{APP}/la-app/groups/leave", group="la-group")
    assert rest.get("/groups/la-group").json()["applications"] == []


def test_a_group_with_its_members(reader: Any, rest: Any, names: str) -> None:
    add_devices(rest, "la-dev1", "la-dev2", "la-dev3")
    rest.post("/applications", json={"name": "la-app"})
    page = reader.done("/console/new-group", name="la-meters", devices="la-dev1, la-dev2", labels="floor:2")
    assert page.xpath("//tbody//th/a/text()") == ["la-dev1", "la-dev2"]
    page = reader.page(f"{GROUP}/la-meters", find="LA-DEV")
    picks = {box.get("value"): "disabled" in box.attrib for box in page.xpath("//input[@name='addDevices']")}
    assert picks == {"la-dev1": True, "la-dev2": True, "la-dev3": False}
    page = reader.done(f"{GROUP}/la-meters/members", addDevices="la-dev3", addApplications="la-app")
    assert "la-meters: 2 joined." in said(page)
    page = reader.done(f"{GROUP}/la-meters/members", removeDevices=["la-dev1", "la-dev2"])
    assert page.xpath("//tbody//th/a/text()") == ["la-dev3"]
    rest.delete("/devices/la-dev3")
    (row,) = reader.page(f"{GROUP}/la-meters").xpath("//tbody/tr")
    assert "gone" in words(row)
    page = reader.done(f"{GROUP}/la-meters/members", removeApplications="la-app")
    assert rest.get("/groups/la-meters").json()["applications"] == []
    reader.done(f"{GROUP}/la-meters", labels="a\nb")
    assert rest.get("/groups/la-meters").json()["labels"] == ["a", "b"]
    (row,) = reader.page(GROUP, q="la-meters").xpath("//tbody/tr")
    assert words(row).startswith("la-meters 1 0 none a b")
    rest.post("/profiles", json=PROFILE)
    page = reader.done(f"{GROUP}/la-meters/profile", profile="la-profile", assign="true")
    assert page.xpath("//a[@href='/console/profiles/la-profile']")
    assert rest.get("/profiles/la-profile/assignment").json()["groups"] == ["la-meters"]
    reader.done(f"{GROUP}/la-meters/profile", profile="la-profile")
    assert rest.get("/groups/la-meters").json()["profiles"] == []
    rest.delete("/profiles/la-profile")
    refused = reader.send(f"{GROUP}/la-meters/members", names="la-ghost")
    assert refused.status_code == 400
    assert "la-ghost" in refused.text
    assert reader.send(f"{GROUP}/la-meters/members").status_code == 400
    reader.done(f"{GROUP}/la-meters/delete")
    reader.page(f"{GROUP}/la-meters", 404)


def test_who_only_looks_is_offered_nothing(read_as: Any, rest: Any, names: str) -> None:
    rest.post("/applications", json={"name": "la-app"})
    rest.post("/groups", json={"name": "la-group", "applications": ["la-app"]})
    looking = read_as("read")
    for path in (f"{APP}/la-app", f"{GROUP}/la-group"):
        page = looking.page(path)
        assert not page.xpath("//main//form[@method='post']")
    assert looking.send(f"{APP}/la-app/delete").status_code == 403
    assert rest.get("/applications/la-app").status_code == 200


@pytest.mark.parametrize(
    ("where", "kind", "document"),
    [(APP, "applications", {"pointsOfAccess": ["http://198.51.100.1/"]}), (GROUP, "groups", {})],
)
def test_lists_are_searched_and_paged(
    reader: Any, rest: Any, names: str, where: str, kind: str, document: dict[str, Any]
) -> None:
    for number in range(52):
        answer = rest.post(f"/{kind}", json={"name": f"la-{number:02}", **document})
        assert answer.status_code == 201, answer.text
    first = reader.page(f"{where}?q=la-")
    assert len(first.xpath("//table[@class='cards']/tbody/tr")) == 50
    assert "1–50 of 52" in first.xpath("string(//nav[@class='pager'])")
    (following,) = first.xpath("//a[@rel='next']/@href")
    rest_of_them = reader.page(following)
    assert [words(one) for one in rest_of_them.xpath("//tbody/tr/th")] == ["la-50", "la-51"]
    assert rest_of_them.xpath("//form[@role='search']//input[@name='q']/@value") == ["la-"]
    none = reader.page(f"{where}?q=la-nothing")
    assert not none.xpath("//table")
    assert "is like that" in none.xpath("string(//*[@class='empty'])")
    assert none.xpath(f"//*[@class='empty']//a[@href='{where}']")
