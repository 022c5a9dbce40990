"""Problems: the newest first, in full, filtered, dismissed; hostile names stay text."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import httpx
import pytest

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.faults import Faults

HOSTILE = 'bad"><img src=x onerror=alert(1)>'
RAW = bytes(range(0x30, 0x44))


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


@pytest.fixture(scope="module")
def console(own_console: Any) -> Any:
    """With a device that answers nonsense."""

    async def live() -> None:
        faults = Faults(reply=lambda request: CoapReply(Code.CONTENT, RAW, 11542))
        device = SimulatedDevice(HOSTILE, own_console.server.coap, faults=faults)
        await device.start()
        await device.registered()
        for _ in range(400):
            if _found(own_console):
                break
            await asyncio.sleep(0.05)
        await device.stop()

    asyncio.run(live())
    return own_console


@pytest.fixture
def undecodable(console: Any) -> Any:
    """The last of them."""
    return _found(console)[0]


def _found(console: Any) -> Any:
    url = f"{console.server.http}/api/v1/problems"
    answer = httpx.get(url, params={"kind": "undecodable"}, headers=console.bearer())
    return answer.json()["problems"]


def test_one_is_shown_with_its_bytes_and_what_to_do(undecodable: Any, reader: Any) -> None:
    page = reader.page("/console/problems", kind="undecodable")
    (one,) = page.xpath(f"//details[@id='problem-{undecodable['id']}']")
    text = words(one)
    assert undecodable["text"] in text
    assert undecodable["advice"].replace("`", "") in text.replace("`", "")
    assert HOSTILE in text
    assert "0000 30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f 0123456789:;<=>?" in text
    assert not page.xpath("//img")
    links = one.xpath(".//a/@href")
    assert any(link.startswith("/console/devices/bad") and "<" not in link for link in links)
    assert any(link.startswith("/console/models?q=") for link in links)


def test_filters(undecodable: Any, reader: Any) -> None:
    def shown(**query: str) -> int:
        return len(reader.page("/console/problems", **query).xpath("//details[contains(@class,'problem')]"))

    assert shown() == shown(within="day") >= 1
    assert shown(kind="undecodable", device=undecodable["device"]) >= 1
    assert shown(q="no such thing") == 0
    page = reader.page("/console/problems", q="no such thing")
    assert "No problem is like that" in words(page)
    (options,) = page.xpath("//select[@name='kind']")
    assert "undecodable" in words(options)


def test_the_menu_counts_those_of_a_day(undecodable: Any, reader: Any) -> None:
    (address,) = reader.page("/console/").xpath("//nav//a[@href='/console/problems']//@hx-get")
    assert int(re.findall(r"\d+", words(reader.page(address)))[0]) >= 1


def test_what_did_not_change_is_not_sent_again(undecodable: Any, reader: Any) -> None:
    (address,) = reader.page("/console/problems", kind="undecodable").xpath("//*[@id='problems']//@hx-get")
    assert reader.client.get(address, headers={"hx-request": "true"}).status_code == 204
    other = address.partition("mark=")[0] + "mark=other"
    assert "problem-" in reader.client.get(other, headers={"hx-request": "true"}).text


def test_an_operator_dismisses_it(undecodable: Any, read_as: Any, rest: Any) -> None:
    path = f"/console/problems/{undecodable['id']}/dismiss"
    page = read_as("read").page("/console/problems")
    assert not page.xpath(f"//form[@action='{path}']")
    assert read_as("read").send(path).status_code == 403
    operator = read_as("operate")
    assert operator.page("/console/problems").xpath(f"//form[@action='{path}']")
    assert "The problem is dismissed." in words(operator.done(path))
    assert rest.get(f"/problems/{undecodable['id']}").status_code == 404


def test_the_role_system_sees_what_is_nobodys(read_as: Any) -> None:
    assert "Nothing is wrong" in words(read_as("system").page("/console/problems"))


def test_what_the_server_logs_as_an_error_is_there_too(console: Any, read_as: Any) -> None:
    before = console.access.read_text()
    console.access.write_text("[keys.odd\n")

    def told() -> Any:
        (found,) = httpx.get(
            f"{console.server.http}/api/v1/problems",
            params={"kind": "server"},
            headers=console.bearer("system"),
        ).json()["problems"] or (None,)
        return found

    deadline = time.monotonic() + 20
    while (found := told()) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    system = read_as("system")
    (one,) = system.page("/console/problems").xpath(f"//details[@id='problem-{found['id']}']")
    text = words(one)
    assert "the access file is not read again: " in text
    assert "lwm2m_server.access.opening" in text
    assert "it is the whole server's" in text
    assert "access" not in words(read_as("read").page("/console/problems", kind="server"))
    console.access.write_text(before)
    system.done(f"/console/problems/{found['id']}/dismiss")
    assert told() is None
