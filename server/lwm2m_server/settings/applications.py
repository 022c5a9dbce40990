"""Who may ask the server, and what is told to whom."""

from __future__ import annotations

from pathlib import Path

import attrs
from attrs.validators import ge, gt


@attrs.frozen
class AccessSettings:
    """Who may call the HTTP API, and how often."""

    file: Path | None = None
    """TOML file with API keys, and with issuers whose tokens are good here; read again when it changes."""
    rate: float = attrs.field(default=1000.0, validator=ge(0.0))
    """Requests a second that each client may make; 0 for any number. While no clients are configured there
    is no limit."""
    burst: int = attrs.field(default=2000, validator=gt(0))
    """Requests that a client may make at once."""


@attrs.frozen
class ConsoleSettings:
    """The web console."""

    enabled: bool = True
    """Whether ``/console/`` is served."""
    idle: float = attrs.field(default=4 * 3600.0, validator=gt(0.0))
    """Seconds without a request after which one has to sign in again."""


@attrs.frozen
class AuditSettings:
    """The audit log: who changed what."""

    entries: int = attrs.field(default=1_000_000, validator=gt(0))
    """Lines that are kept; the oldest go."""
    days: int = attrs.field(default=400, validator=gt(0))
    """Days that a line is kept."""


@attrs.frozen
class EventSettings:
    """What happened to devices, as it can be read again (`/api/v1/events`)."""

    keep: int = attrs.field(default=100_000, validator=gt(0))
    """Events that are kept."""
    keep_for: float = attrs.field(default=86400.0, validator=gt(0.0))
    """Seconds they are kept at most."""


@attrs.frozen
class DeliverySettings:
    """Notifications on their way to applications."""

    allow: tuple[str, ...] = ()
    """Addresses and networks that webhooks and brokers may have although they are this machine's,
    link-local or otherwise not for them, e.g. ``127.0.0.1``."""
    ca_file: Path | None = None
    """PEM file with authorities that are trusted besides the system's, for ``https``, ``mqtts`` and
    ``kafkas``."""
    first_retry: float = attrs.field(default=1.0, validator=gt(0.0))
    """Seconds before a notification is tried again; each time twice as many."""
    longest_retry: float = attrs.field(default=300.0, validator=gt(0.0))
    """Seconds between two attempts at most."""
    give_up_after: float = attrs.field(default=86_400.0, validator=gt(0.0))
    """Seconds after which a notification that cannot be delivered is a dead letter."""
    connect_timeout: float = attrs.field(default=5.0, validator=gt(0.0))
    """Seconds a webhook or a broker may take to accept a connection."""
    answer_timeout: float = attrs.field(default=10.0, validator=gt(0.0))
    """Seconds until a webhook has begun to answer, connecting included, or a broker has acknowledged."""
    timeout: float = attrs.field(default=30.0, validator=gt(0.0))
    """Seconds until it has answered completely."""
    at_once: int = attrs.field(default=16, validator=gt(0))
    """Notifications under way to one target, each of another subscription."""
    waiting: int = attrs.field(default=1_000_000, validator=gt(0))
    """Notifications that may wait for one target; more are dead letters at once."""
    waiting_bytes: int = attrs.field(default=2_000_000_000, validator=gt(0))
    """Bytes of all that waits; more are dead letters at once."""
    dead_letters: int = attrs.field(default=100_000, validator=gt(0))
    """Dead letters that are kept; the oldest are dropped, and the log says how many."""
    dead_letter_bytes: int = attrs.field(default=500_000_000, validator=gt(0))
    """Bytes of all dead letters."""
