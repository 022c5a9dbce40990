"""``Requests``: how many there were, by the status of their answers."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST: Final = 100
"""Characters of a client's name for a request that are shown."""
_IDS: Final = (b"x-m2m-ri", b"x-request-id")

_log = structlog.get_logger(__name__)


class Requests:
    """Of the applications it is put ``around``."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.open = 0
        """Those that are being answered."""

    def around(self, app: ASGIApp) -> ASGIApp:
        """At level debug each leaves a line in the log, and all lines that are written meanwhile name it."""
        statuses = self.statuses
        if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
            app = _told(app)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            def counting(message: Message) -> Awaitable[None]:
                if message["type"] == "http.response.start":
                    statuses[message["status"]] += 1
                return send(message)

            self.open += 1
            try:
                await app(scope, receive, counting)
            finally:
                self.open -= 1

        return serve


def _told(app: ASGIApp) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        began, answer = perf_counter(), {}
        id = next((text for text in map(_header(scope), _IDS) if text), None) or uuid.uuid4().hex

        def noting(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                created = dict(message["headers"]).get(b"content-location", b"").rpartition(b"/")[2]
                if created:
                    answer["resource"] = created.decode("latin-1")
            return send(message)

        with structlog.contextvars.bound_contextvars(request=id[:LONGEST]):
            try:
                await app(scope, receive, noting)
            finally:
                took = round((perf_counter() - began) * 1000, 3)
                _log.debug("request", method=scope["method"], path=scope["path"], **answer, ms=took)

    return serve


def _header(scope: Scope) -> Callable[[bytes], str]:
    headers = dict(scope["headers"])
    return lambda name: str(headers.get(name, b"").decode("latin-1"))
