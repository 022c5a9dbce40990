"""Facts the engine reports: frozen, complete when built. ``at`` is seconds since 1970-01-01 UTC."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from lwm2m_engine.engine.records import Liveness, Observation, Registration, Waiting
from lwm2m_engine.entries import Entry
from lwm2m_engine.mapping.managed import ManagedChange
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value


@attrs.frozen(slots=True)
class Registered:
    """A client registered. ``replaced`` is the id of the registration that ended with it."""

    endpoint: str
    at: float
    registration: Registration
    liveness: Liveness
    replaced: str | None = None


@attrs.frozen(slots=True)
class Updated:
    """A client updated its registration; ``changed`` if more than its liveness is different."""

    endpoint: str
    at: float
    registration: Registration
    liveness: Liveness
    changed: bool
    moved: bool = False
    """It came from another address than the last message."""


@attrs.frozen(slots=True)
class RegistrationChanged:
    """The engine learnt something about a registration (an automatic read is done)."""

    endpoint: str
    at: float
    registration: Registration


@attrs.frozen(slots=True)
class Deregistered:
    """A client said goodbye."""

    endpoint: str
    at: float
    registration: Registration


@attrs.frozen(slots=True)
class Expired:
    """A registration's lifetime ran out."""

    endpoint: str
    at: float
    registration: Registration


@attrs.frozen(slots=True)
class Awake:
    """A queue-mode client is reachable until its awake window ends. Once per transition."""

    endpoint: str
    at: float


@attrs.frozen(slots=True)
class Asleep:
    """A queue-mode client is not reachable any more. Once per transition."""

    endpoint: str
    at: float


@attrs.frozen(slots=True)
class Queued:
    """A message was accepted into a device's outbox."""

    endpoint: str
    at: float
    message: Waiting


@attrs.frozen(slots=True)
class Started:
    """A message's first datagram is about to leave: to be committed before it does."""

    endpoint: str
    at: float
    message: int
    at_once: bool = False
    """It did not wait: it was ``Queued`` in the same step."""


@attrs.frozen(slots=True)
class Held:
    """A queue-mode device did not answer: the message is back at the head of its outbox."""

    endpoint: str
    at: float
    message: int


@attrs.frozen(slots=True)
class Progressed:
    """The device has acknowledged ``transferred`` of the ``total`` bytes of a long request. Not kept."""

    endpoint: str
    at: float
    message: int | None
    transferred: int
    total: int


@attrs.frozen(slots=True)
class Sent:
    """The device acknowledged or answered the message; it left the outbox."""

    endpoint: str
    at: float
    message: int
    answered: bool = True
    """False if the answer is still to come: should the server stop now, it must know what it waits for."""


@attrs.frozen(slots=True)
class Answered:
    """The answer to a message that was ``Sent`` without one is there."""

    endpoint: str
    at: float
    message: int


@attrs.frozen(slots=True)
class Failed:
    """A message left the outbox without a usable answer.

    ``reason`` is ``timeout``, ``expired``, ``cancelled``, ``refused`` or ``unknown-outcome`` (an
    Execute or Create that was in flight when the server stopped).
    """

    endpoint: str
    at: float
    message: int
    operation: str
    path: Path
    reason: str
    detail: str = ""
    prefix: str = ""
    """The end device of a gateway that ``path`` belongs to."""


@attrs.frozen(slots=True)
class Received:
    """A device said something: an answer, a notification or a Send.

    ``entries`` are typed by the device's models. What cannot be decoded has ``error`` and the raw
    ``payload``; a failed answer (4.xx, 5.xx) has its ``code`` and no entries.
    """

    endpoint: str
    at: float
    kind: str
    """``response``, ``notification`` or ``send``."""
    path: Path
    code: int
    """CoAP response code; for a Send the code it was answered with."""
    entries: tuple[Entry, ...] = ()
    operation: str = ""
    message: int | None = None
    """Id of the message this answers; ``None`` for what the engine asked on its own."""
    content_format: int | None = None
    payload: bytes = b""
    error: str | None = None
    paths: tuple[Path, ...] = ()
    """All paths of a composite."""
    created: Path | None = None
    """The Object Instance a Create made."""
    prefix: str = ""
    """The end device of a gateway that all paths here belong to; empty for the client itself."""
    written: tuple[Entry, ...] = ()
    """What a Write or Create that succeeded has put there."""
    more: bool = False
    """Whether another exchange of the same message follows, as an Observe does to the Write-Attributes
    before it."""


@attrs.frozen(slots=True)
class Observed:
    """An observe relation exists; its token must survive a restart."""

    endpoint: str
    at: float
    observation: Observation


@attrs.frozen(slots=True)
class ObservationEnded:
    """An observe relation is over.

    For good when ``cancelled``, ``refused``, or ``replaced`` by one for the same paths. Still wanted when it
    ended with the ``registration``, or is ``suspended`` (the device has it no more, or cannot at present):
    then it is asked for again.
    """

    endpoint: str
    at: float
    observation: Observation
    reason: str


@attrs.frozen(slots=True)
class ManagedChanged:
    """Attributes of a managed resource changed."""

    endpoint: str
    at: float
    change: ManagedChange


@attrs.frozen(slots=True)
class InputsChanged:
    """Values that mappings read are new: to be kept, since an attribute may need several of them."""

    endpoint: str
    at: float
    inputs: tuple[tuple[Path, Value | None], ...]
    """``None`` for a Resource Instance that is not there any more."""


@attrs.frozen(slots=True)
class Warned:
    """Something was tolerated or skipped; nothing is dropped without one of these."""

    endpoint: str
    at: float
    text: str
    about: str = ""
    """``mapping``, ``profile``, or empty for all else."""
    place: tuple[str, ...] = ()
    """Plugin, managed resource and rule of a mapping; the path in a device profile."""


Event: TypeAlias = (
    Registered
    | Updated
    | RegistrationChanged
    | Deregistered
    | Expired
    | Awake
    | Asleep
    | Queued
    | Started
    | Held
    | Progressed
    | Sent
    | Answered
    | Failed
    | Received
    | Observed
    | ObservationEnded
    | InputsChanged
    | ManagedChanged
    | Warned
)
