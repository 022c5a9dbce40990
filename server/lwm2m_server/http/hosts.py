"""Only requests that mean this server: a guard against DNS rebinding.

Without API clients whoever can connect may administer, and so the server listens on loopback only. A web
page can still make the browser on the same machine connect, under a name of its own whose address it
changes to 127.0.0.1; the name stands in ``Host``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Collection
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from lwm2m_server.http.problems import Problem, answer_problem

REMEMBERED: Final = 64
"""Values of ``Host`` that need not be looked at again."""


def only_for(names: Collection[str], app: ASGIApp) -> ASGIApp:
    """Answers 421 to requests for other hosts than this machine and ``names``."""
    own = frozenset(name.lower() for name in names)
    known: set[bytes] = set()

    def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            host = next((value for name, value in scope["headers"] if name == b"host"), None)
            # Programs may leave it out, browsers never do.
            if host is not None and host not in known:
                if not _is_ours(host, own):
                    return _refuse(host, scope, receive, send)
                if len(known) < REMEMBERED:
                    known.add(host)
        return app(scope, receive, send)

    return serve


def _is_ours(host: bytes, own: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:
        return False
    if name in own or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _refuse(host: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    shown = host[:100].decode("ascii", "replace")
    problem = Problem(
        HTTPStatus.MISDIRECTED_REQUEST,
        f"this server does not answer for {shown!r}; the setting http_hosts says which names it has",
    )
    answer = await answer_problem(Request(scope), problem)
    await answer(scope, receive, send)
