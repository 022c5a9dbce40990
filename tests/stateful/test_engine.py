"""The engine under any order of events, with a hand-cranked clock and crashes at any point.

The model is what a store would have kept: it is built from events only, and a crash means a new
engine restored from it. So every fact the engine needs later must be in an event.
"""

from __future__ import annotations

from itertools import count

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_engine import Catalog, Engine
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, is_success
from lwm2m_engine.engine import Abort, DeviceRecord, Perform, PowerSaving, Waiting
from lwm2m_engine.engine import events as facts
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Execute,
    Observe,
    ObserveComposite,
    Read,
    ReadAll,
)
from lwm2m_engine.paths import Path

CATALOG = Catalog.bundled()
ENDPOINTS = ("plain", "sleepy")
endpoints = st.sampled_from(ENDPOINTS)


@attrs.define
class Row:
    """A device as the store knows it."""

    registration: object = None
    liveness: object = None
    awake: bool | None = None
    observations: dict = attrs.field(factory=dict)
    outbox: dict = attrs.field(factory=dict)
    ended: dict = attrs.field(factory=dict)
    power: PowerSaving | None = None

    @property
    def sleeps(self):
        registration = self.registration
        return registration is not None and (
            registration.queue_mode or (self.power is not None and self.power.sleeps)
        )

    def remember_presence(self, now):
        """Presence is not stored: it follows from when the device was last heard."""
        window = self.power.awake_window if self.power is not None else None
        if self.sleeps:
            self.awake = self.liveness.seen_at + (93.0 if window is None else window) > now
        else:
            self.awake = None


class EngineMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.now = 1_700_000_000.0
        self.ids = count(1)
        self.tokens = count(1)
        self.rows = {endpoint: Row() for endpoint in ENDPOINTS}
        self.wire: dict[int, Perform] = {}
        self.boot()

    def boot(self):
        self.engine = Engine(CATALOG, tokens=lambda: next(self.tokens).to_bytes(8, "big"))
        for endpoint in ENDPOINTS:
            self.engine.add(endpoint)

    # --- what the server around the engine does ---------------------------------------------------

    def take(self, step):
        if step is None:
            return None
        for event in step.events:
            self.keep(event)
        for effect in step.effects:
            if isinstance(effect, Abort):
                self.wire.pop(effect.exchange, None)
                continue
            row = self.rows[effect.endpoint]
            assert row.registration is not None, "a request to a device that is not registered"
            assert not row.sleeps or row.awake, "a request to a sleeper"
            assert effect.peer == row.liveness.peer
            self.wire[effect.exchange] = effect
        return step

    def keep(self, event):
        row = self.rows[event.endpoint]
        match event:
            case facts.Registered():
                row.registration, row.liveness = event.registration, event.liveness
            case facts.Updated():
                row.registration, row.liveness = event.registration, event.liveness
            case facts.RegistrationChanged():
                row.registration = event.registration
            case facts.Deregistered() | facts.Expired():
                assert row.registration.id == event.registration.id
                row.registration = row.liveness = row.awake = None
            case facts.Awake():
                assert not row.awake, "awake twice"
                row.awake = True
            case facts.Asleep():
                assert row.awake, "asleep twice"
                row.awake = False
            case facts.Queued():
                row.outbox[event.message.id] = event.message
            case facts.Started():
                waiting = row.outbox[event.message]
                assert event.message == next(iter(row.outbox)), "out of order"
                row.outbox[event.message] = attrs.evolve(waiting, in_flight=True)
            case facts.Held():
                row.outbox[event.message] = attrs.evolve(row.outbox[event.message], in_flight=False)
            case facts.Sent():
                assert event.message not in row.ended, "sent twice"
                row.ended[event.message] = "sent"
                del row.outbox[event.message]
            case facts.Failed():
                assert row.ended.get(event.message) in (None, "sent"), "failed twice"
                row.ended[event.message] = event.reason
                row.outbox.pop(event.message, None)
            case facts.Observed():
                row.observations[event.observation.token] = event.observation
            case facts.ObservationEnded():
                # What ends with its registration is wanted still, and asked for again.
                assert event.observation.token in row.observations
                if event.reason == "suspended":
                    row.observations[event.observation.token] = event.observation
                elif event.reason != "registration":
                    del row.observations[event.observation.token]

    def say(self, endpoint, code, path, query="", payload=b""):
        peer = Peer("10.0.0.1", 40000 + ENDPOINTS.index(endpoint))
        request = CoapRequest(code, path, tuple(query.split("&")) if query else (), payload)
        return self.take(self.engine.receive(request, peer, self.now)).reply

    # --- devices ----------------------------------------------------------------------------------

    @rule(endpoint=endpoints, lifetime=st.sampled_from([60, 600]))
    def register(self, endpoint, lifetime):
        flag = "&Q" if endpoint == "sleepy" else ""
        query = f"ep={endpoint}&lt={lifetime}&lwm2m=1.1{flag}"
        reply = self.say(endpoint, Code.POST, ("rd",), query, b"</1/0>,</3/0>")
        assert reply.code == Code.CREATED

    @rule(endpoint=endpoints, links=st.sampled_from([b"", b"", b"</3/0>", b"</1/0>,</3/0>"]))
    def update(self, endpoint, links):
        registration = self.rows[endpoint].registration
        id = registration.id if registration is not None else "gone"
        reply = self.say(endpoint, Code.POST, ("rd", id), payload=links)
        assert reply.code == (Code.CHANGED if registration is not None else Code.NOT_FOUND)

    @rule(endpoint=endpoints)
    def deregister(self, endpoint):
        registration = self.rows[endpoint].registration
        if registration is not None:
            assert self.say(endpoint, Code.DELETE, ("rd", registration.id)).code == Code.DELETED

    @precondition(lambda self: self.wire)
    @rule(code=st.sampled_from([Code.CONTENT, Code.CHANGED, Code.NOT_FOUND, Code.NOT_ACCEPTABLE]))
    def answer(self, code):
        exchange, effect = self.wire.popitem()
        observe = effect.request.observe if is_success(code) and effect.request.observe == 0 else None
        reply = CoapReply(code, b"", ContentFormat.TLV, observe=observe)
        self.take(self.engine.answered(exchange, reply, self.now))

    @precondition(lambda self: self.wire)
    @rule()
    def acknowledge(self):
        self.take(self.engine.acknowledged(next(iter(self.wire)), self.now))

    @precondition(lambda self: self.wire)
    @rule(reason=st.sampled_from(["timeout", "unreachable", "reset", "undecodable"]))
    def lose(self, reason):
        exchange, _ = self.wire.popitem()
        self.take(self.engine.failed(exchange, reason, self.now))

    def live(self):
        """Token and row of every relation that is alive by what the store knows."""
        return [
            (token, row)
            for row in self.rows.values()
            for token, one in row.observations.items()
            if row.registration is not None and one.registration == row.registration.id
        ]

    @precondition(lambda self: self.live())
    @rule(
        number=st.integers(1, 2**24 - 1),
        value=st.sampled_from([b"72", b"not a number"]),
        code=st.sampled_from([Code.CONTENT, Code.CONTENT, Code.NOT_FOUND, Code.SERVICE_UNAVAILABLE]),
    )
    def notify(self, number, value, code):
        token, row = self.live()[0]
        reply = CoapReply(code, value, ContentFormat.TEXT, observe=number if is_success(code) else None)
        step = self.engine.notified(token, reply, row.liveness.peer, self.now)
        assert step is not None, "a relation the store holds is unknown"
        self.take(step)
        assert is_success(code) == any(token == known for known, _ in self.live())

    # --- applications -----------------------------------------------------------------------------

    @rule(
        endpoint=endpoints,
        request=st.sampled_from(
            [
                Read(Path("/3/0/9")),
                Read(Path("/1/0")),
                Execute(Path("/3/0/4")),
                Observe(Path("/3/0/9")),
                Cancel(Path("/3/0/9")),
                Cancel(Path("/3/0/9"), passive=True),
                ObserveComposite((Path("/3/0/9"), Path("/1/0/1"))),
                CancelComposite((Path("/3/0/9"), Path("/1/0/1"))),
                ReadAll(),
            ]
        ),
        ttl=st.sampled_from([None, 30, 300]),
    )
    def submit(self, endpoint, request, ttl):
        expires = None if ttl is None else self.now + ttl
        try:
            step = self.engine.submit(endpoint, request, self.now, id=next(self.ids), expires_at=expires)
        except RequestError:
            assert 1 not in self.rows[endpoint].registration.objects
        else:
            self.take(step)

    @rule(endpoint=endpoints, data=st.data())
    def cancel(self, endpoint, data):
        known = sorted({*self.rows[endpoint].outbox, *self.rows[endpoint].ended})
        if known:
            id = data.draw(st.sampled_from(known))
            self.take(self.engine.cancel(endpoint, id, self.now))
            assert id not in self.rows[endpoint].outbox

    @rule(
        endpoint=endpoints,
        power=st.sampled_from(
            [
                None,
                PowerSaving(awake_window=20.0),
                PowerSaving(awake_window=20.0, psm=True),
                PowerSaving(awake_window=20.0, psm=True, tau=80.0),
                PowerSaving(edrx_cycle=80.0, paging_window=5.0),
            ]
        ),
    )
    def save_power(self, endpoint, power):
        row = self.rows[endpoint]
        row.power = power
        self.take(self.engine.set_power_saving(endpoint, power, self.now))
        if not row.sleeps:
            row.awake = None

    # --- time and disaster ------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 50, 94, 700]))
    def wait(self, seconds):
        end = self.now + seconds
        while (due := self.engine.next_deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            self.take(self.engine.tick(self.now))
        self.now = end

    @rule()
    def crash(self):
        """The process dies; a new one starts from what was kept."""
        self.wire.clear()
        self.boot()
        for row in self.rows.values():
            row.remember_presence(self.now)
        self.take(self.engine.restore([self.record(name) for name in ENDPOINTS], self.now))

    @rule(endpoint=endpoints)
    def put_back(self, endpoint):
        """A commit failed: the device is what the store says, and rests."""
        row = self.rows[endpoint]
        row.remember_presence(self.now)
        self.take(self.engine.restore([self.record(endpoint)], self.now, resume=False))

    def record(self, endpoint):
        row = self.rows[endpoint]
        outbox = tuple(
            Waiting(one.id, one.request, one.queued_at, one.expires_at, one.in_flight)
            for one in row.outbox.values()
        )
        return DeviceRecord(
            endpoint,
            row.registration,
            row.liveness,
            tuple(row.observations.values()),
            outbox,
            power=row.power,
        )

    # --- always true ------------------------------------------------------------------------------

    @invariant()
    def one_exchange_in_flight_per_device(self):
        if hasattr(self, "wire"):
            busy = [effect.endpoint for effect in self.wire.values()]
            assert len(busy) == len(set(busy))

    @invariant()
    def the_engine_agrees_with_the_store(self):
        for endpoint, row in getattr(self, "rows", {}).items():
            assert self.engine.registration(endpoint) == row.registration
            presence = self.engine.presence(endpoint)
            assert presence.waiting == len(row.outbox)
            if row.sleeps:
                assert presence.awake == row.awake

    @invariant()
    def what_is_observed_was_wanted(self):
        """Nothing an application observed is lost, and nothing is observed that was cancelled."""
        for row in getattr(self, "rows", {}).values():
            places = [one.place for one in row.observations.values()]
            assert len(places) == len(set(places)), "two relations for the same paths"
            for token, one in row.observations.items():
                alive = row.registration is not None and one.registration == row.registration.id
                assert not alive or self.engine.observed(token) is not None

    def teardown(self):
        """Whatever waits is delivered once its device is there and answers."""
        if not hasattr(self, "rows"):
            return
        for endpoint in ENDPOINTS:
            self.register(endpoint, 600)
        while self.wire:
            self.answer(Code.CHANGED)
        assert not any(row.outbox for row in self.rows.values())


EngineMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestEngine = EngineMachine.TestCase
