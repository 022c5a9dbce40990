"""Facts about bootstrap sessions: frozen, complete when built. ``at`` is seconds since 1970-01-01 UTC."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from lwm2m_engine.bootstrap.config import BootstrapConfig
from lwm2m_engine.bootstrap.discovery import Inventory
from lwm2m_engine.coap import Peer
from lwm2m_engine.entries import Entry
from lwm2m_engine.messages.bootstrap import BootstrapRequest
from lwm2m_engine.paths import Path


@attrs.frozen(slots=True)
class Refused:
    """A client was not let in, or there is nothing for it; ``code`` is what it was answered."""

    endpoint: str
    at: float
    peer: Peer
    code: int
    reason: str


@attrs.frozen(slots=True)
class Packed:
    """A client was given everything at once (Bootstrap-Pack)."""

    endpoint: str
    at: float
    peer: Peer
    content_format: int
    size: int
    """Bytes."""


@attrs.frozen(slots=True)
class Began:
    """A session began; ``session`` names it in what follows."""

    endpoint: str
    at: float
    session: int
    peer: Peer
    request: BootstrapRequest
    config: BootstrapConfig


@attrs.frozen(slots=True)
class Asked:
    """A request is about to leave."""

    endpoint: str
    at: float
    session: int
    operation: str
    """``discover``, ``delete``, ``write``, ``read`` or ``finish``."""
    path: Path
    content_format: int | None = None
    size: int = 0
    """Bytes of payload."""


@attrs.frozen(slots=True)
class Replied:
    """The client answered."""

    endpoint: str
    at: float
    session: int
    operation: str
    path: Path
    code: int
    detail: str = ""
    """What it, or reading it, said was wrong."""
    entries: tuple[Entry, ...] = ()
    """Of a Read."""
    inventory: Inventory | None = None
    """After a Discover: all that is known of the client by now."""


@attrs.frozen(slots=True)
class Unanswered:
    """No answer: ``timeout``, ``unreachable``, ``reset`` or ``undecodable``."""

    endpoint: str
    at: float
    session: int
    operation: str
    path: Path
    reason: str


@attrs.frozen(slots=True)
class Finished:
    """The client has accepted its new state; ``refused`` of the steps it had not liked."""

    endpoint: str
    at: float
    session: int
    refused: int


@attrs.frozen(slots=True)
class Failed:
    """The session is over, and the client has not accepted anything.

    ``cause`` is ``request-failed`` (a step was refused that must not be), ``finish-failed`` (the client
    refused the whole), ``timeout``, ``replaced`` (it asked anew), or ``withdrawn`` (its configuration is gone
    or another one).
    """

    endpoint: str
    at: float
    session: int
    cause: str
    detail: str = ""


Event: TypeAlias = Refused | Packed | Began | Asked | Replied | Unanswered | Finished | Failed
