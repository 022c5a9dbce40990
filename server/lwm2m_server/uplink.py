"""``Uplink``: what devices say, on its way to the tenants' engines."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, is_client_error
from lwm2m_engine.engine import Engine
from lwm2m_engine.errors import RequestError
from lwm2m_server.hub import Hub
from lwm2m_server.logs import Ration
from lwm2m_server.outcomes import kept, refusal
from lwm2m_server.security.admission import Admission, Newcomer
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.records import DeviceRef
from lwm2m_server.store.transaction import Reader

DOWNLOADS = ("p",)
"""Below it lies what devices fetch."""

_log = structlog.get_logger(__name__)


class Uplink:
    """The ``Uplink`` of gateways: it finds out who speaks, and whether they may."""

    def __init__(self, hub: Hub, reader: Reader, admission: Admission, default_tenant: str) -> None:
        self._hub, self._reader, self._admission = hub, reader, admission
        self._engines, self._exchanges, self._now = hub.engines, hub.exchanges, hub.now
        self._settle, self._directory = hub.settle, hub.directory
        self._default, self._refusals = default_tenant, Ration()
        self.serve: Callable[[CoapRequest, Peer], CoapReply | None] = lambda request, peer: None
        """Answers what is fetched by its name (``DOWNLOADS``), or leaves it to the engines."""
        self.on_refused: Callable[[CoapRequest, Peer, CoapReply], object] = lambda request, peer, reply: None
        """Hears of each Register that is refused, however many there are."""

    # --- requests ------------------------------------------------------------------------------------

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        """A device's request; answered when its facts are durable. 5.03 if they cannot be."""
        if self._hub.traces.active:
            answer = self._hub.traces.uplink(self._sender(request, peer), request, peer, answer)
        if request.path[:1] == DOWNLOADS and (served := self.serve(request, peer)) is not None:
            answer(served)
            return
        try:
            tenant = self._tenant_of(request, peer)
            step = self._engines[tenant].receive(request, peer, self._now())
        except (RequestError, CommitFailed) as error:
            self._refuse(request, peer, answer, error)
            return
        except Newcomer as newcomer:

            def enrolled(refused: RequestError | None) -> None:
                if refused is None:
                    self.receive(request, peer, answer)
                else:
                    self._refuse(request, peer, answer, refused)

            newcomer.enrol(enrolled)
            return
        reply = step.reply or CoapReply(Code.INTERNAL_SERVER_ERROR)
        if is_client_error(reply.code) and request.path == ("rd",):
            self._tell_refusal(request, peer, reply)

        def settled(_: object, error: BaseException | None) -> None:
            answer(reply if error is None else refusal(error))

        self._settle(tenant, step, settled)

    def _refuse(
        self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None], error: Exception
    ) -> None:
        reply = refusal(error)
        if reply.code == Code.FORBIDDEN or (is_client_error(reply.code) and request.path == ("rd",)):
            self._tell_refusal(request, peer, reply)
        answer(reply)

    def _tell_refusal(self, request: CoapRequest, peer: Peer, reply: CoapReply) -> None:
        self.on_refused(request, peer, reply)
        left_out = self._refusals.take(self._now())
        if left_out is not None:
            _log.warning(
                "registration refused",
                query="&".join(request.query),
                peer=str(peer),
                reason=reply.payload.decode(errors="replace"),
                hint="lwm2m devices add NAME, lwm2m credentials add NAME, or --unknown-devices create",
                left_out=left_out,
            )

    def is_device(self, peer: Peer) -> bool:
        """Whether a registered device was last heard from there."""
        return any(engine.endpoint_of(peer) is not None for engine in self._engines.values())

    def device_at(self, peer: Peer) -> DeviceRef | None:
        """The registered device that was last heard from there."""
        for engine in self._engines.values():
            endpoint = engine.endpoint_of(peer)
            if endpoint is not None:
                return self._directory.get(endpoint)
        return None

    # --- observe relations ---------------------------------------------------------------------------

    def knows(self, token: bytes) -> bool:
        return self._observer_of(token) is not None

    def observed(self, token: bytes) -> CoapRequest | None:
        """The request that began a relation."""
        found = self._observer_of(token)
        return found[1].observed(token) if found is not None else None

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        """False for a token nobody waits for, ``None`` if it could not be kept: do not acknowledge then."""
        found = self._observer_of(token)
        if found is None:
            settled(False)
            return
        tenant, engine = found
        if self._hub.traces.active:
            self._hub.traces.notification(engine.observer(token), engine.observed(token), reply)
        step = engine.notified(token, reply, peer, self._now())
        if step is None:
            # From an address that is not (yet) the device's. A Reset would end a relation that is wanted;
            # unanswered, it will be repeated, perhaps after an Update from there.
            settled(None)
            return
        self._settle(tenant, step, kept(settled))

    # --- exchanges -----------------------------------------------------------------------------------

    def disconnected(self, peer: Peer) -> None:
        """The connection a device was heard over is closed."""
        for tenant, engine in self._engines.items():
            step = engine.disconnected(peer, self._now())
            if step.events:
                self._settle(tenant, step)

    def acknowledged(self, exchange: int) -> None:
        if self._hub.traces.active:
            self._hub.traces.acknowledged(exchange)
        if exchange in self._exchanges:
            tenant, _ = self._exchanges[exchange]
            self._settle(tenant, self._engines[tenant].acknowledged(exchange, self._now()))

    def progressed(self, exchange: int, transferred: int, total: int) -> None:
        """A device acknowledged a block of a long request; numbers of bytes."""
        if exchange in self._exchanges:
            tenant, _ = self._exchanges[exchange]
            step = self._engines[tenant].progressed(exchange, transferred, total, self._now())
            self._settle(tenant, step)

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        if self._hub.traces.active:
            self._hub.traces.answer(exchange, reply)
        if self._hub.trail is not None:
            self._hub.trail.answered(exchange, reply)
        if exchange in self._exchanges:
            tenant, _ = self._exchanges.pop(exchange)
            step = self._engines[tenant].answered(exchange, reply, self._now())
            self._settle(tenant, step, kept(settled))
        elif settled is not None:
            settled(True)

    def failed(self, exchange: int, reason: str) -> None:
        if self._hub.traces.active:
            self._hub.traces.failure(exchange, reason)
        if self._hub.trail is not None:
            self._hub.trail.failed(exchange, reason)
        if exchange in self._exchanges:
            tenant, _ = self._exchanges.pop(exchange)
            self._settle(tenant, self._engines[tenant].failed(exchange, reason, self._now()))

    def _observer_of(self, token: bytes) -> tuple[str, Engine] | None:
        for found in self._engines.items():
            if found[1].knows(token):
                return found
        return None

    # --- who is who ----------------------------------------------------------------------------------

    def _tenant_of(self, request: CoapRequest, peer: Peer) -> str:
        """Whose engine a device's request is for. Raises ``RequestError``, ``CommitFailed``."""
        endpoint = self._directory.sender(request, peer, self._engines.values())
        if not endpoint:
            return self._default
        self._hub.commits.refuse_broken(endpoint)
        ref = self._directory.get(endpoint)
        if request.path == ("rd",):
            ref = self._admit(endpoint, ref, peer)
        return ref.tenant if ref is not None else self._default

    def _admit(self, endpoint: str, ref: DeviceRef | None, peer: Peer) -> DeviceRef | None:
        """A device registers: its credentials must let it. Raises ``RequestError``."""
        device = self._reader.device_of_endpoint(endpoint) if ref is None else None
        node = ref.node if ref is not None else device.node if device is not None else None
        self._admission.check(endpoint, node, peer)
        if device is not None and device.tenant in self._engines:
            self._hub.rename(device, endpoint)
            return self._directory.get(endpoint)
        return ref

    def _sender(self, request: CoapRequest, peer: Peer) -> str | None:
        try:
            return self._directory.sender(request, peer, self._engines.values())
        except RequestError:
            return None
