"""The console without a browser: pages as they come, and forms as they are sent without JavaScript."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import lxml.html
import pytest

from lwm2m_server.simulator.device import SimulatedDevice


class Reader:
    """Somebody who has signed in. ``client`` is theirs, and follows no redirects."""

    def __init__(self, console: Any, role: str) -> None:
        self.client = httpx.Client(base_url=console.server.http, timeout=10.0)
        answer = self.client.post("/console/sign-in", data={"client": "", "secret": console.key(role)})
        assert answer.status_code == 303, answer.text

    def page(self, path: str, /, status: int = 200, **query: Any) -> lxml.html.HtmlElement:
        """A page, parsed."""
        answer = self.client.get(path, params=query or None)
        assert answer.status_code == status, answer.text
        return lxml.html.document_fromstring(answer.text, base_url=str(answer.url))

    def send(self, path: str, /, files: Any = None, **fields: Any) -> httpx.Response:
        """Post a form, with the token that every form of this session carries."""
        (token, *_) = self.page("/console/").xpath("//input[@name='csrf']/@value")
        return self.client.post(path, data={"csrf": token, **fields}, files=files)

    def done(self, path: str, /, files: Any = None, **fields: Any) -> lxml.html.HtmlElement:
        """Post a form that does what it says: the page one is sent to then."""
        answer = self.send(path, files, **fields)
        assert answer.status_code == 303, answer.text
        return self.page(answer.headers["location"])


@pytest.fixture
def read_as(console: Any) -> Iterator[Callable[[str], Reader]]:
    """``read_as("operate")``: somebody signed in with the key of that role."""
    readers: list[Reader] = []

    def read_as(role: str = "admin") -> Reader:
        readers.append(Reader(console, role))
        return readers[-1]

    yield read_as
    for one in readers:
        one.client.close()


@pytest.fixture
def reader(read_as: Callable[[str], Reader]) -> Reader:
    """An administrator."""
    return read_as("admin")


@pytest.fixture
def rest(console: Any) -> Iterator[httpx.Client]:
    """The JSON API, for an administrator: to arrange what a page shows, and to see what came of it."""
    url = f"{console.server.http}/api/v1"
    with httpx.Client(base_url=url, headers=console.bearer(), timeout=10.0) as client:
        yield client


class Fleet:
    """Simulated devices in a loop of their own: the tests wait for answers of the server."""

    def __init__(self, coap: tuple[str, int]) -> None:
        self.coap, self.loop = coap, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.devices: list[SimulatedDevice] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(15)

    def start(self, endpoint: str, **options: Any) -> SimulatedDevice:
        """One that has registered."""

        async def start() -> SimulatedDevice:
            one = SimulatedDevice(endpoint, self.coap, version="1.1", **options)
            await one.start()
            await one.registered()
            return one

        self.devices.append(self.run(start()))
        return self.devices[-1]

    def close(self) -> None:
        for one in self.devices:
            self.run(one.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def fleet(console: Any) -> Iterator[Fleet]:
    """Devices of a module; they vanish with it."""
    found = Fleet(console.server.coap)
    yield found
    found.close()
