"""``Session``: one client on its way from what it had to what it is to have."""

from __future__ import annotations

from collections import deque

import attrs

from lwm2m_engine.bootstrap.config import BootstrapConfig, Command
from lwm2m_engine.bootstrap.discovery import Inventory
from lwm2m_engine.coap import Peer
from lwm2m_engine.messages.bootstrap import WRITE_FORMATS
from lwm2m_engine.messages.requests import Discover


@attrs.define(slots=True, eq=False)
class Session:
    """All times in seconds since 1970-01-01 UTC."""

    id: int
    endpoint: str
    peer: Peer
    config: BootstrapConfig
    preferred: int | None
    ends_at: float
    steps: deque[Command] = attrs.field(init=False)
    """What is still to do; the first is under way."""
    inventory: Inventory = attrs.field(init=False, factory=Inventory)
    exchange: int | None = attrs.field(init=False, default=None)
    attempts: int = attrs.field(init=False, default=0)
    """At the first of the steps."""
    resume_at: float | None = attrs.field(init=False, default=None)
    refused: int = attrs.field(init=False, default=0)
    refused_formats: set[int] = attrs.field(init=False, factory=set)
    due: float | None = attrs.field(init=False, default=None)

    @steps.default
    def _first(self) -> deque[Command]:
        return deque(Discover(path) for path in self.config.discovers)

    def next_deadline(self) -> float:
        return self.ends_at if self.resume_at is None else min(self.resume_at, self.ends_at)

    def content_format(self) -> int | None:
        """The format to write in: of the configuration, of the client, else the first it has not refused."""
        wanted = (self.config.content_format, self.preferred, *WRITE_FORMATS)
        return next((int(one) for one in wanted if one is not None and one not in self.refused_formats), None)
