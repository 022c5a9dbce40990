"""The overview, and the choices that hold on every page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest


def _tiles(page: Any) -> dict[str, str]:
    tiles = page.xpath("//dl[@class='tiles']/div")
    return {tile.findtext("dt"): "".join(tile.find("dd").itertext()).strip() for tile in tiles}


def test_it_counts_what_there_is(reader: Any, rest: httpx.Client) -> None:
    before = rest.get("/devices", params={"limit": 1}).json()["total"]
    assert rest.post("/devices", json={"name": "home-1"}).status_code == 201
    page = reader.page("/console/")
    tiles = _tiles(page)
    assert int(tiles["Devices"]) == before + 1
    assert int(tiles["Devices"]) == int(tiles["Registered"]) + int(tiles["Not registered"])


def test_what_went_wrong_stands_there_with_a_way_to_it(reader: Any, rest: httpx.Client) -> None:
    assert rest.post("/devices", json={"name": "home-2"}).status_code == 201
    # It does not come in time.
    soon = int(time.time() * 1000) + 1000
    call = {"method": "Read", "params": {"id": "/3/0"}, "expirationTime": soon, "persistent": True}
    assert rest.post("/devices/home-2/rpc/oneway", json=call).status_code < 300

    def told() -> Any:
        path = "//section[@aria-labelledby='wrong']//a[text()='home-2']"
        return reader.page("/console/").xpath(path)

    end = time.monotonic() + 15
    while not told():
        assert time.monotonic() < end
        time.sleep(0.2)
    reader.page(told()[0].get("href"))


@pytest.mark.parametrize("role", ["read", "operate", "admin", "system"])
def test_everybody_has_an_overview(read_as: Callable[[str], Any], role: str) -> None:
    page = read_as(role).page("/console/")
    assert page.findtext(".//h1") == "Overview"
    adds = page.xpath("//a[@href='/console/new-device']")
    assert bool(adds) == (role in ("operate", "admin"))
    assert bool(_tiles(page)) == (role != "system")


def test_a_theme_is_kept(reader: Any) -> None:
    assert reader.page("/console/").get("data-theme") == "auto"
    assert reader.done("/console/theme", theme="dark").get("data-theme") == "dark"
    assert reader.done("/console/theme", theme="pink").get("data-theme") == "dark"
    pressed = reader.page("/console/").xpath("//button[@aria-pressed='true']/@value")
    assert pressed == ["dark"]


def test_nobody_looks_at_another_tenant(read_as: Callable[[str], Any]) -> None:
    reader = read_as("read")
    assert reader.page("/console/tenant").xpath("//input[@name='tenant']/@value") == ["main"]
    page = reader.done("/console/tenant", tenant="elsewhere")
    assert "elsewhere" not in page.text_content()
