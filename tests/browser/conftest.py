"""The console in Chromium, as an operator has it. Tests here are coroutines of one loop, which the browser,
simulated devices and requests share; what a page must never do fails each of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import attrs
import httpx
import pytest
import pytest_asyncio

HERE = Path(__file__).parent
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT = 10_000.0
"""Milliseconds until something expected has not happened, on a machine with much else to do."""
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
STATUS = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
"""Chromium says so of every refusal, also of those that a page shows as they should be shown."""
HANGING = 120
"""Seconds after which a test has failed, whatever it waits for: the first one starts the browser."""
Starting: TypeAlias = Callable[..., Awaitable[Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(HANGING))


@attrs.define(slots=False)  # playwright keeps its wrappers of handlers there
class Watch:
    """What pages did that none may do."""

    origin: str
    problems: list[str] = attrs.field(factory=list)
    allowed: list[re.Pattern[str]] = attrs.field(factory=list)

    def allow(self, pattern: str) -> None:
        """A problem that a test brings about on purpose."""
        self.allowed.append(re.compile(pattern))

    def follow(self, context: Any) -> None:
        context.on("request", self._requested)
        context.on("response", self._answered)
        context.on("console", self._said)
        context.on("weberror", lambda error: self._note(f"uncaught: {error.error}"))

    def check(self) -> None:
        found = [one for one in self.problems if not any(known.search(one) for known in self.allowed)]
        assert not found, "\n".join(found)

    def _requested(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self._note(f"{request.frame.url} asked for {request.url}")

    def _answered(self, response: Any) -> None:
        is_file = response.request.resource_type in ("script", "stylesheet", "image", "font")
        if response.status >= 500 or (response.status >= 400 and is_file):
            self._note(f"{response.status} {response.request.method} {response.url}")

    def _said(self, message: Any) -> None:
        # What the Content-Security-Policy forbids is told here, too.
        if message.type == "error" and not STATUS.match(message.text):
            self._note(f"{message.location.get('url')}: {message.text}")

    def _note(self, problem: str) -> None:
        self.problems.append(problem)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Any]:
    """One browser a process; ``CHROMIUM`` is where it is if not in the PATH."""
    playwright = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"needs Chromium: none of {', '.join(PROGRAMS)} in the PATH")
    arguments = [OFFLINE, "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with playwright.async_playwright() as running:
        playwright.expect.set_options(timeout=TIMEOUT)
        browser = await running.chromium.launch(executable_path=program, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
def watch(console: Any) -> Any:
    """A test may ask it for patience: ``watch.allow("…")``."""
    return Watch(console.server.http)


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(chromium: Any, console: Any, watch: Watch) -> AsyncIterator[Starting]:
    """Open pages, each in a browser context of its own, with the options of ``new_context``."""
    contexts: list[Any] = []

    async def open_page(**options: Any) -> Any:
        context = await chromium.new_context(base_url=console.server.http, **options)
        context.set_default_timeout(TIMEOUT)
        watch.follow(context)
        contexts.append(context)
        return await context.new_page()

    yield open_page
    for context in contexts:
        await context.close()
    watch.check()


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Starting) -> Any:
    """Nobody has signed in on it."""
    return await open_page()


@pytest.fixture
def signed_in(console: Any) -> Starting:
    """``await signed_in(page, "operate")``, then ``page.goto("/console/")``: with the key of that role."""

    async def signed_in(page: Any, role: str = "admin") -> Any:
        form = {"client": "", "secret": console.key(role)}
        answer = await page.context.request.post(f"{console.url}/sign-in", form=form, max_redirects=0)
        assert answer.status == 303, await answer.text()
        return page

    return signed_in


@pytest_asyncio.fixture(loop_scope="session")
async def rest(console: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The JSON API, for an administrator: to arrange what a page shows, and to see what came of it."""
    url = f"{console.server.http}/api/v1"
    async with httpx.AsyncClient(base_url=url, headers=console.bearer(), timeout=10.0) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def simulate(console: Any) -> AsyncIterator[Starting]:
    """Start simulated devices, with the options of ``SimulatedDevice``; they vanish with the test."""
    from lwm2m_server.simulator.device import SimulatedDevice

    devices: list[SimulatedDevice] = []

    async def simulate(endpoint: str, **options: Any) -> SimulatedDevice:
        one = SimulatedDevice(endpoint, console.server.coap, **options)
        devices.append(one)
        await one.start()
        await one.registered()
        return one

    yield simulate
    for one in devices:
        await one.stop()
