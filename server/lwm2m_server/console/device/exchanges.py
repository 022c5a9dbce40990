"""``/console/devices/{name}/exchanges``: what is said with a device, decoded and raw, and why it failed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal
from lwm2m_server.console.device.frame import device_of, device_page, path_of
from lwm2m_server.console.device.messages import messages_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.device.traces import exchange_of
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import rendered, see_other
from lwm2m_server.console.proofs import SignedOut
from lwm2m_server.console.viewer import Viewer, viewer_of
from lwm2m_server.http.streams import Stream

LATEST: Final = 60
"""Messages of the containers."""
TRACED: Final = 60
"""Messages of the trace that a page begins with."""
BATCH: Final = 25
"""Those that it gets at once."""
PAUSE: Final = 0.25
HEARTBEAT: Final = 10.0


class ExchangePages:
    """The trace is switched on and off here, and followed while it is on."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/exchanges"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(f"{place}/start", self.start, methods=["POST"]),
            Route(f"{place}/stop", self.stop, methods=["POST"]),
            Route(f"{place}/live", self.live, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        device = await device_of(request)
        trace = await viewer_of(request).api.get(path_of(request, "/trace"))
        messages = await messages_of(request, LATEST, device)
        only_errors = request.query_params.get("only") == "errors"
        traced = trace["messages"]
        return await device_page(
            request,
            "device/exchanges.html",
            "Exchanges",
            device=device,
            trace=trace,
            # Worked out where it is rendered, off the event loop.
            exchanges=map(exchange_of, reversed(traced[-TRACED:])),
            after=traced[-1]["number"] if traced else 0,
            messages=[one for one in messages if one.kind == "bad" or not only_errors],
            only_errors=only_errors,
        )

    async def start(self, request: Request) -> Response:
        await form_of(request)
        await viewer_of(request).api.send("PUT", path_of(request, "/trace"))
        return see_other(request, address(request.path_params["name"], "/exchanges"))

    async def stop(self, request: Request) -> Response:
        await form_of(request)
        await viewer_of(request).api.send("DELETE", path_of(request, "/trace"))
        notice = "The trace has ended; what it had noted is gone."
        return see_other(request, address(request.path_params["name"], "/exchanges"), notice)

    async def live(self, request: Request) -> Response:
        """Each message as it is said; the event ``over`` is the last."""
        text = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(text) if text.isdecimal() and len(text) < 13 else 0
        following = Following(viewer_of(request), path_of(request, "/trace"), after)
        return Stream(following.frames(), {"cache-control": "no-store"}, "text/event-stream")


@attrs.define(eq=False)
class Following:
    """One browser that looks on. Nothing waits for it: of too many messages it gets the last ones."""

    viewer: Viewer
    path: str
    after: int
    waiting: deque[dict[str, Any]] = attrs.field(factory=lambda: deque(maxlen=BATCH))
    missed: int = 0
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    has_ended: bool = False

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """HTML with the newest message first."""
        reading = asyncio.create_task(self._read())
        try:
            yield b":\n\n"
            while not self.viewer.session.is_over(time.monotonic()):
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await self.news.wait()
                except TimeoutError:
                    yield b":\n\n"
                    continue
                self.news.clear()
                if self.waiting:
                    yield await self._frame()
                if self.has_ended and not self.waiting:
                    break
                await asyncio.sleep(PAUSE)
            yield b"event: over\ndata: 1\n\n"
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read(self) -> None:
        try:
            async with aclosing(self.viewer.api.stream(self.path, after=self.after)) as events:  # type: ignore[type-var]
                async for event in events:
                    if event.event == "message":
                        self.missed += len(self.waiting) == BATCH
                        self.waiting.append(event.json())
                        self.news.set()
        except (Refusal, SignedOut):
            # It is not traced, or not theirs to see any more: the page says so when it is asked for again.
            return
        finally:
            self.has_ended = True
            self.news.set()

    async def _frame(self) -> bytes:
        messages, missed = list(self.waiting), self.missed
        self.waiting.clear()
        self.missed = 0
        exchanges = map(exchange_of, reversed(messages))
        html = await rendered("device/exchanges_live.html", {"exchanges": exchanges, "missed": missed})
        lines = html.encode("utf-8", "replace").split(b"\n")
        data = b"".join(b"data: %b\n" % line for line in lines if line.strip())
        return b"id: %d\n%b\n" % (messages[-1]["number"], data)
