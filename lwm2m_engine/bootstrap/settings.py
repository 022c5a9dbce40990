"""``BootstrapSettings``: the few numbers the protocol leaves to the server."""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class BootstrapSettings:
    """All times in seconds."""

    session_timeout: float = 900.0
    """How long a session may take as a whole. Each request has the transport's own patience."""
    retry_after: float = 2.0
    """Pause before a step is repeated."""
    max_sessions: int = 10_000
    """Sessions at a time; a client beyond them is asked to come again (5.03)."""
