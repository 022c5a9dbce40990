"""Every hook a plugin can implement, with its exact arguments.

A plugin is a module whose functions are marked with ``hookimpl`` and named as here. It may leave out
arguments it does not need. ``start-up`` hooks run once and declare; the others run when something
happens, and what they raise is logged and counted, never passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path as FilePath
from typing import Any

import pluggy

from lwm2m_engine.coap import CoapRequest, Peer
from lwm2m_engine.codecs.codec import Codec
from lwm2m_engine.engine.events import Event
from lwm2m_engine.engine.hooks import Verdict
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.messages.uplink import Register
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.paths import Path

PROJECT = "lwm2m"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def lwm2m_models() -> Iterable[str | FilePath]:  # type: ignore[empty-body]
    """Start-up: object definitions, as files or directories of OMA XML; later replaces earlier."""


@hookspec
def lwm2m_codecs() -> Iterable[Codec]:  # type: ignore[empty-body]
    """Start-up: codecs for further Content-Formats; one for a number the library knows replaces it."""


@hookspec
def lwm2m_mappings(catalog: Catalog) -> Iterable[Mapping]:  # type: ignore[empty-body]
    """Start-up: which Resources make which attributes of which managed resource. *The* hook.

    ``catalog`` is complete: bundled models, those of all plugins, and the operator's.
    """


@hookspec
def server_sinks() -> Iterable[tuple[str, Callable[[Any], Any]]]:  # type: ignore[empty-body]
    """Start-up: ways to deliver notifications, by the ``EndpointType`` of applications that want them so.

    Each is called with a ``lwm2m_server.sinks.protocols.Endpoint`` and gives a ``Sink`` for it. There is one
    for each type: what the server itself has already, or a plugin discovered before, is refused.
    """


@hookspec(firstresult=True)
def lwm2m_admit(register: Register, peer: Peer, known: bool) -> Verdict | None:
    """On Register: may this client register?

    ``known`` says whether it may by configuration; ``None`` leaves the decision to the next plugin and
    in the end to ``known``. A plugin that fails refuses with 5.03: a broken gate stays closed.
    """


@hookspec(firstresult=True)
def lwm2m_mgmt_command(command: ManagedCommand) -> Sequence[Request] | None:
    """An application changes a managed resource: what to ask of the device in place of what the rules say.

    An empty sequence does nothing, ``None`` leaves it to the next plugin and in the end to the rules.
    ``RequestError`` refuses the change; so does a plugin that fails.
    """


@hookspec(firstresult=True)
def lwm2m_outgoing(endpoint: str, request: CoapRequest) -> CoapRequest | None:
    """Before a request leaves: another one in its place, for a stubborn device; ``None`` keeps it."""


@hookspec(firstresult=True)
def lwm2m_rescue_payload(
    endpoint: str, path: Path, content_format: int, payload: bytes, error: CodecError
) -> Sequence[Entry] | None:
    """After a codec gave up with ``error``: what the payload means; ``None`` if unknown."""


@hookspec
def lwm2m_event(event: Event) -> None:
    """After each event, for every plugin; ``event`` is a frozen class of ``lwm2m_engine.engine.events``."""
