"""What is told of a device beside its objects: what waits, what was said, what it is made of and shall be."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import lxml.html
import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.bootstrapping import FactoryDevice
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
METER = "/console/devices/meter-of-tabs"
SLEEPER = "/console/devices/sleeper-of-tabs"
VAULT = "/console/devices/vault-of-tabs"
TABS = ("mappings", "queue", "exchanges", "updates", "desired", "profile", "security", "bootstrap")
KEY = "00112233445566778899aabbccddeeff"


def device_object() -> SimulatedObject:
    values = {
        0: Resource(ResourceType.STRING, HOSTILE),
        9: Resource(ResourceType.INTEGER, 72),
        13: Resource(ResourceType.TIME, 1_700_000_000, "RW"),
        14: Resource(ResourceType.STRING, "+02", "RW"),
        16: Resource(ResourceType.STRING, "U"),
        4: Resource(ResourceType.NONE, operations="E"),
        11: Resource(ResourceType.INTEGER, {0: 0}),
    }
    return SimulatedObject(3, {0: values})


def firmware_object() -> SimulatedObject:
    values = {
        0: Resource(ResourceType.OPAQUE, b"", "W"),
        1: Resource(ResourceType.STRING, "", "RW"),
        2: Resource(ResourceType.NONE, operations="E"),
        3: Resource(ResourceType.INTEGER, 0),
        5: Resource(ResourceType.INTEGER, 0),
        9: Resource(ResourceType.INTEGER, 2),
    }
    return SimulatedObject(5, {0: values})


@pytest.fixture(scope="module")
def console(own_console: Any) -> Any:
    return own_console


@pytest.fixture(scope="module")
def meter(fleet: Any) -> Any:
    objects = [one for one in default_objects(300, "U") if one.id != 3]
    return fleet.start("meter-of-tabs", objects=[*objects, device_object()])


@pytest.fixture(scope="module")
def sleeper(fleet: Any) -> Any:
    """It says nothing before it is told to."""
    objects = [*default_objects(3600, "U"), firmware_object()]
    return fleet.start(
        "sleeper-of-tabs", queue_mode=True, awake=0.0, lifetime=3600, sleep=3000, objects=objects
    )


@pytest.fixture
def asleep(sleeper: Any, rest: Any) -> Any:
    """Once it is; nothing waits for it before and after."""
    rest.put("/devices/sleeper-of-tabs/power-saving", json={"awakeWindow": 0.05})
    soon(lambda: rest.get("/devices/sleeper-of-tabs/queue").json()["awake"] is False)
    yield sleeper
    for one in rest.get("/devices/sleeper-of-tabs/queue").json()["queue"]:
        rest.delete(f"/devices/sleeper-of-tabs/queue/{one['id']}")


@pytest.fixture
def vault(rest: Any) -> Any:
    """A device that is known, and was never heard."""
    assert rest.post("/devices", json={"name": "vault-of-tabs", "nodeId": "urn:dev:vault"}).status_code == 201
    yield
    assert rest.delete("/devices/vault-of-tabs").status_code == 204


def soon(look: Any) -> Any:
    end = time.monotonic() + 10
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def ask(rest: Any, name: str, method: str, path: str, **more: Any) -> Any:
    document = {"method": method, "params": {"id": path, **more}}
    way = "oneway" if name.startswith("sleeper") else "twoway"
    return rest.post(f"/devices/{name}/rpc/{way}", json=document)


def text(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def content(page: Any) -> str:
    return text(page.get_element_by_id("content"))


def texts(content: str) -> list[str]:
    """Those of a message, which is one, or a JSON object."""
    if not content.startswith("{"):
        return [content]
    return [value for value in json.loads(content).values() if isinstance(value, str)]


def row_of(page: Any, word: str) -> Any:
    """The row of a table that this word is in."""
    (found,) = [row for row in page.xpath("//tbody/tr") if word in row.text_content()]
    return found


def posts(page: Any) -> list[str]:
    """Where forms of the page post to, but those that are on every page."""
    return [form.get("action") for form in page.xpath("//main//form[@method='post']")]


# --- all of them ----------------------------------------------------------------------------------------


def test_tabs_of_a_device_that_was_never_heard(reader: Any, vault: Any) -> None:
    for tab in TABS:
        page = reader.page(f"{VAULT}/{tab}")
        (current,) = page.xpath("//nav[@class='tabs']//a[@aria-current]")
        assert current.get("href") == f"{VAULT}/{tab}"
        assert "not registered" in content(page)


def test_who_may_only_read_gets_no_buttons(read_as: Any, asleep: Any, rest: Any) -> None:
    ask(rest, "sleeper-of-tabs", "Read", "/3/0/9")
    reader = read_as("read")
    for tab in TABS:
        assert posts(reader.page(f"{SLEEPER}/{tab}")) == [], tab


def test_the_api_decides_whoever_posts(read_as: Any, vault: Any) -> None:
    reader = read_as("read")
    for deed, fields in (
        ("security/management", {"mode": "nosec"}),
        ("exchanges/start", {}),
        ("desired", {"key": "/3/0/14", "value": "+01"}),
        ("profile/unassign", {}),
    ):
        assert reader.send(f"{VAULT}/{deed}", **fields).status_code == 403, deed


# --- queue ----------------------------------------------------------------------------------------------


def test_what_waits_since_when_for_whom_and_taking_it_back(reader: Any, rest: Any, asleep: Any) -> None:
    assert ask(rest, "sleeper-of-tabs", "WriteReplace", "/3/0/14", value=HOSTILE).status_code < 300
    assert ask(rest, "sleeper-of-tabs", "Execute", "/3/0/4").status_code < 300
    page = reader.page(f"{SLEEPER}/queue")
    first, second = page.xpath("//tbody/tr")
    cut = rest.get("/devices/sleeper-of-tabs/queue", params={"length": 4}).json()["queue"]
    assert all(len(value) <= 5 for one in cut for value in texts(one["content"]))
    assert "PUT /3/0/14" in text(first)
    assert HOSTILE in text(first)
    assert not page.xpath("//main//img")
    assert "waiting" in text(first)
    assert "RPC WriteReplace" in text(first)
    since, until = first.xpath(".//time/@data-ms")
    assert int(since) <= time.time() * 1000 + 1000 < int(until)
    (form,) = second.xpath(".//form")
    assert "POST /3/0/4" in form.get("data-ask")
    after = reader.done(form.get("action"))
    assert "taken back" in content(after)
    assert len(after.xpath("//tbody/tr")) == 1
    assert "not waiting any more" in content(reader.done(form.get("action")))
    assert len(rest.get("/devices/sleeper-of-tabs/queue").json()["queue"]) == 1


def test_the_queue_is_asked_for_again_by_the_page(reader: Any, asleep: Any) -> None:
    page = reader.page(f"{SLEEPER}/queue")
    (live,) = page.xpath("//div[@id='queue']")
    assert live.get("hx-get") == f"{SLEEPER}/queue/now"
    part = lxml.html.fragment_fromstring(reader.client.get(live.get("hx-get")).text, create_parent=True)
    assert "Nothing waits" in text(part)
    assert not part.xpath(".//header")


# --- exchanges ------------------------------------------------------------------------------------------


def test_the_trace_shows_both_sides_and_what_a_code_means(reader: Any, rest: Any, meter: Any) -> None:
    assert "following" in content(reader.done(f"{METER}/exchanges/start"))
    with reader.client.stream("GET", f"{METER}/exchanges/live") as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        ask(rest, "meter-of-tabs", "Read", "/3/0/9")
        seen = ""
        for line in live.iter_lines():
            seen += line
            if "2.05 Content" in seen and "72" in seen:
                break
    ask(rest, "meter-of-tabs", "Read", "/3/0/17")
    page = reader.page(f"{METER}/exchanges")
    answer, question = page.xpath("//div[@id='trace']/article")[2:4]
    assert "to the device" in text(question)
    assert "Uri-Path" in text(question)
    assert "from the device" in text(answer)
    raw, decoded = answer.xpath(".//div[@class='sides']/div")
    assert "Content-Format" in text(raw)
    assert raw.xpath(".//pre")
    assert "Battery Level /3/0/9 72 %" in text(decoded)
    refused = page.xpath("//div[@id='trace']/article")[0]
    assert "4.04 Not found" in text(refused)
    assert "no such Object, Object Instance or Resource" in text(refused)
    assert "what it had noted is gone" in content(reader.done(f"{METER}/exchanges/stop"))


def test_why_a_message_failed(reader: Any, rest: Any, meter: Any) -> None:
    ask(rest, "meter-of-tabs", "Read", "/3/0/17")
    ask(rest, "meter-of-tabs", "Read", "/3/0/0")
    page = reader.page(f"{METER}/exchanges")
    assert HOSTILE in content(page)
    assert not page.xpath("//main//img")
    failed = reader.page(f"{METER}/exchanges", only="errors")
    rows = failed.xpath("//tbody/tr[th]")
    assert {"2.05 Content"}.isdisjoint(text(row) for row in rows)
    row = next(row for row in rows if "/3/0/17" in text(row))
    assert "4.04 Not found" in text(row)
    assert "There is no such Object, Object Instance or Resource on the device." in text(row)


# --- mapping --------------------------------------------------------------------------------------------


def test_both_sides_of_the_mapping(reader: Any, rest: Any, meter: Any) -> None:
    soon(lambda: "geo:52.5,13.4" in content(reader.page(f"{METER}/mappings")))
    page = reader.page(f"{METER}/mappings")
    left, _, right = row_of(page, "geo()").xpath("./td")
    assert "/6/0/0 Latitude" in text(left)
    assert "52.5" in text(left)
    assert text(right) == "location geo:52.5,13.4"
    assert "writable by seconds()" in text(row_of(page, "systemTime"))
    assert HOSTILE in text(row_of(page, "deviceName"))
    assert not page.xpath("//main//img")
    assert page.xpath("//a[@href='/console/plugins#p-onem2m_5f_device']")
    missing = text(page.xpath("//section[@aria-labelledby='unmapped']")[0])
    assert "/1 LwM2M Server" in missing
    assert "needs /9" in missing


def test_plugins_with_what_they_map(read_as: Any) -> None:
    for role in ("read", "system"):
        page = read_as(role).page("/console/plugins")
        plugin = page.get_element_by_id("p-onem2m_5f_device")
        assert "loaded" in text(plugin)
        assert "location <- /6/0/latitude /6/0/longitude" in text(plugin)
        assert "off by default" in text(page.get_element_by_id("p-ipso_5f_sensors"))


# --- updates --------------------------------------------------------------------------------------------


def test_an_update_is_started_cancelled_and_tried_again(reader: Any, rest: Any, asleep: Any) -> None:
    assert "no package yet" in content(reader.page(f"{SLEEPER}/updates"))
    said = {"name": "tabs-2", "title": "tabs", "version": "2.0", "type": "firmware"}
    headers = {"content-type": "application/octet-stream"}
    assert rest.post("/packages", params=said, content=b"image", headers=headers).status_code == 201
    refused = reader.send(f"{SLEEPER}/updates", package="nothing")
    assert refused.status_code == 400
    assert "has no package" in refused.text
    page = reader.done(f"{SLEEPER}/updates", package="tabs-2", method="push", approval="true")
    assert "The update has begun." in content(page)
    (update,) = rest.get("/devices/sleeper-of-tabs/updates").json()["updates"]
    assert update["options"]["approval"] is True
    assert "queued" in text(page.get_element_by_id("updates"))
    place = f"{SLEEPER}/updates/{update['id']}"
    assert f"{place}/approve" in posts(page)
    page = reader.done(f"{place}/cancel")
    assert "cancelled" in text(row_of(page, "tabs 2.0"))
    assert f"{place}/retry" in posts(page)
    assert "queued" in text(reader.done(f"{place}/retry").get_element_by_id("updates"))
    reader.done(f"{place}/cancel")
    assert rest.delete("/packages/tabs-2").status_code == 204


# --- desired --------------------------------------------------------------------------------------------


def test_what_is_desired_waits_until_the_device_can_hear_it(reader: Any, rest: Any, asleep: Any) -> None:
    page = reader.done(f"{SLEEPER}/desired", key="/3/0/14", value="+05:00")
    row = row_of(page, "UTC Offset")
    assert "+05:00" in text(row)
    assert "pending" in text(row)
    (wish,) = rest.get("/devices/sleeper-of-tabs/desired").json()["desired"]
    assert (wish["path"], wish["value"]) == ("/3/0/14", "+05:00")
    change = reader.page(f"{SLEEPER}/desired", key=wish["key"])
    assert change.xpath("//input[@name='key']/@value")[-1] == wish["key"]
    refused = reader.send(f"{SLEEPER}/desired", key="/3/0/9", value="no number")
    assert refused.status_code == 400
    faulty = lxml.html.document_fromstring(refused.text)
    assert "/3/0/9" in text(faulty.xpath("//p[@role='alert']")[0])
    assert faulty.xpath("//input[@name='value']/@value") == ["no number"]
    after = reader.done(f"{SLEEPER}/desired/forget", key=wish["key"])
    assert "Nothing is desired of this device" in content(after)


# --- profile --------------------------------------------------------------------------------------------


def test_which_profile_counts_and_why(reader: Any, rest: Any, vault: Any) -> None:
    profile = {"name": "of-tabs", "transportType": "LWM2M", "profileData": {"transportConfiguration": {}}}
    assert rest.post("/profiles", json=profile).status_code == 201
    assert "No profile is for this device" in content(reader.page(f"{VAULT}/profile"))
    page = reader.done(f"{VAULT}/profile", profile="of-tabs")
    assert "It was assigned to this device." in content(page)
    assert page.xpath("//main//a[@href='/console/profiles/of-tabs']")
    page = reader.done(f"{VAULT}/profile/unassign")
    assert "No profile is for this device" in content(page)
    rule = {"rules": [{"priority": 1, "endpoint": "vault-*"}]}
    assert rest.put("/profiles/of-tabs/assignment", json=rule).status_code == 200
    assert "A rule fits this device: endpoint vault-* (priority 1)" in content(
        reader.page(f"{VAULT}/profile")
    )
    refused = reader.send(f"{VAULT}/profile", profile="nothing")
    assert refused.status_code == 400
    assert "nothing" in refused.text
    assert rest.delete("/profiles/of-tabs/assignment").status_code == 204
    assert rest.delete("/profiles/of-tabs").status_code == 204


# --- security -------------------------------------------------------------------------------------------


def test_a_secret_is_set_and_never_shown(reader: Any, rest: Any, vault: Any) -> None:
    fields = {"mode": "psk", "endpoint": "vault-of-tabs", "identity": HOSTILE, "key": KEY}
    page = reader.done(f"{VAULT}/security/management", **fields)
    card = page.xpath("//section[@aria-labelledby='s-management']")[0]
    assert "Pre-shared key" in text(card)
    assert HOSTILE in text(card)
    assert "Key set" in text(card)
    assert KEY not in lxml.html.tostring(page, encoding="unicode")
    assert not page.xpath("//main//img")
    shown = rest.get("/devices/vault-of-tabs/credentials").json()["management"]
    assert (shown["mode"], shown["identity"], shown["keySet"]) == ("psk", HOSTILE, True)
    refused = reader.send(f"{VAULT}/security/management", **{**fields, "key": "not a key!"})
    assert refused.status_code == 400
    assert "not a key!" not in refused.text
    removed = reader.done(f"{VAULT}/security/management/remove")
    assert "none is set" in text(removed.xpath("//section[@aria-labelledby='s-management']")[0])


def test_a_generated_key_is_shown_once(reader: Any, vault: Any) -> None:
    answer = reader.send(f"{VAULT}/security/bootstrap/generate", identity="boot-of-tabs")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    key = lxml.html.document_fromstring(answer.text).get_element_by_id("new-key").text
    assert len(bytes.fromhex(key)) >= 16
    page = reader.page(f"{VAULT}/security")
    assert key not in lxml.html.tostring(page, encoding="unicode")
    assert "boot-of-tabs" in text(page.xpath("//section[@aria-labelledby='s-bootstrap']")[0])


# --- bootstrap ------------------------------------------------------------------------------------------


def test_what_bootstrap_would_write(reader: Any, rest: Any, vault: Any) -> None:
    assert "Nothing is there for this device" in content(reader.page(f"{VAULT}/bootstrap"))
    security = {
        "0": "coaps://192.0.2.1",
        "1": False,
        "2": 0,
        "3": {"text": "id"},
        "5": {"hex": KEY},
        "10": 101,
    }
    account = {"0": 101, "1": 77, "6": True, "7": "U"}
    draft = {"endpoints": ["vault-of-tabs"], "noSec": True, "write": {"/0/1": security, "/1/0": account}}
    assert rest.put("/bootstrap/configs/of-tabs", json=draft).status_code == 201
    page = reader.page(f"{VAULT}/bootstrap")
    assert "by the bootstrap configuration of-tabs" in content(page)
    assert text(row_of(page, "/1/0/1")) == "Lifetime /1/0/1 77"
    assert text(row_of(page, "/0/1/5")) == "Secret Key /0/1/5 set"
    assert "has not bootstrapped lately" in content(page)
    assert rest.delete("/bootstrap/configs/of-tabs").status_code == 204


async def test_how_a_bootstrap_went(serve: Any, connect: Any) -> None:
    """Of a server without API clients: there is nothing to sign in to."""
    server = serve("--unknown-devices", "create", LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")
    api, (host, _, port) = connect(server), server.addresses["bootstrap_coap"].rpartition(":")
    security = {"0": f"coap://{server.addresses['coap']}", "1": False, "2": 3, "10": 101}
    account = {"0": 101, "1": 60, "6": True, "7": "U"}
    draft = {"endpoints": ["boot-*"], "noSec": True, "write": {"/0/1": security, "/1/0": account}}
    configs = f"{server.http}/api/v1/bootstrap/configs"
    assert (await api.client.put(f"{configs}/boot", json=draft)).status_code == 201
    one = FactoryDevice("boot-1", (host, int(port)), Catalog.bundled().types)
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 10)
        answer = await api.get("/console/devices/boot-1/bootstrap")
    finally:
        await one.stop()
    page = lxml.html.document_fromstring(answer.text)
    session = page.xpath("//details[contains(@class, 'session')]")[0]
    assert text(session.find("summary")).startswith("finished")
    steps = [text(row.find("th")) for row in session.xpath(".//tbody/tr")]
    assert [step.split()[0] for step in steps] == ["Discover", "Delete", "Write", "Write", "Finish"]
    codes = [text(row.xpath("./td")[1]) for row in session.xpath(".//tbody/tr")]
    assert codes == ["2.05", "2.02", "2.04", "2.04", "2.04"]
