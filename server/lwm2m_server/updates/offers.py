"""``Offers``: packages that devices fetch by a token, over CoAP and HTTP.

A token is 128 random bits in a URI. It is good for one update of one device, for as many pieces and from as
many beginnings as the download takes, and for nothing once that is over. The store has its hash only.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Final, Protocol

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, diagnostic
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.bodies import LongReply
from lwm2m_server.updates.files import PackageFiles

TOKEN_BYTES: Final = 16
ETAG_BYTES: Final = 8
OCTET_STREAM: Final = 42
"""CoAP Content-Format."""


@attrs.frozen(slots=True)
class Offer:
    """What a token is good for. Times are seconds since 1970-01-01 UTC."""

    update: int
    digest: str
    """SHA-256 of the package."""
    size: int
    expires_at: float
    node: int
    identity: str | None = None
    """What the device proved when it registered."""
    file_name: str = ""

    def is_for(self, peer: Peer) -> bool:
        """Whether a peer has not proved to be another."""
        return None in (self.identity, peer.identity) or self.identity == peer.identity

    @property
    def etag(self) -> bytes:
        return bytes.fromhex(self.digest[: 2 * ETAG_BYTES])


class Fetched(Protocol):
    """Who hears how far a download is."""

    def __call__(self, update: int, bytes: int, is_last: bool) -> object: ...


class Offers:
    """In memory: updates have theirs with them, and bring them back after a restart."""

    def __init__(self, files: PackageFiles, clock: Callable[[], float] = time.time) -> None:
        self._files, self._clock = files, clock
        self._offers: dict[bytes, Offer] = {}
        self._of: dict[int, bytes] = {}
        self.fetched: Fetched = lambda update, bytes, is_last: None
        self.is_another: Callable[[Peer, int], bool] = lambda peer, node: False
        """Whether a peer is known to be another device than that of a node."""
        self.served = 0
        """Bytes."""
        self.refused = 0
        """Requests for what is not there, or not for who asks."""

    def __len__(self) -> int:
        return len(self._offers)

    def make(self, offer: Offer) -> tuple[str, str]:
        """A new token, and its hash; what the update had before is over."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        hash = _hash(token)
        self.restore(hash.hex(), offer)
        return token, hash.hex()

    def restore(self, hash: str, offer: Offer) -> None:
        """One of before a restart."""
        self.end(offer.update)
        key = bytes.fromhex(hash)
        self._offers[key], self._of[offer.update] = offer, key

    def end(self, update: int) -> None:
        key = self._of.pop(update, None)
        if key is not None:
            del self._offers[key]

    def find(self, token: str) -> Offer | None:
        # By its hash: how long that takes says nothing about tokens that are good.
        offer = self._offers.get(_hash(token))
        if offer is None or offer.expires_at <= self._clock():
            self.refused += 1
            return None
        return offer

    def read(self, offer: Offer, offset: int, size: int) -> bytes:
        """A part of the package that is sent now. Raises ``OSError``."""
        data = self._files.read(offer.digest, offset, size)
        self.served += len(data)
        end = offset + len(data)
        self.fetched(offer.update, end, end >= offer.size)
        return data

    # --- CoAP ----------------------------------------------------------------------------------------

    def serve(self, request: CoapRequest, peer: Peer) -> CoapReply:
        """``GET /p/{token}``. The same refusal for whatever is not to be had."""
        if request.code != Code.GET:
            return diagnostic(Code.METHOD_NOT_ALLOWED, "packages can be fetched with GET")
        offer = self.find(request.path[1]) if len(request.path) == 2 else None
        if offer is None:
            return diagnostic(Code.NOT_FOUND, "nothing is offered here, or not any more")
        if not offer.is_for(peer) or self.is_another(peer, offer.node):
            self.refused += 1
            return diagnostic(Code.FORBIDDEN, "this is offered to another device")
        if request.accept not in (None, OCTET_STREAM):
            return diagnostic(Code.NOT_ACCEPTABLE, "a package is an application/octet-stream")
        return LongReply(Code.CONTENT, content_format=OCTET_STREAM, body=_Package(self, offer))


@attrs.frozen(slots=True)
class _Package:
    """The ``Body`` of a package."""

    offers: Offers
    offer: Offer

    @property
    def size(self) -> int:
        return self.offer.size

    @property
    def etag(self) -> bytes:
        return self.offer.etag

    def read(self, offset: int, size: int) -> bytes:
        try:
            return self.offers.read(self.offer, offset, size)
        except OSError as error:
            reason = f"the package cannot be read: {error.strerror}"
            raise RequestError(Code.INTERNAL_SERVER_ERROR, reason) from error


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
