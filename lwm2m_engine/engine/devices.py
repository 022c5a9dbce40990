"""``Device``: all the engine remembers of one LwM2M Client, and the job it is busy with."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import attrs

from lwm2m_engine.attributes import Attributes
from lwm2m_engine.engine.arrangements import Arrangement, Setup
from lwm2m_engine.engine.records import Liveness, Observation, PowerSaving, Registration, Waiting
from lwm2m_engine.mapping.table import Inputs, Managed
from lwm2m_engine.messages.requests import Read, Single
from lwm2m_engine.model.catalog import ModelView
from lwm2m_engine.paths import Path

NEVER = math.inf


@attrs.define(slots=True, eq=False)
class Job:
    """A message (or an automatic read) on its way: its exchanges, one after the other."""

    steps: deque[Single]
    message: Waiting | None = None
    """``None`` for what the engine asks on its own: automatic reads, and what is observed again."""
    origin: str = ""
    """What its observations are there for: as in ``Observation``."""
    sent: bool = False
    """The device has acknowledged or answered, so the message has left the outbox."""

    @property
    def id(self) -> int | None:
        return self.message.id if self.message is not None else None

    @property
    def operation(self) -> str:
        return self.message.request.operation if self.message is not None else Read.operation


@attrs.define(slots=True, eq=False)
class Exchange:
    """One request that waits for its answer."""

    id: int
    request: Single
    content_format: int | None
    """Format asked for or written in, when the engine chose it and may try another."""
    token: bytes | None = None
    expires_at: float | None = None
    """When the engine itself stops waiting; ``None`` leaves that to the transport."""
    early: bool = False
    """A notification came before the answer."""
    transferred: tuple[int, int] | None = None
    """Bytes of a long request the device has acknowledged, and bytes in all."""


class Client(Protocol):
    """What others may look at of a ``Device`` that is registered: it changes with what happens."""

    @property
    def endpoint(self) -> str: ...
    @property
    def registration(self) -> Registration: ...
    @property
    def heard_at(self) -> float: ...


@attrs.define(slots=True, eq=False)
class Device:
    """Mutable state of one client, registered or only known by name."""

    endpoint: str
    view: ModelView
    registration: Registration | None = None
    liveness: Liveness | None = None
    heard_at: float = 0.0
    """When it said something last, be it an ACK: seconds since 1970-01-01 UTC. Of what was said before a
    restart, its last Register or Update."""
    awake_until: float | None = None
    """End of the awake window; ``None`` while asleep, or without queue mode."""
    outbox: list[Waiting] = attrs.field(factory=list)
    job: Job | None = None
    exchange: Exchange | None = None
    observations: dict[bytes, Observation] = attrs.field(factory=dict)
    sequences: dict[bytes, tuple[int, float]] = attrs.field(factory=dict)
    """Last Observe number of each relation and when it came (RFC 7641, 3.4)."""
    wanted: tuple[Observation, ...] = ()
    """What was observed, is not at present, and is to be again."""
    deferred: bool = False
    """What is wanted is asked for at the next Update: the device cannot, or did not answer."""
    assigned: dict[Path, Attributes] | None = None
    """Notification attributes that the server wrote in this registration, or was told of in a Discover."""
    refused_formats: frozenset[tuple[str, int]] = frozenset()
    """(operation and path level, content format) the device does not speak."""
    managed: Managed = attrs.field(factory=dict)
    inputs: Inputs = attrs.field(factory=dict)
    input_times: dict[Path, float] = attrs.field(factory=dict)
    """Nothing older than this may take an input's place: seconds since 1970-01-01 UTC."""
    power: PowerSaving | None = None
    asleep_since: float | None = None
    """From when the cycles of eDRX are counted."""
    resume_at: float | None = None
    """Not served before this time: the store failed, reads are paced, or it listens no earlier."""
    grace: float = 0.0
    due: float | None = None
    """When the entry in ``Deadlines`` comes up."""
    arrangement: Arrangement | None = None
    """What is to hold at it in each registration."""
    setup: Setup | None = None
    """What is left to do of that."""

    @property
    def has_work(self) -> bool:
        """Whether there is something to ask of it."""
        return bool(
            self.outbox
            or self.job
            or self.unread
            or (self.wanted and not self.deferred)
            or (self.setup is not None and self.setup.is_due)
        )

    @property
    def sleeps(self) -> bool:
        """Whether it listens only for a while after each contact."""
        if self.registration is None:
            return False
        return self.registration.queue_mode or (self.power is not None and self.power.sleeps)

    @property
    def unread(self) -> tuple[Path, ...]:
        """Automatic reads after Register that have no answer yet."""
        return self.registration.unread if self.registration is not None else ()

    @property
    def reachable(self) -> bool:
        """Registered, and not asleep."""
        return self.registration is not None and (self.awake_until is not None or not self.sleeps)

    @property
    def expires_at(self) -> float | None:
        if self.liveness is None or self.liveness.expires_at is None:
            return None
        return self.liveness.expires_at + self.grace

    def next_deadline(self) -> float | None:
        """The earliest of: lifetime, awake window, time to live of a waiting message, pause."""
        due = NEVER
        if self.liveness is not None and self.liveness.expires_at is not None:
            due = self.liveness.expires_at + self.grace
        if self.exchange is None and self.awake_until is not None and self.awake_until < due:
            due = self.awake_until
        elif self.exchange is not None and self.exchange.expires_at is not None:
            due = min(due, self.exchange.expires_at)
        if self.resume_at is not None and self.resume_at < due:
            due = self.resume_at
        if self.outbox:
            # The message in flight is not given up while it is: its time to live wakes nobody.
            busy = self.job.id if self.job is not None else None
            for waiting in self.outbox:
                if waiting.expires_at is not None and waiting.expires_at < due and waiting.id != busy:
                    due = waiting.expires_at
        return due if due < NEVER else None
