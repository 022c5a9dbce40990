"""Webhooks: subscriptions, how deliveries go, and dead letters, without a browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

HOOKS = "/console/webhooks"
OWN = {"target": "main/Program"}
HEADERS = {"X-M2M-Origin": "CAdmin", "Content-Type": "application/json;ty=4"}


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


@pytest.fixture
def device(rest: Any) -> Iterator[str]:
    assert rest.post("/devices", json={"name": "hooked"}).status_code == 201
    assert rest.post("/applications", json={"name": "Program"}).status_code == 201
    yield "hooked"
    rest.delete("/groups/hooked-group")
    rest.delete("/devices/hooked")
    rest.delete("/applications/Program")


def test_a_subscription_is_made_found_and_ended(reader: Any, rest: Any, device: str) -> None:
    page = reader.page("/console/new-webhook", target="Program", device=device)
    assert page.xpath("//input[@name='target']/@value") == ["Program"]
    wish = {"target": "Program", "source": "received-msg", "device": device, "content": "reference"}
    wish |= {"count": "10", "seconds": "2.5"}
    page = reader.done("/console/new-webhook", **wish, events=["childCreated", "childDeleted"])
    (row,) = page.xpath("//tbody/tr")
    assert words(row).startswith(f"{device}: received-msg")
    for text in ("child created, child deleted", "the resource id", "10 together or after 2.5 s", "Program"):
        assert text in words(row)
    (one,) = rest.get("/subscriptions", params={"device": device}).json()["subscriptions"]
    assert not reader.page(f"{HOOKS}/subscriptions", target="nobody").xpath("//tbody/tr")
    page = reader.done(f"{HOOKS}/subscriptions/{one['id']}/delete")
    assert "The subscription is ended." in words(page)
    assert rest.get("/subscriptions", params={"device": device}).json()["subscriptions"] == []


def test_what_is_refused_is_told_beside_what_was_typed(reader: Any, device: str) -> None:
    wish = {"source": "other", "resource": "hooked/<i>", "content": "all", "count": "many"}
    answer = reader.send("/console/new-webhook", target="Program", **wish)
    assert answer.status_code == 400
    assert "subscription.batch.count" in answer.text
    assert "hooked/&lt;i&gt;" in answer.text
    answer = reader.send("/console/new-webhook", target="Nobody", source="logs", device=device, content="all")
    assert answer.status_code == 409
    assert "no application Nobody" in answer.text


@pytest.fixture
def letters(console: Any, rest: Any, device: str) -> list[dict[str, Any]]:
    """Three of them: what this application gets cannot go where it says."""
    rest.patch("/applications/Program", json={"pointsOfAccess": ["ftp://example/"], "kind": "WebHook"})
    rest.post("/groups", json={"name": "hooked-group", "devices": [device], "applications": ["Program"]})
    base = f"{console.server.http}/device-management-orchestrator/v3/main/device-communication/{device}"
    for number in range(3):
        body = {"m2m:cin": {"con": json.dumps({"<script>": number}), "cnf": "application/json:0"}}
        answer = rest.post(f"{base}/received-msg", json=body, headers=HEADERS)
        assert answer.status_code == 201, answer.text
    return dead(rest, 3)


def dead(rest: Any, count: int) -> list[dict[str, Any]]:
    """Once there are so many."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found: list[dict[str, Any]] = rest.get("/deliveries/dead-letters", params=OWN).json()["deadLetters"]
        if len(found) == count:
            return found
        time.sleep(0.02)
    pytest.fail(f"{count} dead letters were due")


def test_dead_letters_are_seen_replayed_and_dropped(reader: Any, rest: Any, letters: Any) -> None:
    id = letters[0]["id"]
    (lane,) = reader.page(HOOKS).xpath("//tbody/tr[.//a[text()='Program']]")
    assert "failing since" in words(lane)
    assert "ftp" in words(lane)
    page = reader.page(f"{HOOKS}/letters", target="main/Program")
    assert len(page.xpath("//tbody/tr")) == 3
    page = reader.page(f"{HOOKS}/letters/{id}")
    assert "<script>" in page.xpath("//pre")[0].text_content()
    assert not page.xpath("//pre//script")
    page = reader.done(f"{HOOKS}/letters/{id}/drop", target="main/Program")
    assert len(page.xpath("//tbody/tr")) == 2
    page = reader.done(f"{HOOKS}/letters/{dead(rest, 2)[0]['id']}/replay")
    assert "put behind what waits" in words(page)
    dead(rest, 2)
    assert "Replayed: 2." in words(reader.done(f"{HOOKS}/letters/replay", target="main/Program"))
    dead(rest, 2)
    page = reader.done(f"{HOOKS}/letters/drop", target="main/Program")
    assert "Dropped: 2." in words(page)
    assert "There are no dead letters" in words(page)
