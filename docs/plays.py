"""What is played: a bootstrap, a registration, and servers that may not do everything.

The servers are the library's, the devices simulated ones; between them are values instead of datagrams.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
from sequences import CATALOG, Said, reply_said, request_said

from lwm2m_engine import Engine
from lwm2m_engine import Path as LwM2MPath
from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.effects import Perform
from lwm2m_engine.engine import Step
from lwm2m_engine.engine.events import Asleep, Received
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import format_links
from lwm2m_engine.messages import parse
from lwm2m_engine.messages.bootstrap import BootstrapRequest
from lwm2m_engine.values import ResourceType, Value
from lwm2m_server.onem2m import content
from lwm2m_server.onem2m.rights import explain
from lwm2m_server.simulator.bootstrapping import BootstrapClient
from lwm2m_server.simulator.objects import device_object, server_object
from lwm2m_server.simulator.service import Service
from lwm2m_server.simulator.tree import Resource, SimulatedObject, Tree

ENDPOINT = "meter-1"
DEVICE, BOOTSTRAP, SERVER, APPLICATION = "device", "bootstrap server", "LwM2M server", "application"
NOW = 1_700_000_000.0
ADDRESS = Peer("192.0.2.7", 49153, "coap")
SILENCE = 94.0
"""Seconds; a device in queue mode is taken for asleep by then."""
TEMPERATURE = LwM2MPath("/3303/0/5700")

# --- bootstrap ---------------------------------------------------------------------------------------

BOOTSTRAP_CONFIG: Mapping[str, Any] = {
    "noSec": True,
    "delete": ["/1"],
    "write": {
        "/0/1": {"0": "coap://lwm2m.example.com:5683", "1": False, "2": 3, "10": 123},
        "/1/0": {"0": 123, "1": 300, "2": 1, "6": True, "7": "U"},
    },
}


@attrs.frozen
class Configs:
    document: Mapping[str, Any]

    def config(self, request: BootstrapRequest, peer: Peer) -> BootstrapConfig:
        return config_of(self.document, request.endpoint, lambda name: b"", CATALOG)


def bootstrap() -> Iterator[Said]:
    """From the Bootstrap-Request to the registration, with what the device was given."""
    client = _factory_new()
    yield from _provision(client, BOOTSTRAP_CONFIG)
    account = next(client.accounts())
    query = ("lwm2m=1.1", f"ep={ENDPOINT}", f"lt={account.lifetime}", f"b={account.binding}")
    request = CoapRequest(Code.POST, ("rd",), query, b"</1/0>,</3/0>", ContentFormat.LINK_FORMAT)
    yield request_said(DEVICE, SERVER, request)
    yield reply_said(SERVER, DEVICE, _engine().receive(request, ADDRESS, NOW).reply)


def _factory_new() -> BootstrapClient:
    return BootstrapClient(ENDPOINT, ("bs.example.com", 5687), CATALOG.types)


def _provision(client: BootstrapClient, document: Mapping[str, Any]) -> Iterator[Said]:
    server = Bootstrap(Configs(document), CATALOG)
    begin = CoapRequest(Code.POST, ("bs",), (f"ep={ENDPOINT}", "pct=112"))
    step = server.receive(begin, Peer("192.0.2.7", 49152, "coap-bs"), NOW)
    yield request_said(DEVICE, BOOTSTRAP, begin)
    yield reply_said(BOOTSTRAP, DEVICE, step.reply)
    while step.effects:
        (effect,) = step.effects
        assert isinstance(effect, Perform)
        reply = client.serve(effect.request, b"")
        yield request_said(BOOTSTRAP, DEVICE, effect.request)
        yield reply_said(DEVICE, BOOTSTRAP, reply)
        step = server.answered(effect.exchange, reply, NOW)


def _engine() -> Engine:
    return Engine(CATALOG, tokens=lambda: bytes(range(8)))


# --- a server and a device ---------------------------------------------------------------------------


@attrs.define
class Talk:
    """A server, a device that answers with ``serve``, and an application."""

    serve: Callable[[CoapRequest], CoapReply]
    server: str = SERVER
    now: float = NOW
    engine: Engine = attrs.field(factory=_engine)
    observed: Perform | None = None

    def says(self, request: CoapRequest) -> Iterator[Said]:
        """The device, unasked."""
        step = self.engine.receive(request, ADDRESS, self.now)
        yield request_said(DEVICE, self.server, request)
        yield reply_said(self.server, DEVICE, step.reply)
        yield from self._follow(step)

    def notifies(self, sequence: int) -> Iterator[Said]:
        """What is observed has another value."""
        assert self.observed is not None
        assert self.observed.token is not None
        request = self.observed.request
        reply = attrs.evolve(self.serve(request), observe=sequence)
        yield reply_said(DEVICE, self.server, reply, "/".join(request.path))
        step = self.engine.notified(self.observed.token, reply, ADDRESS, self.now)
        assert step is not None
        yield from self._follow(step)

    def asks(self, line: str) -> Iterator[Said]:
        """The application."""
        yield Said(APPLICATION, self.server, f"outgoing-msg: {line}")
        yield from self._follow(self.engine.submit(ENDPOINT, parse(line, CATALOG), self.now))

    def waits(self, seconds: float) -> Iterator[Said]:
        self.now += seconds
        yield from self._follow(self.engine.tick(self.now))

    def _follow(self, step: Step) -> Iterator[Said]:
        for event in step.events:
            if isinstance(event, Received):
                yield self._told(event)
            elif isinstance(event, Asleep):
                yield Said(self.server, self.server, "nothing heard for 93 s: asleep")
        for effect in step.effects:
            if isinstance(effect, Perform):
                yield from self._perform(effect)

    def _perform(self, effect: Perform) -> Iterator[Said]:
        reply = self.serve(effect.request)
        if effect.token is not None:
            self.observed = effect
            reply = attrs.evolve(reply, observe=0)
        yield request_said(self.server, DEVICE, effect.request)
        yield reply_said(DEVICE, self.server, reply, "/".join(effect.request.path))
        yield from self._follow(self.engine.answered(effect.exchange, reply, self.now))

    def _told(self, event: Received) -> Said:
        """As applications find it in oneM2M."""
        if event.code == Code.UNAUTHORIZED:
            detail = explain(event.operation, event.path)
            body = content.failed(event, ENDPOINT, str(event.message), reason="unauthorized", detail=detail)
            return Said(self.server, APPLICATION, "error-msg", _lines(body))
        body = content.received(event, ENDPOINT, CATALOG, None, extras=False)
        return Said(self.server, APPLICATION, "received-msg", _lines(body))


def _lines(body: str) -> tuple[str, ...]:
    return tuple(textwrap.wrap(json.dumps(json.loads(body)), 76, break_on_hyphens=False))


def _registers(tree: Tree, *query: str) -> CoapRequest:
    links = format_links(tree.links()).encode()
    return CoapRequest(
        Code.POST,
        ("rd",),
        ("lwm2m=1.1", f"ep={ENDPOINT}", "lt=300", "b=U", *query),
        links,
        ContentFormat.LINK_FORMAT,
    )


# --- registration ------------------------------------------------------------------------------------


def registration() -> Iterator[Said]:
    """From Register to De-register, of a device that sleeps in between."""
    tree = Tree([server_object(300, "U", 123), device_object(), thermometer()])
    talk = Talk(Service(tree, "1.1", lambda paths: None).answer)
    yield from talk.says(_registers(tree, "Q"))
    registered = talk.engine.registration(ENDPOINT)
    assert registered is not None
    location = ("rd", registered.id)
    yield from talk.asks(f"OBSERVE {TEMPERATURE}")
    tree.resource(TEMPERATURE).content = 23.0
    yield from talk.notifies(1)
    yield from talk.waits(SILENCE)
    yield from talk.asks("GET /3/0/9")
    yield Said(SERVER, SERVER, "the message waits")
    yield from talk.says(CoapRequest(Code.POST, location))
    yield from talk.says(CoapRequest(Code.DELETE, location))


def thermometer(*degrees: float) -> SimulatedObject:
    """Temperature (3303), an Instance for each value."""
    instances = {
        number: {
            5700: Resource(ResourceType.FLOAT, value),
            5701: Resource(ResourceType.STRING, "Cel"),
        }
        for number, value in enumerate(degrees or (21.5,))
    }
    return SimulatedObject(3303, instances, CATALOG[3303].version)


# --- access control ----------------------------------------------------------------------------------

OWNER, GUEST = 123, 124
OWNING, VISITING = f"{SERVER} {OWNER}", f"{SERVER} {GUEST}"
READ, WRITE, EXECUTE = 1, 2, 4
ALL = 31
ACCESS_CONFIG: Mapping[str, Any] = {
    "noSec": True,
    "discover": [],
    "delete": ["/1", "/2"],
    "write": {
        "/0/1": {"0": "coap://lwm2m.example.com:5683", "1": False, "2": 3, "10": OWNER},
        "/0/2": {"0": "coap://metering.example.com:5683", "1": False, "2": 3, "10": GUEST},
        "/1/0": {"0": OWNER, "1": 300, "6": True, "7": "U"},
        "/1/1": {"0": GUEST, "1": 300, "6": True, "7": "U"},
        "/2/0": {"0": 1, "1": 0, "3": OWNER},
        "/2/1": {"0": 1, "1": 1, "3": GUEST},
        "/2/2": {"0": 3, "1": 0, "2": {str(GUEST): READ}, "3": OWNER},
        "/2/3": {"0": 3303, "1": 0, "2": {"0": READ}, "3": OWNER},
    },
}


def access_control() -> Iterator[Said]:
    """What of a bootstrap is about access, then two servers that ask for the same."""
    client = _factory_new()
    messages = _provision(client, ACCESS_CONFIG)
    for request, reply in zip(messages, messages, strict=True):
        if request.line.startswith("PUT /2/"):
            yield from (request, reply)
    tree = Tree([device_object(), thermometer()])
    service = Service(tree, "1.1", lambda paths: None)
    for name, short_id, lines in (
        (VISITING, GUEST, ("GET /3/0/9", "POST /3/0/4")),
        (OWNING, OWNER, ("POST /3/0/4",)),
    ):
        talk = Talk(Guard(client.values, short_id, service).answer, name)
        for _ in talk.says(_registers(tree)):
            pass
        for line in lines:
            yield from talk.asks(line)


@attrs.frozen
class Guard:
    """A device that looks into its Access Control Object before it answers (LwM2M Core 1.2, 8.2)."""

    values: Mapping[LwM2MPath, Value]
    server: int
    service: Service

    def answer(self, request: CoapRequest) -> CoapReply:
        needed = {Code.GET: READ, Code.PUT: WRITE, Code.POST: EXECUTE}[Code(request.code)]
        if not self._rights(LwM2MPath("/".join(request.path[:2]))) & needed:
            return CoapReply(Code.UNAUTHORIZED)
        return self.service.answer(request)

    def _rights(self, instance: LwM2MPath) -> int:
        for controlled, owner, rights in access_controls(self.values):
            if controlled == instance:
                everything = ALL if owner == self.server else rights.get(0, 0)
                return rights.get(self.server, everything)
        return 0


def access_controls(
    values: Mapping[LwM2MPath, Value],
) -> Iterator[tuple[LwM2MPath, int, Mapping[int, int]]]:
    """Of each Access Control Instance: what it controls, who owns it, rights by Short Server ID."""
    for place in sorted({LwM2MPath(path[:2]) for path in values if path[0] == 2}):
        controlled = LwM2MPath((int(str(values[place / 0])), int(str(values[place / 1]))))
        rights = {path[3]: int(str(value)) for path, value in values.items() if path.startswith(place / 2)}
        yield controlled, int(str(values[place / 3])), rights


def provisioned() -> Mapping[LwM2MPath, Value]:
    """What the device has after that bootstrap."""
    client = _factory_new()
    messages = list(_provision(client, ACCESS_CONFIG))
    assert messages[-1].line.startswith("2.04")
    return client.values
