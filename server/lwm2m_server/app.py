"""A server from its start to its end: what is opened is closed in the opposite order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import attrs
import structlog
from starlette.types import ASGIApp

from lwm2m_engine.errors import SettingsError
from lwm2m_server.assembly.api import serve
from lwm2m_server.assembly.core import Core, open_core
from lwm2m_server.assembly.features import Features, open_features, watch_models
from lwm2m_server.assembly.problems import tell_library, watch_problems
from lwm2m_server.counts import Counts
from lwm2m_server.http.feed import Feed
from lwm2m_server.http.serving import HttpServer, serve_http
from lwm2m_server.http.tls import Certificate
from lwm2m_server.listeners import listen, listen_for_bootstrap
from lwm2m_server.settings import Settings
from lwm2m_server.telemetry.live import Live
from lwm2m_server.watching import watch

_log = structlog.get_logger(__name__)


@attrs.frozen
class Addresses:
    """Where the server listens."""

    http: str
    devices: Mapping[str, tuple[str, ...]]
    """By setting, with ``_`` for a dot: ``coap``, ``coaps_tcp``, ``bootstrap_coap`` …"""

    def as_json(self) -> dict[str, object]:
        """One listener as text, several as a list, none not at all; keys may be added later."""
        shown = {
            key: bound[0] if len(bound) == 1 else list(bound) for key, bound in self.devices.items() if bound
        }
        return {**shown, "http": self.http}


@attrs.frozen
class Running:
    """A started server, as ``ready`` gets it."""

    addresses: Addresses
    core: Core
    features: Features
    counts: Counts


async def run(settings: Settings, *, ready: Callable[[Running], None], stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. ``ready`` is called when every listener is bound.

    Raises ``SettingsError`` for what cannot be used, ``OSError`` for an address that cannot be bound.
    """
    async with AsyncExitStack() as stack:
        running = await _start(settings, stack)
        ready(running)
        await stop.wait()


async def _start(settings: Settings, stack: AsyncExitStack) -> Running:
    core, counts = await open_core(settings, stack), Counts()
    features = await open_features(core, stack)
    rejected = watch_problems(core, features, stack)
    waiting = core.hub.restore()
    bound = await listen(
        settings, core.hub, core.uplink, core.credentials, core.ledger, counts, stack, rejected
    )
    bound |= await listen_for_bootstrap(
        settings, features.bootstrap.service, core.credentials, core.ledger, counts, stack, rejected
    )
    core.hub.resume(waiting)
    features.updating.addresses.bound = bound
    await features.start(core)
    feed, live = Feed(core.ledger, core.bus), Live(core.bus)
    served = serve(core, features, counts, bound, feed, live, stack)
    http = await _listen_http(served, settings, stack)
    # Whoever follows something is told that it is over: the HTTP server waits for open requests.
    stack.callback(core.hub.traces.close)
    stack.callback(feed.close)
    stack.callback(live.close)
    features.updating.addresses.http = http.url
    watch_models(core, features, stack, lambda: tell_library(core))
    return Running(Addresses(http.url, bound), core, features, counts)


async def _listen_http(served: ASGIApp, settings: Settings, stack: AsyncExitStack) -> HttpServer:
    """With TLS, if there is a certificate: another one takes its place while the server runs."""
    host, port = settings.http
    chain, key = settings.http_cert, settings.http_key_file
    if chain is None or key is None:
        http = await serve_http(served, host, port)
        stack.push_async_callback(http.close)
        return http
    http = await serve_http(served, host, port, Certificate.load(chain, key))
    stack.push_async_callback(http.close)

    async def renew() -> None:
        try:
            await http.renew(Certificate.load(chain, key))
        except (SettingsError, OSError) as error:
            _log.error("the new certificate of the HTTP server is not used", reason=str(error))
        else:
            _log.info("the HTTP server has a new certificate", file=str(chain))

    task = asyncio.get_running_loop().create_task(watch((chain, key), renew), name="http certificate")
    stack.callback(task.cancel)
    return http
