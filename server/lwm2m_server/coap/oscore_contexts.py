"""Security contexts of OSCORE (RFC 8613, 3), and who knows them."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs
from aiocoap import oscore
from aiocoap.message import Direction, Message

from lwm2m_engine.coap import Code
from lwm2m_server.coap.oscore_nonces import Nonces

REMEDY: Final = "install the version of aiocoap that this program asks for"


class Context(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """A security context (RFC 8613, 3) whose sequence numbers come from ``next_number``.

    Which numbers of the device's were used before is not known when it is made: the first request is
    answered with an Echo option, and believed when it comes back (Appendix B.1.2). But if it is ``unused``,
    there are none.
    """

    def __init__(
        self,
        endpoint: str,
        ids: tuple[bytes, bytes, bytes | None],
        keys: tuple[bytes, bytes],
        next_number: Callable[[], int],
        echo: bytes,
        *,
        unused: bool = False,
    ) -> None:
        """``ids`` are sender, recipient and context, ``keys`` salt and secret."""
        self.endpoint = endpoint
        self.sender_id, self.recipient_id, self.id_context = ids
        self.alg_aead = oscore.AES_CCM_16_64_128()
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.derive_keys(*keys)
        self.recipient_replay_window = oscore.ReplayWindow(oscore.DEFAULT_WINDOWSIZE, lambda: None)
        if unused:
            self.recipient_replay_window.initialize_empty()
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


def problem() -> str | None:
    """Why the aiocoap installed here does not do for OSCORE: a request of RFC 8613 (Appendix C.6) must come
    out as it is there. What ``Context`` is built on is no interface that aiocoap promises to keep."""
    keys = bytes.fromhex("9e7ca92223786340"), bytes(range(1, 17))
    request = Message(code=int(Code.GET), uri_path=["tv1"])
    request.direction = Direction.OUTGOING
    try:
        context = Context("", (b"", b"\x01", bytes.fromhex("37cbf3210017a2d3")), keys, lambda: 20, b"")
        outer, _ = context.protect(request)
    except (AttributeError, TypeError, AssertionError) as error:
        return f"this aiocoap has another OSCORE ({error!r}); {REMEDY}"
    if (outer.opt.oscore + outer.payload).hex() != "19140837cbf3210017a2d372cd7273fd331ac45cffbe55c3":
        return f"a protected request is not what it has to be; {REMEDY}"
    return None


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

    @property
    def nonces(self) -> Nonces: ...

    def endpoint_of(self, kid: bytes) -> str | None:
        """By what a device says in its request."""
        ...

    def of_endpoint(self, endpoint: str) -> Context | None: ...

    def derived(self, endpoint: str, id_context: bytes) -> Context:
        """From the same keys, with an ID Context that nobody has used. Raises ``ContextUnavailable``."""
        ...

    def adopt(self, context: Context, *, instead_of: Context) -> None:
        """The device's context is another from now on. Raises ``ContextUnavailable`` if that cannot be
        kept, or if it had another one by now."""
        ...

    def keep(self, token: bytes, binding: Binding) -> None:
        """An observe request is about to leave."""
        ...

    def kept(self, token: bytes) -> Binding | None: ...
