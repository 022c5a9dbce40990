"""Who may talk to the server, and as whom: what an engine asks while it shakes hands."""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen(slots=True)
class Secret:
    """A pre-shared key and the endpoint name it belongs to."""

    endpoint: str
    key: bytes = attrs.field(repr=False)


class Identities(Protocol):
    """Answered from memory, synchronously, in the event loop."""

    def psk(self, identity: bytes) -> Secret | None:
        """The key for a PSK identity (RFC 4279, 5)."""
        ...

    def raw_public_key(self, spki: bytes) -> str | None:
        """The endpoint name for a SubjectPublicKeyInfo in DER (RFC 7250)."""
        ...

    def certificate(self, der: bytes) -> str | None:
        """The endpoint name for a certificate whose chain was verified against the trust store."""
        ...

    def pinned(self, der: bytes) -> str | None:
        """The endpoint name for exactly this certificate, whoever signed it."""
        ...
