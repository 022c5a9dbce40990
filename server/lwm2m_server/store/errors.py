"""Why a store did not keep what it was asked to."""

from __future__ import annotations


class CommitFailed(Exception):
    """The transaction was rolled back; nothing of it, nor of those behind it, is stored."""


class Conflict(Exception):
    """A name or identity is already taken. Aborts only its own operation, not the batch."""


class ContainerFull(Exception):
    """A container that never evicts is full, or a message alone is larger than its container's ``mbs``.
    Aborts only its own operation, not the batch."""


class Gone(Exception):
    """The container or node to write to was removed meanwhile. Aborts only its own operation."""
