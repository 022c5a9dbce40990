"""``OscoreContexts``: security contexts made from credentials, and what of them outlives the process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from aiocoap.oscore import ContextUnavailable

from lwm2m_server.coap.oscore_contexts import Binding, Context
from lwm2m_server.coap.oscore_nonces import Nonces
from lwm2m_server.security.credentials import Oscore, Side
from lwm2m_server.security.identities import KnownIdentities
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Transaction

NUMBERS: Final = 256
"""Sequence numbers taken from the ledger at once."""
PER_SECOND: Final = 32
"""Numbers begin at the seconds since 1970 times this: a second line of defence, should the disk lose the
last numbers that were taken. 40 bits last a thousand years."""


class OscoreContexts:
    """The ``Contexts`` of one server. Belongs to the event loop."""

    def __init__(
        self, known: KnownIdentities, side: Side, ledger: Ledger, clock: Callable[[], float] = time.time
    ) -> None:
        self._known, self._side, self._ledger, self._clock = known, side, ledger, clock
        self._contexts: dict[str, Context] = {}
        self.nonces = Nonces()
        ledger.run(lambda transaction: transaction.tidy_oscore_requests())

    @property
    def is_empty(self) -> bool:
        return not self._known.has_oscore

    def endpoint_of(self, kid: bytes) -> str | None:
        return self._known.oscore(kid)

    def of_endpoint(self, endpoint: str) -> Context | None:
        context = self._contexts.get(endpoint)
        if context is None:
            found = self._known.oscore_of(endpoint)
            if found is None:
                return None
            node, keys = found
            id_context = self._ledger.reader.oscore_id_context(node, self._side) or keys.id_context
            context = self._contexts[endpoint] = self._context(endpoint, node, keys, id_context)
        return context

    def derived(self, endpoint: str, id_context: bytes) -> Context:
        found = self._known.oscore_of(endpoint)
        if found is None:
            raise ContextUnavailable("the device has no OSCORE credentials any more")
        return self._context(endpoint, *found, id_context, unused=True)

    def _context(
        self, endpoint: str, node: int, keys: Oscore, id_context: bytes | None, *, unused: bool = False
    ) -> Context:
        return Context(
            endpoint,
            (keys.sender_id, keys.recipient_id, id_context),
            (keys.master_salt, keys.master_secret),
            Numbers(self._ledger, node, self._clock),
            secrets.token_bytes(8),
            unused=unused,
        )

    def adopt(self, context: Context, *, instead_of: Context) -> None:
        endpoint, id_context = context.endpoint, context.id_context
        found = self._known.oscore_of(endpoint)
        if found is None or id_context is None or self._contexts.get(endpoint) is not instead_of:
            raise ContextUnavailable("the device has another security context by now")
        node = found[0]
        self._commit(lambda transaction: transaction.put_oscore_id_context(node, self._side, id_context))
        self._contexts[endpoint] = context
        self.nonces.forget(endpoint)

    def forget(self, endpoint: str) -> None:
        """Its credentials are others, or gone."""
        self._contexts.pop(endpoint, None)
        self.nonces.forget(endpoint)

    def keep(self, token: bytes, binding: Binding) -> None:
        """Raises ``ContextUnavailable`` if the ledger cannot."""
        self._commit(
            lambda transaction: transaction.put_oscore_request(
                token, binding.endpoint, binding.number, binding.code
            )
        )

    def kept(self, token: bytes) -> Binding | None:
        row = self._ledger.reader.oscore_request(token)
        return Binding(*row) if row is not None else None

    def _commit(self, write: Callable[[Transaction], None]) -> None:
        try:
            self._ledger.run(write)
        except CommitFailed as error:
            raise ContextUnavailable(str(error)) from error


class Numbers:
    """Sender sequence numbers of a device's context; none is ever the same, in this process or another."""

    def __init__(self, ledger: Ledger, node: int, clock: Callable[[], float]) -> None:
        self._ledger, self._node, self._clock = ledger, node, clock
        self._next = self._end = 0

    def __call__(self) -> int:
        """Raises ``ContextUnavailable`` if the ledger cannot keep that it was taken."""
        if self._next == self._end:
            at_least = int(self._clock() * PER_SECOND)
            try:
                self._next = self._ledger.run(
                    lambda transaction: transaction.take_oscore_numbers(self._node, NUMBERS, at_least)
                )
            except CommitFailed as error:
                raise ContextUnavailable(str(error)) from error
            self._end = self._next + NUMBERS
        self._next += 1
        return self._next - 1
