"""``Resumable``: as whom a session may go on that was begun with a pre-shared key.

OpenSSL keeps sessions, or lets clients keep them in tickets, and does not tell whose they are.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from lwm2m_server.coap.dtls.identities import Identities, Secret

MOST = 100_000
"""Handshakes remembered; the oldest is forgotten, and can then not be resumed."""


class Resumable:
    """What complete handshakes have proved, by what only their two sides know."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._proofs: OrderedDict[bytes, tuple[bytes, Secret]] = OrderedDict()

    def remember(self, master_secret: bytes, identity: bytes, secret: Secret) -> None:
        self._proofs[_digest(master_secret)] = identity, secret
        if len(self._proofs) > MOST:
            self._proofs.popitem(last=False)

    def endpoint(self, master_secret: bytes) -> str | None:
        """The endpoint name, if the identity still has the key it had then."""
        identity, secret = self._proofs.get(_digest(master_secret), (b"", None))
        if secret is None or self._identities.psk(identity) != secret:
            return None
        return secret.endpoint


def _digest(master_secret: bytes) -> bytes:
    return hashlib.sha256(master_secret).digest()
