"""Requests and responses without the HTTP around them (TS-0004, 6.4)."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from lwm2m_server.access.callers import Caller
from lwm2m_server.onem2m.addresses import Address
from lwm2m_server.onem2m.queries import Query

CREATED, OK, DELETED, UPDATED = 2001, 2000, 2002, 2004
ANSWERED_BY_NOTHING, ACCEPTED = 1000, 1001
"""Of requests that do not wait: with no result, and with one later (non-blocking, synchronous)."""


@attrs.frozen(slots=True)
class Primitive:
    """A request. ``ty`` is the resource type of a CREATE."""

    operation: Literal["create", "retrieve", "update", "delete"]
    address: Address
    originator: str | None
    """``None`` if the client sent none."""
    query: Query
    caller: Caller
    """Who sent it, whatever they say they are."""
    long_names: bool | None = None
    """What the client wants; ``None`` leaves it to the tenant."""
    ty: int | None = None
    body: object = None
    id: str = ""
    """``X-M2M-RI``"""
    expires_in: float | None = None
    """``X-M2M-RET``: for how many seconds the client waits."""
    kept: bool = False
    """The answer is stored, so no secret may be in it."""
    passed: frozenset[int] = frozenset()
    """Groups it came through."""


@attrs.frozen(slots=True)
class Answer:
    """A response; ``location`` is the HTTP path of what was created."""

    rsc: int
    body: dict[str, Any] | None = None
    location: str | None = None
    next_offset: int | None = None
    """From 0: there is more than fitted into this answer."""
    message: int | None = None
    """Id of a message that a device is to answer."""
    waited: int | None = None
    """Seconds that the client was ready to wait for this."""
