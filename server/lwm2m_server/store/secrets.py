"""What can be asked of the ledger about what devices prove themselves with, and what can be written of it.

Secrets are sealed: see ``security.vault``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from lwm2m_server.store.records import BatchKey, SealedCredential


class SecretReads(Protocol):
    """The part of a ``Reader`` that is about them."""

    def credential(self, node: int, side: str) -> SealedCredential | None: ...
    def credentials_of(self, node: int) -> Sequence[SealedCredential]: ...
    def oscore_id_context(self, node: int, side: str) -> bytes | None:
        """That of the security context that device and server derived last, if they ever did."""
        ...

    def oscore_request(self, token: bytes) -> tuple[str, bytes, int] | None:
        """Endpoint, partial IV and outer code of the request that began a relation."""
        ...

    def credentials(self, *, after: int = -1) -> Iterable[SealedCredential]:
        """Those of all nodes above ``after``, in order of creation; they may come and go meanwhile."""
        ...

    def material(self, node: int) -> bytes | None:
        """What bootstrap is to give to a device, sealed, as far as its credentials do not say it."""
        ...

    def batch_key(self, identity: str) -> BatchKey | None: ...
    def batch_key_for(self, endpoint: str) -> BatchKey | None: ...
    def count_batch_keys(self, tenant: str, rule: str) -> int: ...


class SecretWrites(Protocol):
    """The part of a ``Transaction`` that is about them."""

    def put_credential(self, row: SealedCredential) -> None:
        """Insert or replace those of one node and side. Raises ``Conflict``, ``Gone``."""
        ...

    def remove_credential(self, node: int, side: str) -> None: ...
    def take_oscore_numbers(self, node: int, count: int, at_least: int) -> int:
        """The first of so many sequence numbers that nobody had; 40 bits (RFC 8613, 7.2.1)."""
        ...

    def put_oscore_id_context(self, node: int, side: str, id_context: bytes) -> None:
        """For as long as the credentials stay as they are."""
        ...

    def put_oscore_request(self, token: bytes, endpoint: str, number: bytes, code: int) -> None: ...
    def tidy_oscore_requests(self) -> None:
        """Forget those of relations that are no more."""
        ...

    def put_material(self, node: int, sealed: bytes) -> None: ...
    def remove_material(self, node: int) -> None: ...
    def put_batch_keys(self, keys: Iterable[BatchKey]) -> None:
        """Insert or replace. Raises ``Conflict`` for an identity or endpoint name of another rule's."""
        ...

    def remove_batch_key(self, identity: str) -> None: ...
    def forget_batch_keys(self, tenant: str) -> None:
        """All of a tenant that is no more."""
        ...

    def remove_batch_keys(self, tenant: str, rule: str, limit: int) -> int:
        """Up to so many; how many there were."""
        ...
