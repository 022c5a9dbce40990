"""Bootstrap sessions under any order of events, with a hand-cranked clock."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_engine import Catalog
from lwm2m_engine.bootstrap import Bootstrap, BootstrapSettings
from lwm2m_engine.bootstrap import events as facts
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.effects import Abort, Perform
from lwm2m_engine.errors import RequestError

CATALOG = Catalog.bundled()
WRITE = {
    "/0/0": {"0": "coap://bs.example.com", "1": True, "2": 3},
    "/0/1": {"0": "coap://dm.example.com", "1": False, "2": 3, "10": 1},
    "/1/0": {"0": 1, "1": 300, "6": True, "7": "U"},
}
DOCUMENTS = {
    "plain": {"noSec": True, "write": WRITE},
    "stern": {"noSec": True, "write": WRITE, "onFailure": "stop", "discover": []},
    "patient": {"noSec": True, "write": WRITE, "retries": 2, "read": ["/1"], "delete": ["/1", "/2"]},
    "secure": {"write": WRITE},
}
TIMEOUT = 120.0
endpoints = st.sampled_from([*DOCUMENTS, "unknown", ""])
replies = st.sampled_from(
    [
        *[CoapReply(Code.CHANGED)] * 6,
        CoapReply(Code.CONTENT, b"</>;lwm2m=1.1,</0/0>,</0/4>;ssid=1,</1/0>;ssid=1", 40),
        CoapReply(Code.CONTENT, b"\xff\xff", 112),
        CoapReply(Code.NOT_FOUND),
        CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT),
        CoapReply(Code.NOT_ACCEPTABLE),
        CoapReply(Code.SERVICE_UNAVAILABLE, b"later"),
    ]
)


class BootstrapMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.now = 1_700_000_000.0
        self.bootstrap = Bootstrap(self, CATALOG, settings=BootstrapSettings(TIMEOUT, 2.0, max_sessions=3))
        self.wire: dict[int, Perform] = {}
        self.open: dict[int, str] = {}
        """Sessions that have begun and are not over: id -> endpoint."""
        self.began: dict[int, float] = {}

    def config(self, request, peer):
        if request.endpoint not in DOCUMENTS:
            raise RequestError(Code.BAD_REQUEST, "nobody")
        return config_of(DOCUMENTS[request.endpoint], request.endpoint, lambda name: b"k" * 16, CATALOG)

    def take(self, step):
        for event in step.events:
            if isinstance(event, facts.Began):
                assert event.endpoint not in self.open.values()
                self.open[event.session] = event.endpoint
                self.began[event.session] = self.now
            elif isinstance(event, (facts.Finished, facts.Failed)):
                del self.open[event.session]
            elif isinstance(event, (facts.Asked, facts.Replied, facts.Unanswered)):
                assert self.open[event.session] == event.endpoint
        for effect in step.effects:
            if isinstance(effect, Abort):
                del self.wire[effect.exchange]
            else:
                assert effect.exchange not in self.wire
                self.wire[effect.exchange] = effect
        return step.reply

    @rule(
        endpoint=endpoints,
        port=st.integers(1, 3),
        identity=st.sampled_from([None, "plain", "secure"]),
        pct=st.sampled_from([None, 110, 112, 11542, 11544, 60]),
        pack=st.booleans(),
    )
    def ask(self, endpoint, port, identity, pct, pack):
        query = tuple(f"{name}={value}" for name, value in (("ep", endpoint), ("pct", pct)) if value)
        peer = Peer("10.0.0.1", port, "coap-bs", identity)
        code, path = (Code.GET, "bspack") if pack else (Code.POST, "bs")
        before = set(self.open)
        reply = self.take(self.bootstrap.receive(CoapRequest(code, (path,), query), peer, self.now))
        assert (reply.code == Code.CHANGED) == (set(self.open) - before != set())
        name = endpoint or identity
        if identity not in (None, name) or name not in DOCUMENTS or (name == "secure" and not identity):
            assert reply.code in (Code.BAD_REQUEST, Code.UNSUPPORTED_CONTENT_FORMAT)

    @precondition(lambda self: self.wire)
    @rule(data=st.data(), reply=replies)
    def answer(self, data, reply):
        exchange = data.draw(st.sampled_from(sorted(self.wire)))
        del self.wire[exchange]
        self.take(self.bootstrap.answered(exchange, reply, self.now))
        assert self.bootstrap.answered(exchange, reply, self.now).effects == ()

    @precondition(lambda self: self.wire)
    @rule(data=st.data(), reason=st.sampled_from(["timeout", "reset", "unreachable", "undecodable"]))
    def fail(self, data, reason):
        exchange = data.draw(st.sampled_from(sorted(self.wire)))
        del self.wire[exchange]
        self.take(self.bootstrap.failed(exchange, reason, self.now))

    @rule(endpoint=endpoints)
    def withdraw(self, endpoint):
        self.take(self.bootstrap.withdraw(endpoint, self.now))
        assert endpoint not in self.open.values()

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.0, 30.0, TIMEOUT]))
    def wait(self, seconds):
        self.now += seconds
        self.take(self.bootstrap.tick(self.now))
        due = self.bootstrap.next_deadline()
        assert due is None or due > self.now

    @invariant()
    def one_request_a_session(self):
        if hasattr(self, "wire"):
            asked = [effect.endpoint for effect in self.wire.values()]
            assert len(asked) == len(set(asked))
            assert set(asked) <= set(self.open.values())

    @invariant()
    def every_session_ends(self):
        if hasattr(self, "open"):
            assert self.bootstrap.under_way == len(self.open) <= 3
            due = self.bootstrap.next_deadline()
            assert (due is not None) == bool(self.open)
            for session in self.open:
                assert due <= self.began[session] + TIMEOUT

    @invariant()
    def who_is_not_asked_is_asked_later(self):
        if hasattr(self, "open"):
            asked = {effect.endpoint for effect in self.wire.values()}
            if set(self.open.values()) - asked:
                assert self.bootstrap.next_deadline() <= self.now + 2


BootstrapMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestBootstrap = BootstrapMachine.TestCase
