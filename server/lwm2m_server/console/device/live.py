"""``/console/devices/{name}/live``: what changes on the pages of a device, as server-sent events.

An event without a name is HTML that htmx puts in place: the cells of values, rendered by the macro the page
has them from, and the state. ``points`` are for a chart; ``answered`` says that something the device was
asked has an outcome, ``over`` that the session has ended. Each value is shown at most every ``PAUSE``
seconds, and nothing waits for a browser.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import attrs
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, ServerEvent
from lwm2m_server.console.device.frame import announced, device_of, path_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.device.tree import ranges_of
from lwm2m_server.console.device.values import Reading, is_by_instance, reading
from lwm2m_server.console.pages import rendered
from lwm2m_server.console.proofs import SignedOut
from lwm2m_server.console.viewer import Viewer, viewer_of
from lwm2m_server.http.streams import Stream

PAUSE: Final = 0.2
"""Seconds between two looks: a browser gets at most five changes of a value in a second."""
CALM: Final = 1.0
"""Seconds between two looks at the state."""
HEARTBEAT: Final = 10.0
MOST: Final = 2_000
"""Places, and points of a chart, that wait to be shown; of more, the browser is told that it missed some."""
DIGITS: Final = 15
"""Of a point in time."""
LIFE: Final = ("registered", "updated", "deregistered", "expired", "awake", "sleeping", "response", "error")
"""Kinds of events that change the state, or are the outcome of something."""
OUTCOMES: Final = frozenset({"response", "error"})
REPORTS: Final = ("notification", "send")
"""Kinds that say that the device was heard, where its values are not followed."""

Row = Mapping[str, Any]


class LivePages:
    """One stream for each page that is open."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        return [Route("/devices/{name}/live", self.stream, methods=["GET"])]

    async def stream(self, request: Request) -> Response:
        """``of`` is ``values`` or ``points``, without it the state alone; ``path`` is what a chart shows,
        ``since`` when the page was made, in milliseconds."""
        await device_of(request)
        asked = request.query_params
        text = asked.get("since", "")
        since = int(text) if text.isdecimal() and len(text) <= DIGITS else 0
        changes = Changes(asked.get("of", ""), asked.getlist("path"), since)
        following = Following(request, changes)
        return Stream(following.frames(), {"cache-control": "no-store"}, "text/event-stream")


@attrs.define(eq=False)
class Changes:
    """What came since the last look; nothing in it grows without end."""

    of: str
    paths: list[str]
    since: int
    rows: dict[str, Row] = attrs.field(factory=dict)
    points: list[tuple[str, int, Any]] = attrs.field(factory=list)
    state: bool = False
    answered: bool = False
    missed: bool = False
    over: bool = False
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    _instances: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    """Values of Resources with instances: what comes may be of one of them."""
    _begun: bool = False

    def tell(self, event: ServerEvent) -> None:
        """Of the stream of values."""
        if event.event == "gap":
            self.missed = True
        elif event.event == "values":
            first, self._begun = not self._begun, True
            for row in event.json()["values"]:
                self._take(row, first)
            self.state = True
        if self.rows or self.points or self.state or self.missed:
            self.news.set()

    def happened(self, event: ServerEvent) -> None:
        """Of the stream of events."""
        self.state = True
        self.answered = self.answered or event.event in OUTCOMES
        self.news.set()

    def end(self) -> None:
        self.over = True
        self.news.set()

    def _take(self, row: Row, first: bool) -> None:
        path, value = row["path"], row["value"]
        if is_by_instance(value):
            value = {**self._instances.get(path, {}), **value}
            self._instances[path] = value
        if first and row["received"] < self.since:
            return
        if (len(self.rows) >= MOST and path not in self.rows) or len(self.points) >= MOST:
            self.missed = True
            return
        if self.of == "points":
            self.points.append((path, row["at"], row["value"]))
        self.rows[path] = {**row, "value": value}


class Following:
    """One browser that looks on; belongs to its request."""

    def __init__(self, request: Request, changes: Changes) -> None:
        self._request, self._changes = request, changes
        self._viewer: Viewer = viewer_of(request)
        self._ranges: Mapping[tuple[int, int], str] = {}
        self._looked = 0.0
        self._objects: object = None
        """What the device had announced when the stream began."""

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Until the API, the session or the browser has enough. What it misses then, it asks for again."""
        api, changes, name = self._viewer.api, self._changes, self._request.path_params["name"]
        if changes.of == "values":
            self._ranges = ranges_of(await announced(self._request))
        kinds = LIFE if changes.of else LIFE + REPORTS
        tasks = [self._reading(api.stream("/events", device=name, kind=kinds), changes.happened)]
        if changes.of:
            values = api.stream(path_of(self._request, "/telemetry"), paths=changes.paths)
            tasks.append(self._reading(values, changes.tell))
        running = [asyncio.create_task(task) for task in tasks]
        try:
            yield b":\n\n"
            while not changes.over:
                if self._viewer.session.is_over(time.monotonic()):
                    yield b"event: over\ndata: 1\n\n"
                    return
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await changes.news.wait()
                except TimeoutError:
                    yield b":\n\n"
                    continue
                frame = await self._frame()
                if frame:
                    yield frame
                await asyncio.sleep(PAUSE)
        except (Refusal, SignedOut):
            # The device is gone, or the viewer: the page says so when it is asked for again.
            return
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def _reading(self, events: AsyncIterator[ServerEvent], tell: Callable[[ServerEvent], None]) -> None:
        try:
            async with aclosing(events):  # type: ignore[type-var]
                async for event in events:
                    tell(event)
        except (Refusal, SignedOut):
            return
        finally:
            self._changes.end()

    async def _frame(self) -> bytes:
        """All that changed, once."""
        changes, loop = self._changes, asyncio.get_running_loop()
        rows, points = list(changes.rows.values()), changes.points
        answered, missed = changes.answered, changes.missed
        changes.rows, changes.points, changes.answered, changes.missed = {}, [], False, False
        changes.news.clear()
        context: dict[str, Any] = {"rows": rows, "reading": self._reading_of, "missed": missed}
        if changes.state:
            wait = self._looked + CALM - loop.time()
            if wait <= 0 or answered:
                changes.state, self._looked = False, loop.time()
                device = await device_of(self._request)
                context["device"] = device
                if self._has_moved(device):
                    context["moved"] = True
                context["base"] = address(self._request.path_params["name"])
            else:
                loop.call_later(wait, changes.news.set)
        frames = []
        if rows or missed or "device" in context:
            frames.append(_html(await rendered("device/live.html", context)))
        if points:
            frames.append(b"event: points\ndata: %b\n\n" % orjson.dumps(points))
        if answered:
            frames.append(b"event: answered\ndata: 1\n\n")
        return b"".join(frames)

    def _has_moved(self, device: Mapping[str, Any]) -> bool:
        """Whether it announces something else than before; a page shows that only when it is loaded again."""
        found = [(one["id"], one["version"], one["instances"]) for one in device["objects"]]
        before, self._objects = self._objects, found
        return before is not None and before != found and device["registered"]

    def _reading_of(self, row: Row) -> Reading:
        """Numbers may have names, but those of end devices behind a gateway."""
        ids = row["path"].split("/")[1:4:2]
        is_own = len(ids) == 2 and all(one.isdecimal() for one in ids)
        return reading(row, self._ranges.get((int(ids[0]), int(ids[1])), "") if is_own else "")


def _html(text: str) -> bytes:
    lines = text.encode("utf-8", "replace").split(b"\n")
    return b"".join(b"data: %b\n" % line for line in lines if line.strip()) + b"\n"
