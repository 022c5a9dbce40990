"""``KnownIdentities``: whose a PSK identity, key or certificate is; all of it in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import attrs

from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.security.credentials import Credential, Oscore, Psk, digest, identity_of
from lwm2m_server.store.records import SealedCredential


@attrs.frozen(slots=True)
class Known:
    """Credentials of one device for one server; the secret stays sealed until a handshake needs it."""

    node: int
    mode: str
    endpoint: str | None
    identity: bytes | None
    sealed: bytes | None = attrs.field(repr=False)

    @classmethod
    def of(cls, row: SealedCredential) -> Known:
        return cls(row.node, row.mode, row.endpoint, row.identity, row.sealed)


class Strangers(Protocol):
    """Who may come though nobody knows them yet; asked in handshakes, in memory or by a row or two."""

    def psk(self, identity: bytes) -> Secret | None: ...
    def certificate(self, der: bytes, names: Iterable[str]) -> str | None:
        """The endpoint name for a certificate that a trusted authority has signed."""
        ...


class KnownIdentities:
    """The ``Identities`` of one server, bootstrap or management.

    ``unseal`` opens the secret of a node; ``names`` says which endpoint names a certificate gives to whom
    a trusted authority issued it.
    """

    def __init__(
        self, unseal: Callable[[Known], Psk | Oscore], names: Callable[[bytes], Iterable[str]]
    ) -> None:
        self._unseal, self._names = unseal, names
        self.strangers: Strangers | None = None
        """Asked about who is not known."""
        self.changing: set[int] = set()
        """Nodes whose credentials are being written: what is known of them may be true no more."""
        self._by_node: dict[int, Known] = {}
        self._by_endpoint: dict[str, Known] = {}
        self._by_identity: dict[str, dict[bytes, Known]] = {}

    # --- what handshakes ask -------------------------------------------------------------------------

    def psk(self, identity: bytes) -> Secret | None:
        """The key for a PSK identity; ``None`` also for one without a key."""
        known = self._found("psk", identity)
        if known is None and self.strangers is not None:
            return self.strangers.psk(identity)
        if known is None or known.endpoint is None or known.sealed is None:
            return None
        psk = self._unseal(known)
        key = psk.key if isinstance(psk, Psk) else None
        return Secret(known.endpoint, key) if key is not None else None

    def raw_public_key(self, spki: bytes) -> str | None:
        """The endpoint name for a SubjectPublicKeyInfo in DER."""
        known = self._found("rpk", digest(spki))
        return known.endpoint if known is not None else None

    def certificate(self, der: bytes) -> str | None:
        """The endpoint name for a certificate that a trusted authority has signed: that of the device it
        was pinned for, else the first of its names that is a device's who needs no particular one."""
        pinned = self.pinned(der)
        if pinned is not None:
            return pinned
        names = list(self._names(der))
        for name in names:
            known = self._by_endpoint.get(name)
            if known is not None and known.mode == "x509" and known.identity is None:
                return name
        return self.strangers.certificate(der, names) if self.strangers is not None else None

    def pinned(self, der: bytes) -> str | None:
        """The endpoint name for this very certificate, whoever signed it."""
        known = self._found("x509", digest(der))
        return known.endpoint if known is not None else None

    def oscore(self, recipient_id: bytes) -> str | None:
        """The endpoint name of the device that sends under this id."""
        known = self._found("oscore", recipient_id)
        return known.endpoint if known is not None else None

    @property
    def has_oscore(self) -> bool:
        """Whether any device has a context."""
        return bool(self._by_identity.get("oscore"))

    def oscore_of(self, endpoint: str) -> tuple[int, Oscore] | None:
        """Node and keys of the device of this name."""
        known = self._by_endpoint.get(endpoint)
        if known is None or known.mode != "oscore":
            return None
        found = self._unseal(known)
        return (known.node, found) if isinstance(found, Oscore) else None

    # --- who is who ----------------------------------------------------------------------------------

    def of_node(self, node: int) -> Known | None:
        return self._by_node.get(node)

    def is_taken(self, credential: Credential) -> bool:
        """Whether some device is found by the same."""
        identity = identity_of(credential)
        return identity is not None and self._found(credential.mode, identity) is not None

    def of_endpoint(self, endpoint: str) -> Known | None:
        return self._by_endpoint.get(endpoint)

    # --- changes -------------------------------------------------------------------------------------

    def put(self, known: Known) -> None:
        """In place of what was known of the node."""
        self.drop(known.node)
        self._by_node[known.node] = known
        if known.endpoint is not None:
            self._by_endpoint[known.endpoint] = known
        if known.identity is not None:
            self._by_identity.setdefault(known.mode, {})[known.identity] = known

    def drop(self, node: int) -> Known | None:
        known = self._by_node.pop(node, None)
        if known is None:
            return None
        if known.endpoint is not None and self._by_endpoint.get(known.endpoint) is known:
            del self._by_endpoint[known.endpoint]
        same_mode = self._by_identity.get(known.mode, {})
        if known.identity is not None and same_mode.get(known.identity) is known:
            del same_mode[known.identity]
        return known

    def _found(self, mode: str, identity: bytes) -> Known | None:
        return self._by_identity.get(mode, {}).get(identity)
