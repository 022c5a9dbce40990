"""Security contexts that are derived anew when a device or the server has lost its own (RFC 8613, B.2).

Who sends the request and who answers it each add a random number to the ID Context, so that nobody can make
either of them use a key again, or believe what is old:

    request #1   ID Context of the sender's choice (ID1), or the one that the other side has lost
    response #1  4.01 with the number R2, protected with R2 || ID1
    request #2   protected with R2 || R3, and so is everything from then on
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

from aiocoap import oscore
from aiocoap.error import UnparsableMessage
from aiocoap.message import Direction, Message

from lwm2m_engine.coap import Code
from lwm2m_server.coap.oscore_contexts import Context, Contexts
from lwm2m_server.coap.oscore_nonces import NONCE
from lwm2m_server.coap.oscore_option import unwrapped, with_kid_context, without_kid_context, wrapped

UNOPENED: Final = (oscore.ProtectionInvalid, UnparsableMessage, ValueError)
"""What ``Context.unprotect`` raises for bytes it finds no message in."""


class UnknownContext(oscore.ProtectionInvalid):
    """None that is known opens the message."""


class LostContext(oscore.ProtectionInvalid):
    """A request #1 is answered with a number, and goes no further: it may be a replay."""

    def __init__(self, context: Context, nonce: bytes, request_id: Any) -> None:
        super().__init__("derive a context with this number")
        self._context, self._nonce, self._request_id = context, nonce, request_id

    def to_message(self) -> Any:
        """Response #1."""
        answer = Message(code=int(Code.UNAUTHORIZED))
        answer.direction = Direction.OUTGOING
        outer, _ = self._context.protect(answer, self._request_id)
        outer.opt.oscore = with_kid_context(outer.opt.oscore, wrapped(self._nonce))
        return outer


class Opened(NamedTuple):
    """A request of a device."""

    context: Context
    message: Any
    request_id: Any


def open_request(contexts: Contexts, outer: Any) -> Opened:
    """With the context that it names; one with a new ID Context is a request of the exchange.

    Raises ``UnknownContext``, ``LostContext``, what ``Context.unprotect`` raises, and
    ``ContextUnavailable`` if a context that was derived cannot be kept.
    """
    said = _said(outer)
    endpoint = contexts.endpoint_of(said.get(oscore.COSE_KID, b""))
    context = contexts.of_endpoint(endpoint) if endpoint is not None else None
    if context is None:
        raise UnknownContext
    outer.opt.oscore = without_kid_context(outer.opt.oscore)
    named = said.get(oscore.COSE_KID_CONTEXT)
    if named is None or named == context.id_context:
        return Opened(context, *context.unprotect(outer))
    id_context = unwrapped(named) or named
    if id_context == context.id_context:
        return Opened(context, *context.unprotect(outer))
    return _rederive(contexts, context, id_context, outer)


def _rederive(contexts: Contexts, lost: Context, id_context: bytes, outer: Any) -> Opened:
    derived = contexts.derived(lost.endpoint, id_context)
    try:
        message, request_id = derived.unprotect(outer)
    except UNOPENED as problem:
        raise UnknownContext from problem
    if not contexts.nonces.begin(lost.endpoint, id_context):
        nonce = contexts.nonces.new(lost.endpoint)
        raise LostContext(contexts.derived(lost.endpoint, nonce + id_context), nonce, request_id)
    contexts.adopt(derived, instead_of=lost)
    return Opened(derived, message, request_id)


def successor(contexts: Contexts, asked: Context, outer: Any, request_id: Any) -> Context | None:
    """The context to ask again with, if this answer is a response #1: to be adopted when the device has
    answered with it. Raises what ``Context.unprotect`` raises."""
    named = _said(outer).get(oscore.COSE_KID_CONTEXT)
    outer.opt.oscore = without_kid_context(outer.opt.oscore)
    nonce = unwrapped(named) if named is not None else None
    if nonce is None or named == asked.id_context:
        return None
    message, _ = contexts.derived(asked.endpoint, nonce + (asked.id_context or b"")).unprotect(
        outer, request_id
    )
    if message.code != Code.UNAUTHORIZED:
        raise oscore.ProtectionInvalid("an answer with another ID Context")
    return contexts.derived(asked.endpoint, nonce + secrets.token_bytes(NONCE))


def _said(outer: Any) -> Any:
    """What the option says of the message. Raises ``oscore.DecodeError``, ``IndexError``."""
    said = oscore.verify_start(outer)
    if oscore.COSE_COUNTERSIGNATURE0 in said:
        # aiocoap looks for algorithms of a group then, which a context of two does not have.
        raise oscore.DecodeError("a message to a group")
    return said
