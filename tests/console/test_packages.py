"""Packages without a browser: added, looked at, fetched, taken away; and updates under way."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

BYTES = b"\x00image\xff" * 1000


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


@pytest.fixture
def package(reader: Any, rest: Any) -> Any:
    """Add one; it goes with the test."""
    names: list[str] = []

    def add(name: str, data: bytes = BYTES, who: Any = None, **fields: str) -> Any:
        names.append(name)
        wanted = {"name": name, "title": name, "version": "1.0", "type": "firmware", **fields}
        return (who or reader).send("/console/packages", {"file": ("a <b>.bin", data)}, **wanted)

    yield add
    for name in names:
        rest.delete(f"/packages/{name}")


def test_an_upload_is_there_as_it_was_sent(package: Any, reader: Any) -> None:
    answer = package("page-1", description="<script>alert(1)</script>", manufacturer="ACME & Sons")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/packages/page-1")
    page = reader.page("/console/packages/page-1")
    text = words(page)
    assert hashlib.sha256(BYTES).hexdigest() in text
    assert "<script>alert(1)</script>" in text
    assert "manufacturer ACME & Sons" in text
    assert "a <b>.bin" in text
    assert "nobody at present" in text
    fetched = reader.client.get("/console/packages/page-1/file")
    assert fetched.content == BYTES
    assert "attachment" in fetched.headers["content-disposition"]
    (row,) = reader.page("/console/packages", type="firmware").xpath("//tr[contains(., 'page-1')]")
    assert "7.0 kB" in words(row) or "6.8 KiB" in words(row)


def test_what_is_refused_keeps_what_was_typed(package: Any, reader: Any) -> None:
    package("page-2")
    answer = package("page-2", data=b"others")
    assert answer.status_code == 409
    assert "there is a package" in answer.text
    assert 'value="page-2"' in answer.text
    nothing = reader.send("/console/packages", title="x", version="1", type="firmware")
    assert nothing.status_code == 400
    assert "choose a file" in nothing.text
    # As the script sends it: the refusal alone.
    headers = {"hx-request": "true"}
    (token, *_) = reader.page("/console/").xpath("//input[@name='csrf']/@value")
    form = {"csrf": token, "name": "page-2", "title": "page-2", "version": "1.0", "type": "firmware"}
    told = reader.client.post(
        "/console/packages", data=form, files={"file": ("x", b"others")}, headers=headers
    )
    assert told.status_code == 409
    assert told.headers["content-type"].startswith("text/plain")
    assert told.text == "there is a package 'page-2'"


def test_one_that_lies_elsewhere(package: Any, reader: Any) -> None:
    fields = {"title": "far", "version": "1.0", "type": "software", "name": "page-3"}
    page = reader.done("/console/packages", url="https://files.example/a.bin", **fields)
    assert "https://files.example/a.bin" in words(page)
    assert not page.xpath("//a[contains(@href, '/file')]")
    reader.done("/console/packages/page-3/delete")


def test_deleting_says_who_needs_it(package: Any, reader: Any, rest: Any, read_as: Any) -> None:
    package("page-4")
    plan = {"name": "needs-4", "package": "page-4", "target": {"endpoint": "nobody-*"}}
    assert rest.post("/campaigns", json=plan).status_code == 201
    assert "the campaign needs-4" in words(reader.page("/console/packages/page-4"))
    refused = reader.send("/console/packages/page-4/delete")
    assert refused.status_code == 409
    assert "is used by the campaign needs-4" in refused.text
    operator = read_as("operate")
    assert not operator.page("/console/packages/page-4").xpath("//form[contains(@action, 'delete')]")
    assert operator.send("/console/packages/page-4/delete").status_code == 403
    rest.delete("/campaigns/needs-4")
    assert "page-4 is deleted" in words(reader.done("/console/packages/page-4/delete"))
    assert reader.page("/console/packages/page-4", status=404) is not None


def test_updates_under_way_are_listed_and_stopped(package: Any, reader: Any, rest: Any, read_as: Any) -> None:
    package("page-5")
    for name in ("updated-1", "updated-2"):
        made = rest.post("/devices", json={"name": name, "nodeId": f"urn:dev:{name}"})
        assert made.status_code == 201, made.text
    begun = rest.post("/devices/updated-1/updates", json={"package": "page-5"})
    assert begun.status_code == 202, begun.text
    row = words(reader.page("/console/updates").xpath("//tr[contains(., 'updated-1')]")[0])
    assert "queued" in row
    id = begun.json()["id"]
    assert not read_as("read").page("/console/updates").xpath("//form[contains(@action, '/cancel')]")
    page = read_as("operate").done(f"/console/updates/updated-1/{id}/cancel")
    assert "The update of updated-1 is cancelled." in words(page)
    assert not reader.page("/console/updates").xpath("//tr[contains(., 'updated-1')]")
    (row,) = reader.page("/console/updates", state="cancelled").xpath("//tr[contains(., 'updated-1')]")
    assert "Retry" in words(row)
    assert rest.get("/updates", params={"open": "maybe"}).status_code == 400
