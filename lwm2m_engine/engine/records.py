"""What the engine knows about a device and must not forget: plain values a store can keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
from attrs.validators import gt, optional

from lwm2m_engine.attributes import Attributes
from lwm2m_engine.coap import Peer
from lwm2m_engine.links import Link
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value


@attrs.frozen(slots=True)
class Arranged:
    """What has been done in a registration of the ``Arrangement`` of a device."""

    digest: str = ""
    """Of the arrangement; empty if there was none."""
    complete: bool = False
    """All of it is done."""
    reads: int = 0
    """So many of its reads are done, if not all."""
    attributes: tuple[tuple[Path, Attributes], ...] = ()
    """Notification attributes that were written for it, or for one before it."""
    singly: bool = False
    """The client has shown that it knows no composites."""


NOT_ARRANGED: Final = Arranged()


@attrs.frozen(slots=True)
class Registration:
    """A live client registration (LwM2M Core 1.2, 6.2). Times are seconds since 1970-01-01 UTC.

    What each Update changes (peer, time of last contact, deadline) is kept beside it, in ``Liveness``.
    """

    id: str
    endpoint: str
    version: str
    """Enabler version, ``1.0``, ``1.1`` or ``1.2``."""
    lifetime: int
    """Seconds; 0 means forever (LwM2M 1.2)."""
    binding: str
    queue_mode: bool
    root: str
    """Alternate root path, ``/`` if none."""
    objects: Mapping[int, str]
    """Announced Object ids and the version each has."""
    instances: tuple[Path, ...]
    """Announced Object Instances, sorted."""
    links: tuple[Link, ...]
    """The list as announced, foreign links included."""
    formats: tuple[int, ...]
    """Content formats announced in ``ct``, if any."""
    sms: str | None
    attributes: Mapping[str, str]
    """Query parameters LwM2M does not define, kept as they came."""
    registered_at: float
    unread: tuple[Path, ...] = ()
    """Automatic reads after Register that have no answer yet."""
    warnings: tuple[str, ...] = ()
    """What a strict server would have refused."""
    arranged: Arranged = NOT_ARRANGED
    """How far the client is set up."""


@attrs.frozen(slots=True)
class Liveness:
    """The part of a registration that every Update changes."""

    peer: Peer
    seen_at: float
    expires_at: float | None
    """Seconds since 1970-01-01 UTC; ``None`` for an infinite lifetime."""


@attrs.frozen(slots=True)
class Observation:
    """An observe relation (RFC 7641; LwM2M Core 1.2, 6.4). ``paths`` has several for a composite.

    One whose ``registration`` is not the live one is wanted and not there: it is asked for again.
    """

    token: bytes
    endpoint: str
    registration: str
    paths: tuple[Path, ...]
    composite: bool
    accept: int | None
    began_at: float
    origin: str = ""
    """What asked for it: the number of an ``ObserveLinks`` set, the device's ``Arrangement``, or empty."""
    attributes: Attributes = ()
    """Those it was asked for with."""
    prefix: str = ""
    """The end device of a LwM2M Gateway (object 25) it is about."""

    @property
    def place(self) -> tuple[tuple[Path, ...], bool, str]:
        """What is observed; a client has one relation for it."""
        return self.paths, self.composite, self.prefix


@attrs.frozen(slots=True)
class Waiting:
    """A message in a device's outbox. ``id`` is the application's name for it."""

    id: int
    request: Request
    queued_at: float
    expires_at: float | None
    in_flight: bool = False
    """True in a record read after a crash: the first datagram may have left."""
    sent: bool = False
    """True in a record read after a crash: the device had acknowledged it and not answered yet."""
    deferred: bool = False
    """It is sent when the action it belongs to says that it may be; others need not wait for it."""


@attrs.frozen(slots=True)
class PowerSaving:
    """When a device can hear, beyond what it says itself when it registers. Times are seconds.

    In queue mode, and with ``psm``, it sleeps after ``awake_window`` until it speaks again, or until its next
    Tracking Area Update. With eDRX it also listens for ``paging_window`` once every ``edrx_cycle``
    (3GPP TS 23.682, 4.5.4 and 4.5.13). A device does one or the other.
    """

    awake_window: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """How long it listens after each contact, the active timer of PSM; ``None`` for the engine's setting."""
    psm: bool = False
    """It sleeps even though it did not register in queue mode."""
    tau: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """With PSM: how long after it fell silent it listens again for its ``awake_window`` (T3412)."""
    edrx_cycle: float | None = attrs.field(default=None, validator=optional(gt(0)))
    paging_window: float = attrs.field(default=10.0, validator=gt(0))

    @property
    def sleeps(self) -> bool:
        return self.psm or self.edrx_cycle is not None

    @property
    def cycle(self) -> float | None:
        """How often it listens without having spoken; ``None`` for never."""
        return self.tau if self.psm else self.edrx_cycle


@attrs.frozen(slots=True)
class DeviceRecord:
    """One device as the store knows it; ``Engine.restore`` takes these."""

    endpoint: str
    registration: Registration | None = None
    liveness: Liveness | None = None
    observations: tuple[Observation, ...] = ()
    outbox: tuple[Waiting, ...] = ()
    inputs: Mapping[Path, Value] = attrs.field(factory=dict)
    """The last value of every Resource that a mapping reads. What was made of them is not kept here:
    the next value makes it again, by the rules that hold then."""
    power: PowerSaving | None = None
