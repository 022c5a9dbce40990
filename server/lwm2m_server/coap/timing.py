"""``Timing``: how long to wait and how often to repeat."""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class Timing:
    """Transmission parameters of RFC 7252, 4.8, in seconds."""

    ack_timeout: float = 2.0
    ack_random_factor: float = 1.5
    max_retransmit: int = 4
    response_timeout: float = 120.0
    """From sending a request, or one block of it, to giving up on the response to it."""
    fair_share: float = 0.1
    """Datagrams a second that each address may send, however busy the server is."""
