"""``Engine``: the server side of LwM2M 1.0, 1.1 and 1.2 as a pure state machine.

No sockets, no clock, no event loop. Every method takes what happened and the time, changes the state
and returns a ``Step``: the reply, the facts to make durable, and what to do after that, in this order.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, diagnostic
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.engine import (
    answers,
    checks,
    observations,
    outbox,
    presence,
    registrations,
    relations,
    restoration,
    setups,
)
from lwm2m_engine.engine.arrangements import Arrangement
from lwm2m_engine.engine.devices import NEVER, Client, Device
from lwm2m_engine.engine.events import Deregistered
from lwm2m_engine.engine.hooks import Hooks
from lwm2m_engine.engine.records import DeviceRecord, PowerSaving, Registration, Waiting
from lwm2m_engine.engine.settings import EngineSettings
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.step import Abort, Step
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.errors import RequestError, UnknownDevice
from lwm2m_engine.mapping.commands import Order, orders
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.model.catalog import Catalog, ModelView

TOKEN_LENGTH = 8


def random_token() -> bytes:
    """8 random bytes: as long as a CoAP token can be, so that nobody guesses one."""
    return secrets.token_bytes(TOKEN_LENGTH)


class Engine:
    """The devices of one tenant. ``now`` is always in seconds since 1970-01-01 UTC."""

    def __init__(
        self,
        catalog: Catalog,
        hooks: Hooks | None = None,
        *,
        table: MappingTable | None = None,
        codecs: Codecs | None = None,
        settings: EngineSettings | None = None,
        tokens: Callable[[], bytes] = random_token,
        exchanges: Iterator[int] | None = None,
        unannounced: Callable[[str], str | None] = lambda endpoint: None,
    ) -> None:
        """``exchanges`` numbers the ``Perform`` effects; engines that share a transport share one.

        ``unannounced`` gives the version of Objects that a device, by its endpoint name, announces without
        one; ``None`` for the one of its enabler version (LwM2M Core 1.2, 7.2.3).
        """
        self._state = State(
            catalog,
            table if table is not None else MappingTable(),
            codecs if codecs is not None else Codecs(),
            hooks if hooks is not None else Hooks(),
            settings if settings is not None else EngineSettings(),
            tokens,
            exchanges if exchanges is not None else count(1),
            unannounced,
        )
        self._ids = count(1)

    # --- what devices say --------------------------------------------------------------------------

    def receive(self, request: CoapRequest, peer: Peer, now: float) -> Step:
        """A request of a device; ``reply`` is always there, malformed requests get the right 4.xx."""
        turn = Turn(now)
        try:
            reply = self._route(request, peer, turn)
        except RequestError as error:
            reply = diagnostic(error.code, error.reason)
        return self._done(turn, reply)

    def notified(self, token: bytes, reply: CoapReply, peer: Peer, now: float) -> Step | None:
        """A response that carries an observation's token; ``None`` if there is no such relation."""
        turn = Turn(now)
        if not observations.notified(self._state, token, reply, peer, turn):
            return None
        return self._done(turn)

    def knows(self, token: bytes) -> bool:
        """Whether an observe relation, or a request for one, has this token."""
        return token in self._state.by_token

    def endpoint_of(self, peer: Peer) -> str | None:
        """The registered device that was last heard from this peer."""
        device = self._state.sender(peer)
        return device.endpoint if device is not None else None

    def disconnected(self, peer: Peer, now: float) -> Step:
        """The connection that a device was last heard over is closed: what it observes ends with it
        (RFC 8323, 7.4), and it sleeps if it is one that does."""
        turn = Turn(now)
        device = self._state.sender(peer)
        if device is not None and device.liveness is not None and device.liveness.peer == peer:
            relations.disconnect(self._state, device, turn)
            presence.sleep(device, turn)
        return self._done(turn)

    def acknowledged(self, exchange: int, now: float) -> Step:
        """A device acknowledged a request; the response will come separately."""
        turn = Turn(now)
        answers.acknowledged(self._state, exchange, turn)
        return self._done(turn)

    def progressed(self, exchange: int, transferred: int, total: int, now: float) -> Step:
        """A device acknowledged one more block of a long request; numbers of bytes."""
        turn = Turn(now)
        answers.progressed(self._state, exchange, transferred, total, turn)
        return self._done(turn)

    def answered(self, exchange: int, reply: CoapReply, now: float) -> Step:
        """The answer to a ``Perform``."""
        turn = Turn(now)
        answers.answered(self._state, exchange, reply, turn)
        return self._done(turn)

    def failed(self, exchange: int, reason: str, now: float) -> Step:
        """A ``Perform`` got no answer: ``timeout``, ``unreachable``, ``reset`` or ``undecodable``."""
        turn = Turn(now)
        answers.failed(self._state, exchange, reason, turn)
        return self._done(turn)

    # --- what applications ask ---------------------------------------------------------------------

    def submit(
        self,
        endpoint: str,
        request: Request,
        now: float,
        *,
        id: int | None = None,
        expires_at: float | None = None,
        deferred: bool = False,
    ) -> Step:
        """Queue a request and send it when the device can hear it.

        ``id`` names it in events (made up if ``None``); at ``expires_at`` it is given up. One that is
        ``deferred`` also waits until its action may go (``mapping.rules.When``), and lets others pass.
        Raises ``RequestError`` for what the device cannot be asked, ``UnknownDevice``.
        """
        turn = Turn(now)
        number = next(self._ids) if id is None else id
        waiting = Waiting(number, request, now, expires_at, deferred=deferred)
        outbox.submit(self._state, self._device(endpoint), turn, waiting)
        return self._done(turn)

    def check(self, endpoint: str, request: Request) -> None:
        """Raise what ``submit`` would raise, change nothing."""
        checks.check(self._device(endpoint), request)

    def command(self, endpoint: str, name: str, changes: Mapping[str, object]) -> tuple[Order, ...]:
        """What it asks of a device to change attributes of its managed resource ``name``; changes nothing.

        Raises ``RequestError`` for what cannot be written (4.05) or does not fit (4.00), ``UnknownDevice``.
        """
        device, table = self._device(endpoint), self._state.table
        command = ManagedCommand(endpoint, table.kind(name), name, changes)
        requests = self._state.hooks.mgmt_command(command)
        if requests is not None:
            return tuple(map(Order, requests))
        return orders(table, command, device.view)

    def attributes(self, name: str) -> Mapping[str, bool]:
        """The attributes that mappings have for a managed resource, and whether they can be written."""
        return {attribute: one.is_writable for attribute, one in self._state.table.own(name).items()}

    def arrange(self, endpoint: str, arrangement: Arrangement | None, now: float) -> Step:
        """From now on this is to hold at the device in each of its registrations, ``None`` for nothing.

        Only what is different from before is asked of it, and as soon as it can hear. A restart forgets the
        arrangement, not how far the device is set up: told again, the rest is done. Raises ``UnknownDevice``.
        """
        turn = Turn(now)
        device = self._device(endpoint)
        setups.arrange(device, arrangement, turn)
        outbox.advance(self._state, device, turn)
        self._state.deadlines.watch(device)
        return self._done(turn)

    def arrangement(self, endpoint: str) -> Arrangement | None:
        """What is to hold at a device, as far as the engine has been told."""
        device = self._state.devices.get(endpoint)
        return device.arrangement if device is not None else None

    def cancel(self, endpoint: str, id: int, now: float) -> Step:
        """Take a queued message back; no event if it is gone already. Raises ``UnknownDevice``."""
        turn = Turn(now)
        outbox.cancel(self._state, self._device(endpoint), turn, id)
        return self._done(turn)

    # --- time ----------------------------------------------------------------------------------------

    def tick(self, now: float) -> Step:
        """Do what is due: expiry of registrations and messages, end of awake windows."""
        turn = Turn(now)
        for device in list(self._state.deadlines.due(now)):
            self._due(device, turn)
            self._state.deadlines.watch(device)
        return turn.step()

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do; ``None`` for never."""
        return self._state.deadlines.next()

    # --- what is known -------------------------------------------------------------------------------

    def add(self, endpoint: str) -> None:
        """Make a device known, so that it may register and messages can wait for it."""
        self._state.device(endpoint)

    def forget(self, endpoint: str, now: float) -> Step:
        """A device is removed: its registration and observations end, its messages are cancelled."""
        turn = Turn(now)
        device = self._state.devices.pop(endpoint, None)
        if device is not None:
            registration = device.registration
            registrations.end(self._state, device, turn)
            for waiting in tuple(device.outbox):
                outbox.cancel(self._state, device, turn, waiting.id)
            if registration is not None:
                turn.tell(Deregistered(endpoint, now, registration))
        return turn.step()

    def end(self, endpoint: str, now: float) -> Step:
        """What a registration rests on is no more, its credentials for instance. Messages go on waiting."""
        turn = Turn(now)
        device = self._state.devices.get(endpoint)
        if device is not None and device.registration is not None:
            registration = device.registration
            registrations.end(self._state, device, turn)
            turn.tell(Deregistered(endpoint, now, registration))
        return self._done(turn)

    def restore(self, records: Iterable[DeviceRecord], now: float, *, resume: bool = True) -> Step:
        """Replace all that is known of these devices by what a store kept.

        With ``resume=False`` (the store has just failed) nothing is sent until a device is heard
        again or ``settings.retry_after`` has passed.
        """
        turn = Turn(now)
        for record in records:
            restoration.restore(self._state, record, turn, resume=resume)
        return self._done(turn)

    def set_power_saving(self, endpoint: str, power: PowerSaving | None, now: float) -> Step:
        """From now on the device can hear when ``power`` says; ``None`` for what it registered with.

        Raises ``UnknownDevice``.
        """
        turn = Turn(now)
        device = self._device(endpoint)
        device.power = power
        presence.follow(self._state, device, turn)
        outbox.advance(self._state, device, turn)
        self._state.deadlines.watch(device)
        return self._done(turn)

    def power_saving(self, endpoint: str) -> PowerSaving | None:
        """What was set last; ``None`` also for a device that is not known."""
        device = self._state.devices.get(endpoint)
        return device.power if device is not None else None

    def set_awake_window(self, endpoint: str, seconds: float | None, now: float) -> Step:
        """How long this device listens after each contact; ``None`` for the setting.

        Raises ``UnknownDevice``.
        """
        power = self._device(endpoint).power or PowerSaving()
        return self.set_power_saving(endpoint, attrs.evolve(power, awake_window=seconds), now)

    def registration(self, endpoint: str) -> Registration | None:
        """The live registration of a device."""
        device = self._state.devices.get(endpoint)
        return device.registration if device is not None else None

    def presence(self, endpoint: str) -> presence.Presence:
        """Whether a device can be reached, and how much waits for it. Raises ``UnknownDevice``."""
        return presence.of(self._device(endpoint))

    def clients(
        self, endpoints: Iterable[str] | None = None, *, asleep: bool | None = None
    ) -> Iterator[Sequence[Client]]:
        """All that are registered, or those of some names; only those that are ``asleep``, or that are not.

        Some at a time, for a look at many: what happens in between does not matter.
        """
        return presence.clients(self._state.devices, endpoints, asleep)

    def has_waiting(self, endpoint: str) -> bool:
        """Whether messages wait for a device, or for its answer. Raises ``UnknownDevice``."""
        return bool(self._device(endpoint).outbox)

    def endpoints(self) -> tuple[str, ...]:
        """All devices, registered or not."""
        return tuple(self._state.devices)

    def models(self, endpoint: str) -> ModelView:
        """The models a device announced; the newest ones while it is not registered."""
        device = self._state.devices.get(endpoint)
        return device.view if device is not None else self._state.catalog

    def view(self, registration: Registration | None) -> ModelView:
        """The models that hold for a registration."""
        return self._state.view(registration)

    def observed(self, token: bytes) -> CoapRequest | None:
        """The request that began an observe relation, to fetch the rest of a block-wise notification."""
        device = self._state.by_token.get(token)
        observation = device.observations.get(token) if device is not None else None
        if device is None or observation is None:
            return None
        return outbox.request_of(self._state, device, observation)

    def observer(self, token: bytes) -> str | None:
        """The device an observe relation is with."""
        device = self._state.by_token.get(token)
        return device.endpoint if device is not None else None

    def swap(self, catalog: Catalog, table: MappingTable) -> None:
        """Use other models and mappings from the next input on."""
        self._state.swap(catalog, table)

    # --- inner ---------------------------------------------------------------------------------------

    def _done(self, turn: Turn, reply: CoapReply | None = None) -> Step:
        """Whatever moves a deadline nearer also tells an event."""
        state, last = self._state, None
        for event in turn.events:
            # Nearly always all are about one device.
            if event.endpoint is not last:
                last = event.endpoint
                device = state.devices.get(last)
                if device is not None:
                    state.deadlines.watch(device)
        return turn.step(reply)

    def _route(self, request: CoapRequest, peer: Peer, turn: Turn) -> CoapReply:
        state, path, code = self._state, request.path, request.code
        if path == ("rd",):
            if code == Code.POST:
                return registrations.register(state, turn, request, peer)
            raise RequestError(Code.METHOD_NOT_ALLOWED, "/rd takes POST")
        if path == ("dp",):
            if code == Code.POST:
                return observations.send(state, turn, request, peer)
            raise RequestError(Code.METHOD_NOT_ALLOWED, "/dp takes POST")
        if len(path) == 2 and path[0] == "rd":
            if code == Code.POST:
                return registrations.update(state, turn, request, peer, path[1])
            if code == Code.DELETE:
                return registrations.deregister(state, turn, peer, path[1])
            raise RequestError(Code.METHOD_NOT_ALLOWED, "/rd/{id} takes POST and DELETE")
        raise RequestError(Code.NOT_FOUND, "no such resource")

    def _due(self, device: Device, turn: Turn) -> None:
        now = turn.now
        if device.expires_at is not None and device.expires_at <= now:
            registrations.expire(self._state, device, turn)
        if device.exchange is not None and (device.exchange.expires_at or NEVER) <= now:
            turn.do(Abort(device.endpoint, device.exchange.id))
            answers.failed(self._state, device.exchange.id, "timeout", turn)
        if device.awake_until is not None and device.awake_until <= now and device.exchange is None:
            presence.sleep(device, turn)
            presence.listen_later(self._state, device, turn)
        if device.resume_at is not None and device.resume_at <= now:
            device.resume_at = None
            presence.listens(self._state, device, turn)
            outbox.advance(self._state, device, turn)
        outbox.expire(self._state, device, turn)

    def _device(self, endpoint: str) -> Device:
        device = self._state.devices.get(endpoint)
        if device is None:
            raise UnknownDevice(endpoint)
        return device
