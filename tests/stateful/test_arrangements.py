"""Setting up a device under any order of events: changes, refusals, sleep, lost answers, crashes.

The device is a small one that keeps what is written to it and observed of it. Whatever happened before, in
the end it has exactly what is wanted: the attributes, the observations, and those of the application.
"""

from __future__ import annotations

from itertools import count

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_engine import Catalog, Engine
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.engine import Abort, Arrangement, DeviceRecord, Group, Perform, Waiting
from lwm2m_engine.engine import events as facts
from lwm2m_engine.engine.arrangements import ARRANGED
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.requests import Cancel, CancelComposite, Observe, ObserveComposite, Read
from lwm2m_engine.paths import Path

CATALOG = Catalog.bundled()
PEER = Peer("10.0.0.1", 40000)
LINKS = b"</1/0>,</3/0>,</3303/0>"
BATTERY, VOLTAGE, HEAT, LOWEST = map(Path, ("/3/0/9", "/3/0/7", "/3303/0/5700", "/3303/0/5601"))


def single(*paths):
    return tuple(Group((path,)) for path in paths)


ARRANGEMENTS = (
    None,
    Arrangement(observations=single(BATTERY, HEAT)),
    Arrangement(
        attributes=((Path("/3"), (("pmin", "5"),)), (BATTERY, (("gt", "9"), ("pmax", "60")))),
        observations=single(BATTERY, VOLTAGE),
        reads=single(LOWEST),
    ),
    Arrangement(
        attributes=((BATTERY, (("pmax", "30"),)), (HEAT, (("st", "1"),))),
        observations=(Group((BATTERY, HEAT, LOWEST), True),),
        reads=single(Path("/3/0"), Path("/1/0")),
        reads_first=True,
    ),
    Arrangement(
        attributes=((Path("/3"), (("pmin", "6"),)),),
        observations=(Group((BATTERY, VOLTAGE), True), Group((HEAT, LOWEST), True)),
        reads=(Group((VOLTAGE, LOWEST), True),),
    ),
    Arrangement(reads=single(*(Path(f"/3/0/{number}") for number in range(1, 4)))),
)
TARGETS = (BATTERY, VOLTAGE, HEAT, LOWEST)


@attrs.define
class Client:
    """The device: what it keeps, and what it does not do."""

    attributes: dict = attrs.field(factory=dict)
    observed: dict = attrs.field(factory=dict)
    """Paths by token."""
    composites: bool = True
    refuses: frozenset = frozenset()
    """What it answers with 4.04."""
    is_busy: bool = False
    """It answers an Observe with 5.03."""

    def answer(self, effect):
        request = effect.request
        if request.code == Code.FETCH:
            return self.fetch(effect)
        path = Path("/" + "/".join(request.path))
        if path in self.refuses:
            return CoapReply(Code.NOT_FOUND)
        if request.code == Code.PUT:
            own = self.attributes.setdefault(path, {})
            for text in request.query:
                name, equals, value = text.partition("=")
                own.pop(name, None)
                if equals:
                    own[name] = value
            return CoapReply(Code.CHANGED)
        observe = None
        if request.observe == 1:
            self.observed.pop(effect.token, None)
        elif request.observe == 0:
            if self.is_busy:
                return CoapReply(Code.SERVICE_UNAVAILABLE)
            self.observed[effect.token] = (path,)
            observe = 1
        if len(path) < 3:
            return CoapReply(Code.CONTENT, b"", ContentFormat.TLV)
        return CoapReply(Code.CONTENT, b"7", ContentFormat.TEXT, observe=observe)

    def fetch(self, effect):
        request = effect.request
        if not self.composites:
            return CoapReply(Code.METHOD_NOT_ALLOWED)
        paths = tuple(Codecs().decode_paths(request.payload, request.content_format))
        if self.refuses.intersection(paths):
            return CoapReply(Code.NOT_FOUND)
        if request.observe == 1:
            self.observed.pop(effect.token, None)
        if request.observe == 0:
            if self.is_busy:
                return CoapReply(Code.SERVICE_UNAVAILABLE)
            self.observed[effect.token] = paths
        observe = 1 if request.observe == 0 else None
        return CoapReply(Code.CONTENT, b"\x80", ContentFormat.SENML_CBOR, observe=observe)

    def restart(self):
        self.attributes.clear()
        self.observed.clear()


@attrs.define
class Row:
    """The device as the store knows it."""

    registration: object = None
    liveness: object = None
    observations: dict = attrs.field(factory=dict)
    outbox: dict = attrs.field(factory=dict)
    ended: set = attrs.field(factory=set)


class ArrangementMachine(RuleBasedStateMachine):
    @initialize(sleeps=st.booleans(), version=st.sampled_from(["1.0", "1.1", "1.1"]), calm=st.booleans())
    def start(self, sleeps, version, calm):
        self.calm = calm
        """Nothing bad happens, so that what is wanted must be there without another registration."""
        self.now = 1_700_000_000.0
        self.ids, self.tokens = count(1), count(1)
        self.sleeps, self.version = sleeps, version
        self.client, self.row = Client(), Row()
        self.wire: list[Perform] = []
        self.wanted: Arrangement | None = None
        self.is_told = True
        self.plain = True
        """In this registration nothing was refused, lost, or cancelled by hand."""
        self.boot()
        self.register()

    def boot(self):
        self.engine = Engine(CATALOG, tokens=lambda: next(self.tokens).to_bytes(8, "big"))
        self.engine.add("dev")

    # --- the server around the engine --------------------------------------------------------------

    def take(self, step):
        for event in step.events:
            self.keep(event)
        for effect in step.effects:
            if isinstance(effect, Abort):
                self.wire = [one for one in self.wire if one.exchange != effect.exchange]
            else:
                self.wire.append(effect)
        assert len(self.wire) <= 1, "more than one exchange in flight"
        return step

    def keep(self, event):
        row = self.row
        match event:
            case facts.Registered() | facts.Updated():
                row.registration, row.liveness = event.registration, event.liveness
            case facts.RegistrationChanged():
                row.registration = event.registration
            case facts.Queued():
                row.outbox[event.message.id] = event.message
            case facts.Started():
                row.outbox[event.message] = attrs.evolve(row.outbox[event.message], in_flight=True)
            case facts.Held():
                row.outbox[event.message] = attrs.evolve(row.outbox[event.message], in_flight=False)
            case facts.Sent() | facts.Failed():
                row.outbox.pop(event.message, None)
                row.ended.add(event.message)
            case facts.Observed():
                row.observations[event.observation.token] = event.observation
            case facts.ObservationEnded():
                assert event.observation.token in row.observations
                if event.reason == "suspended":
                    row.observations[event.observation.token] = event.observation
                elif event.reason != "registration":
                    del row.observations[event.observation.token]

    def say(self, path, query="", payload=b""):
        request = CoapRequest(Code.POST, path, tuple(query.split("&")) if query else (), payload)
        return self.take(self.engine.receive(request, PEER, self.now)).reply

    def live(self):
        return {
            token: one
            for token, one in self.row.observations.items()
            if one.registration == self.row.registration.id
        }

    # --- rules -------------------------------------------------------------------------------------

    @rule()
    def register(self):
        """The device was switched off and on."""
        self.client.restart()
        cancels = any("cancel" in one.request.operation for one in self.row.outbox.values())
        client = self.client
        self.plain = client.composites and not (client.refuses or client.is_busy or cancels)
        queue_mode = "" if not self.sleeps else "&Q" if self.version != "1.0" else "&b=UQ"
        query = f"ep=dev&lt=6000&lwm2m={self.version}{queue_mode}"
        assert self.say(("rd",), query, LINKS).code == Code.CREATED

    @rule()
    def update(self):
        assert self.say(("rd", self.row.registration.id)).code == Code.CHANGED

    @rule(wanted=st.sampled_from(ARRANGEMENTS))
    def arrange(self, wanted):
        self.wanted, self.is_told = wanted, True
        self.take(self.engine.arrange("dev", wanted, self.now))

    @precondition(lambda self: self.wire)
    @rule()
    def answer(self):
        effect = self.wire.pop()
        reply = self.client.answer(effect)
        self.take(self.engine.answered(effect.exchange, reply, self.now))

    @precondition(lambda self: self.wire and not self.calm)
    @rule(reason=st.sampled_from(["timeout", "reset"]), arrived=st.booleans())
    def lose(self, reason, arrived):
        """The request or the answer is lost."""
        self.plain = False
        effect = self.wire.pop()
        if arrived and reason == "timeout":
            self.client.answer(effect)
        self.take(self.engine.failed(effect.exchange, reason, self.now))

    @precondition(lambda self: not self.calm)
    @rule(
        composites=st.booleans(),
        refuses=st.frozensets(st.sampled_from(TARGETS), max_size=1),
        is_busy=st.booleans(),
    )
    def another_mood(self, composites, refuses, is_busy):
        self.client.composites, self.client.refuses, self.client.is_busy = composites, refuses, is_busy
        if not composites or refuses or is_busy:
            self.plain = False

    @rule(
        request=st.sampled_from(
            [
                Read(BATTERY),
                Observe(BATTERY),
                Observe(LOWEST),
                Cancel(BATTERY),
                Cancel(BATTERY, passive=True),
                ObserveComposite((BATTERY, HEAT, LOWEST)),
                CancelComposite((BATTERY, HEAT, LOWEST)),
            ]
        )
    )
    def submit(self, request):
        if self.version == "1.0" and isinstance(request, (ObserveComposite, CancelComposite)):
            return
        if isinstance(request, (Cancel, CancelComposite)):
            if self.calm:
                return
            self.plain = False
        self.take(self.engine.submit("dev", request, self.now, id=next(self.ids)))

    @precondition(lambda self: self.client.observed and not self.calm)
    @rule(code=st.sampled_from([Code.CONTENT, Code.SERVICE_UNAVAILABLE, Code.NOT_FOUND]))
    def notify(self, code):
        token = next(iter(self.client.observed))
        if code != Code.CONTENT:
            del self.client.observed[token]
            self.plain = self.plain and code != Code.NOT_FOUND
        observe = 2 if code == Code.CONTENT else None
        step = self.engine.notified(token, CoapReply(code, b"", observe=observe), PEER, self.now)
        if step is None:
            self.client.observed.pop(token, None)
        else:
            self.take(step)

    @precondition(lambda self: not self.calm)
    @rule(seconds=st.sampled_from([1, 50, 94]))
    def wait(self, seconds):
        end = self.now + seconds
        while (due := self.engine.next_deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            for effect in self.wire:
                if effect.request.code == Code.FETCH:
                    self.plain = False
            self.take(self.engine.tick(self.now))
        self.now = end

    @precondition(lambda self: not self.calm)
    @rule()
    def crash(self):
        """What is to hold is told by whoever knows, some time after a restart."""
        self.wire.clear()
        self.boot()
        self.plain = False
        self.is_told = False
        self.take(self.engine.restore([self.record()], self.now))

    @precondition(lambda self: not self.is_told)
    @rule()
    def tell(self):
        self.arrange(self.wanted)

    @precondition(lambda self: not self.calm)
    @rule()
    def put_back(self):
        """A commit failed: the device is what the store says, and rests."""
        self.plain = False
        self.take(self.engine.restore([self.record()], self.now, resume=False))

    def record(self):
        row = self.row
        outbox = tuple(
            Waiting(one.id, one.request, one.queued_at, one.expires_at, one.in_flight)
            for one in row.outbox.values()
        )
        observations = tuple(row.observations.values())
        return DeviceRecord("dev", row.registration, row.liveness, observations, outbox)

    # --- what is true ------------------------------------------------------------------------------

    @invariant()
    def the_engine_agrees_with_the_store(self):
        if hasattr(self, "row") and self.row.registration is not None:
            assert self.engine.registration("dev") == self.row.registration
            places = [one.place for one in self.live().values()]
            assert len(places) == len(set(places)), "two relations for the same paths"

    def settle(self):
        """The device does all that it is asked, and comes back now and then."""
        self.client.composites, self.client.refuses, self.client.is_busy = True, frozenset(), False
        for _ in range(4):
            self.wait(6)
            self.update()
            asked = 0
            while self.wire:
                self.answer()
                asked += 1
                assert asked < 60, "it never ends"

    def check(self):
        wanted = self.wanted if self.wanted is not None else Arrangement()
        live = self.live()
        assert self.client.observed == {token: one.paths for token, one in live.items()}
        mine = {place for group in wanted.observations for place in self.places(group)}
        there = {(one.paths, one.composite): one.origin for one in live.values()}
        assert mine <= there.keys()
        assert {place for place, origin in there.items() if origin == ARRANGED} <= mine
        has = {path: own for path, own in self.client.attributes.items() if own}
        assert has == {path: dict(own) for path, own in wanted.attributes}
        assert not self.row.outbox, "a message is left"

    def places(self, group):
        if group.composite and self.version == "1.0":
            return [((path,), False) for path in group.paths]
        return [(group.paths, group.composite)]

    def teardown(self):
        if not hasattr(self, "row"):
            return
        if not self.is_told:
            self.tell()
        plain = self.plain
        self.settle()
        if plain:
            self.check()
        self.register()
        self.settle()
        self.check()
        assert self.row.registration.arranged.complete == (self.wanted is not None)
        self.crash()
        self.tell()
        assert not self.wire, "what is done is not done again"


ArrangementMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestArrangements = ArrangementMachine.TestCase
