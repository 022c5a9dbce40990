"""The list of devices: what is asked stands in the address, and nothing needs a script."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

NAMES = [f"m{number:02}" for number in range(30)]


@pytest.fixture(scope="module")
def console(own_console):
    return own_console


@pytest.fixture(scope="module")
def fleet(console):
    """Thirty devices, some with a profile, some in a group, one that is hostile."""
    import httpx

    url = f"{console.server.http}/api/v1"
    with httpx.Client(base_url=url, headers=console.bearer(), timeout=10.0) as client:
        profile = {"name": "meters", "transportType": "LWM2M"}
        client.post("/profiles", json=profile | {"profileData": {"transportConfiguration": {}}})
        assert client.post("/groups", json={"name": "cellar"}).status_code == 201
        for number, name in enumerate(NAMES):
            body = {"name": name, "nodeId": f"urn:dev:{name}"}
            body |= {"profile": "meters"} if number % 10 == 0 else {}
            body |= {"groups": ["cellar"]} if number % 15 == 1 else {}
            if number == 3:
                body["credentials"] = {
                    "credentialsValue": {
                        "client": {"securityConfigClientMode": "PSK", "identity": "id-3", "key": "5e" * 16}
                    }
                }
            assert client.post("/devices", json=body).status_code == 201


@pytest.fixture
def listed(fleet, reader):
    """The names that a list shows, in order, and its page."""

    def listed(**query):
        shown = reader.page("/console/devices", **query)
        return shown.xpath("//tbody/tr/th/a/text()"), shown

    return listed


def test_nothing_yet_says_what_to_do(reader):
    shown = reader.page("/console/devices")
    links = shown.xpath("//div[@class='empty']//a/@href")
    assert links == ["/console/new-device", "/console/import-devices"]
    assert "lwm2m simulate" in shown.xpath("string(//div[@class='empty'])")


def test_all_of_them_in_pages(listed):
    names, shown = listed(limit=25)
    assert names == NAMES[:25]
    assert "1–25 of 30" in shown.xpath("string(//nav[@class='pager'])")
    (behind,) = shown.xpath("//a[@rel='next']/@href")
    assert dict(parse_qsl(urlsplit(behind).query)) == {"limit": "25", "offset": "25"}
    names, shown = listed(limit=25, offset=25)
    assert names == NAMES[25:]
    assert shown.xpath("//a[@rel='prev']/@href") == ["/console/devices?limit=25"]
    (again,) = shown.xpath("//div[@id='rows']/@hx-get")
    assert again == "/console/devices?limit=25&offset=25"


def test_filters_are_in_the_address_and_in_the_form(listed):
    names, shown = listed(q="M1", profile="meters")
    assert names == ["m10"]
    assert shown.xpath("//input[@id='q']/@value") == ["M1"]
    assert shown.xpath("//select[@name='profile']/option[@selected]/@value") == ["meters"]
    assert listed(group="cellar")[0] == ["m01", "m16"]
    assert listed(state="unregistered", q="m2")[0] == NAMES[20:]
    assert listed(registered="true")[0] == []


def test_what_fits_nothing_can_be_cleared(listed):
    names, shown = listed(q="nobody")
    assert names == []
    assert shown.xpath("//div[@class='empty']//a/@href") == ["/console/devices"]
    _, shown = listed(offset=500)
    assert "no such page" in shown.xpath("string(//div[@class='empty'])")


def test_a_heading_sorts_and_turns_round(listed):
    _, shown = listed(q="m")
    (link,) = shown.xpath("//th/a[text()='Device']/@href")
    assert link == "/console/devices?q=m&sort=name"
    names, shown = listed(q="m", sort="name")
    assert shown.xpath("//th[@aria-sort]/@aria-sort") == ["ascending"]
    (link,) = shown.xpath("//th/a[text()='Device']/@href")
    names, shown = listed(**dict(parse_qsl(urlsplit(link).query)))
    assert names == NAMES[::-1]
    assert shown.xpath("//th[@aria-sort]/@aria-sort") == ["descending"]


def test_a_row_says_how_a_device_is(listed):
    _, shown = listed(q="m03")
    cells = {cell.get("data-label"): " ".join(cell.text_content().split()) for cell in shown.xpath("//td")}
    assert (cells["State"], cells["Security"], cells["Waiting"]) == ("never seen", "PSK", "0")


def test_a_row_names_its_groups_and_leads_to_their_lists(listed, rest):
    _, shown = listed(q="m04")
    assert shown.xpath("string(//td[@data-label='Groups'])").split() == ["–"]
    for name in ("west", "attic", "dry", "b-1", "zoo"):
        assert rest.post("/groups", json={"name": name, "devices": ["m04"]}).status_code == 201
    _, shown = listed(q="m04")
    (cell,) = shown.xpath("//td[@data-label='Groups']")
    assert " ".join(cell.text_content().split()) == "attic, b-1, dry +2"
    assert cell.xpath("a/@href")[0] == "/console/devices?group=attic"
    assert cell.xpath("a/@aria-label") == ["2 more groups of m04"]
    assert listed(group="attic")[0] == ["m04"]


def test_what_means_nothing_is_not_asked(listed):
    assert listed(sort="colour", order="up", state="happy", limit="7", offset="x")[0] == NAMES


def test_a_script_gets_the_rows_and_an_address(fleet, reader):
    headers = {"hx-request": "true", "hx-target": "div#list"}
    answer = reader.client.get("/console/devices?q=m0&state=&limit=50", headers=headers)
    assert (answer.status_code, answer.headers["hx-push-url"]) == (200, "/console/devices?q=m0")
    assert answer.text.lstrip().startswith('<div id="rows"')
    again = reader.client.get(
        "/console/devices?q=m0", headers={"hx-request": "true", "hx-target": "div#rows"}
    )
    assert "hx-push-url" not in again.headers
    back = reader.client.get(
        "/console/devices?q=m0", headers={"hx-request": "true", "hx-history-restore-request": "true"}
    )
    assert "<html" in back.text


def test_who_only_reads_is_not_asked_to_add(fleet, read_as):
    shown = read_as("read").page("/console/devices")
    assert shown.xpath("//a[contains(@href, 'new-device') or contains(@href, 'import')]") == []
