"""Campaigns without a browser: defined, previewed, changed, started, steered and looked at."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.datastructures import FormData

from lwm2m_server.console.campaign_forms import BadField, definition_of, values_of
from lwm2m_server.console.forms import Form

PACKAGE = "camp-1.0"


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


@pytest.fixture(scope="module", autouse=True)
def furniture(console: Any) -> Any:
    """A package, and three devices that were never seen."""
    url = f"{console.server.http}/api/v1"
    with httpx.Client(base_url=url, headers=console.bearer(), timeout=10.0) as client:
        query = {"name": PACKAGE, "title": "camp", "version": "1.0", "type": "firmware"}
        headers = {"content-type": "application/octet-stream"}
        made = client.post("/packages", params=query, content=b"image", headers=headers)
        assert made.status_code == 201, made.text
        for number in range(3):
            name = f"camp-{number}"
            made = client.post("/devices", json={"name": name, "nodeId": f"urn:dev:{name}"})
            assert made.status_code == 201, made.text
        yield


@pytest.fixture
def define(reader: Any, rest: Any) -> Any:
    names: list[str] = []

    def define(name: str, **fields: Any) -> Any:
        names.append(name)
        return reader.send("/console/campaigns", name=name, package=PACKAGE, **fields)

    yield define
    for name in names:
        rest.post(f"/campaigns/{name}/abort")
        rest.delete(f"/campaigns/{name}")


def form_of(**fields: Any) -> Form:
    lists = {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
    return Form(FormData([(name, one) for name, values in lists.items() for one in values]))


def test_a_form_is_a_definition_and_back(rest: Any) -> None:
    fields = {
        "package": PACKAGE, "description": "d", "endpoint": "camp-*", "devices": "camp-0, camp-1",
        "waves": "1, 10%", "completed": "90", "maxInProgress": "5", "failures": "30%", "atLeast": "4",
        "onFailures": "abort", "approval": "wave", "from": "22:00", "to": "05:00", "zone": "Europe/Berlin",
        "days": ["sat", "sun"], "covers": "all", "deviceTimeout": "1.5", "attempts": "2", "method": "pull",
        "force": "true", "startAt": "2030-01-02T03:04", "expiresAt": "2030-02-02T03:04",
    }  # fmt: skip
    first = definition_of(form_of(**fields))
    made = rest.post("/campaigns", json={"name": "camp-full", **first})
    assert made.status_code == 201, made.text
    stored = made.json()["definition"]
    again = {name: "" if value is None else value for name, value in values_of(stored).items()}
    again = {name: value if isinstance(value, list) else str(value) for name, value in again.items()}
    assert definition_of(form_of(**again)) == first
    rest.delete("/campaigns/camp-full")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Which devices"),
        ({"group": "g", "waves": "few"}, "Waves: 'few'"),
        ({"group": "g", "failures": "some"}, "Stop when so many fail"),
        ({"group": "g", "from": "22:00"}, "Window: from and to"),
        ({"group": "g", "deviceTimeout": "long"}, "Time for a device"),
        ({"group": "g", "maxInProgress": "²"}, "At a time"),
        ({"group": "g", "startAt": "soon"}, "Start: 'soon'"),
    ],
)
def test_what_says_nothing_is_told_by_its_field(fields: Any, words: str) -> None:
    with pytest.raises(BadField, match=re.escape(words)):
        definition_of(form_of(**fields))


def test_a_preview_names_devices_and_waves(reader: Any) -> None:
    fields = {"package": PACKAGE, "endpoint": "camp-?", "waves": "1, 50%"}
    page = reader.send("/console/new-campaign/preview", **fields).text
    assert "3 devices" in page
    assert "camp-0, camp-1, camp-2" in page
    assert "Wave 2: 2 devices" in page
    assert 'value="camp-?"' in page
    assert (
        "No device is like that now"
        in reader.send("/console/new-campaign/preview", package=PACKAGE, endpoint="nobody-*").text
    )
    assert "Which devices" in reader.send("/console/new-campaign/preview", package=PACKAGE).text


def test_preview_over_the_api(rest: Any) -> None:
    plan = {"package": PACKAGE, "target": {"endpoint": "camp-?"}, "waves": [{"count": 2}]}
    found = rest.post("/campaigns/preview", json=plan, params={"limit": 2}).json()
    assert found == {"total": 3, "registered": 0, "waves": [2, 1], "devices": ["camp-0", "camp-1"]}
    for bad in ({**plan, "package": "none"}, {"package": PACKAGE}, []):
        assert rest.post("/campaigns/preview", json=bad).status_code == 400


def test_a_draft_is_changed_and_keeps_what_the_form_has_not(define: Any, reader: Any, rest: Any) -> None:
    plan = {"package": PACKAGE, "target": {"endpoint": "camp-?"}, "comparison": "semantic"}
    made = rest.post("/campaigns", json={"name": "camp-edit", **plan})
    assert made.status_code == 201, made.text
    form = reader.page("/console/campaigns/camp-edit/edit")
    assert form.xpath("//input[@name='endpoint']/@value") == ["camp-?"]
    answer = define("camp-edit", former="camp-edit", endpoint="camp-0", description="<i>one</i>")
    assert answer.headers["location"] == "/console/campaigns/camp-edit"
    page = words(reader.page("/console/campaigns/camp-edit"))
    assert "<i>one</i>" in page
    stored = rest.get("/campaigns/camp-edit").json()["definition"]
    assert (stored["target"], stored["comparison"]) == ({"endpoint": "camp-0"}, plan["comparison"])


def test_it_is_started_watched_and_steered(define: Any, reader: Any, read_as: Any) -> None:
    assert define("camp-run", endpoint="camp-?", waves="1").status_code == 303
    base = "/console/campaigns/camp-run"
    page = reader.page(base)
    assert "draft" in words(page)
    assert page.xpath(f"//form[@action='{base}/start']")
    assert not read_as("read").page(base).xpath(f"//form[@action='{base}/start']")
    operator = read_as("operate")
    assert not operator.page(base).xpath(f"//form[@action='{base}/delete']")
    operator.done(f"{base}/start")
    for _ in range(100):
        page = operator.page(base)
        if "of 3 devices have ended" in words(page):
            break
    text = words(page)
    assert "running" in text
    (live,) = [one for one in page.xpath("//@hx-get") if one.startswith(base)]
    assert live == f"{base}/progress"
    fragment = operator.page(live)
    assert [words(row)[:6] for row in fragment.xpath("//tbody/tr[starts-with(@id, 'device-')]")] == [
        "camp-0", "camp-1", "camp-2"
    ]  # fmt: skip
    assert not operator.page(base, state="failed").xpath("//tbody/tr[starts-with(@id, 'device-')]")
    assert "paused" in words(operator.done(f"{base}/pause"))
    refused = operator.send(f"{base}/pause")
    assert refused.status_code == 409
    assert "one that is running can be paused" in refused.text
    operator.done(f"{base}/resume")
    operator.done(f"{base}/abort")
    assert "abort" in words(reader.page("/console/campaigns"))


def test_what_is_refused_keeps_what_was_typed(define: Any, reader: Any) -> None:
    answer = define("no good!", endpoint="camp-?")
    assert answer.status_code == 400
    assert 'value="camp-?"' in answer.text
    assert "letters, digits" in answer.text
    assert reader.page("/console/campaigns/none", status=404) is not None
