"""``EngineSettings``: the few numbers the protocol leaves to the server."""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class EngineSettings:
    """All times in seconds."""

    awake_window: float = 93.0
    """How long a queue-mode client stays reachable after it was heard: MAX_TRANSMIT_WAIT of CoAP
    (RFC 7252, 4.8.2), the value LwM2M Core 1.2, 6.5.1 recommends."""
    grace: float = 0.0
    """Added to a registration's lifetime before it expires."""
    read_pacing: float = 0.0
    """Pause between the requests of a series that nobody waits for in particular: automatic reads and
    observations after Register, ``GET /``."""
    composite_timeout: float = 30.0
    """How long a composite may take: there are clients that acknowledge one and never answer it."""
    retry_after: float = 5.0
    """Pause before a device is served again after the store failed."""
    admit_unknown: bool = True
    """Whether a client may register under a name the engine was not told of with ``add``."""
    identity_is_endpoint: bool = True
    """Refuse a Register under a name that differs from the peer's identity. Off for who knows of more names
    of a device and has compared them."""
    assumed_version: str | None = None
    """Of a client that does not name its enabler version; ``None`` refuses it."""
    strict: bool = False
    """Refuse what is tolerated with a warning otherwise."""
