"""``Requests``: how many there were, by the status of their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Requests:
    """Of the applications it is put ``around``."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.open = 0
        """Those that are being answered."""

    def around(self, app: ASGIApp) -> ASGIApp:
        statuses = self.statuses

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
