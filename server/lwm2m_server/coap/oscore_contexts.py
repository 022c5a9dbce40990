"""Security contexts of OSCORE (RFC 8613, 3), and who knows them."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from aiocoap import oscore


class Context(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """A security context (RFC 8613, 3) whose sequence numbers come from ``next_number``.

    Which numbers of the device's were used before is not known when it is made: the first request is
    answered with an Echo option, and believed when it comes back (Appendix B.1.2).
    """

    def __init__(
        self,
        endpoint: str,
        ids: tuple[bytes, bytes, bytes | None],
        keys: tuple[bytes, bytes],
        next_number: Callable[[], int],
        echo: bytes,
    ) -> None:
        """``ids`` are sender, recipient and context, ``keys`` salt and secret."""
        self.endpoint = endpoint
        self.sender_id, self.recipient_id, self.id_context = ids
        self.alg_aead = oscore.AES_CCM_16_64_128()
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.derive_keys(*keys)
        self.recipient_replay_window = oscore.ReplayWindow(oscore.DEFAULT_WINDOWSIZE, lambda: None)
        self.echo_recovery = echo
        self.fresh_since: int | None = None
        """Number of the first request that the device is known to have sent since the context was made."""
        self._next_number = next_number

    def heard(self, number: int) -> None:
        """A request of the device was no replay."""
        if self.fresh_since is None:
            self.fresh_since = number

    def new_sequence_number(self) -> int:
        return self._next_number()

    def post_seqnoincrease(self) -> None:
        """``next_number`` takes care of that."""


@attrs.frozen(slots=True)
class Binding:
    """What an answer or a notification needs to be understood: whose request, with which number."""

    endpoint: str
    number: bytes
    """Partial IV of the request."""
    code: int
    """Of the protected request."""


class Contexts(Protocol):
    """Security contexts of devices, and what outlives the process."""

    @property
    def is_empty(self) -> bool: ...

    def of_device(self, kid: bytes, kid_context: bytes | None) -> Context | None:
        """By what a device says in its request."""
        ...

    def of_endpoint(self, endpoint: str) -> Context | None: ...

    def keep(self, token: bytes, binding: Binding) -> None:
        """An observe request is about to leave."""
        ...

    def kept(self, token: bytes) -> Binding | None: ...
