"""A hand-cranked world around the engine: time is a number, the network a list of requests."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from lwm2m_engine import Catalog, Engine, EngineSettings, Entry, Path, encode
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import Abort, Hooks, Perform, Step
from lwm2m_engine.engine.events import Event
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages import parse
from lwm2m_engine.messages.requests import Request

LINKS = b"</1/0>,</3/0>,</6/0>,</3303/0>"


@pytest.fixture
def bounded_work() -> Iterator[None]:
    """The test may use 10 s of this process's CPU: some 50 times what it needs, and a small part of what
    work that grows with the square of its input would take. No other load on the machine counts."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 10


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.bundled()


class World:
    """An engine with its clock, one peer a device, and what left for the network."""

    def __init__(self, catalog: Catalog, **options: Any) -> None:
        self.now = 1_700_000_000.0
        self._tokens = count(1)
        options.setdefault("settings", EngineSettings())
        self.engine = Engine(catalog, tokens=self.token, **options)
        self.catalog = catalog
        self.wire: deque[Perform] = deque()
        self.aborted: list[int] = []
        self.events: list[Event] = []

    def token(self) -> bytes:
        return next(self._tokens).to_bytes(8, "big")

    def peer(self, endpoint: str = "dev1", *, port: int = 40000, **more: Any) -> Peer:
        host = f"10.0.0.{sum(endpoint.encode()) % 250 + 1}"
        return Peer(host, port, **more)

    def take(self, step: Step | None) -> Step:
        """Do what the server does with a step: remember facts, put requests on the wire."""
        assert step is not None
        self.events += step.events
        for effect in step.effects:
            if isinstance(effect, Abort):
                self.aborted.append(effect.exchange)
                self.wire = deque(one for one in self.wire if one.exchange != effect.exchange)
            else:
                self.wire.append(effect)
        return step

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def say(
        self,
        code: int,
        path: str,
        query: str = "",
        payload: bytes = b"",
        *,
        content_format: int | None = ContentFormat.LINK_FORMAT,
        peer: Peer | None = None,
        **more: Any,
    ) -> CoapReply:
        request = CoapRequest(
            code,
            tuple(part for part in path.split("/") if part),
            tuple(part for part in query.split("&") if part),
            payload,
            content_format if payload else None,
            **more,
        )
        reply = self.take(self.engine.receive(request, peer or self.peer(), self.now)).reply
        assert reply is not None
        return reply

    def register(
        self, endpoint: str = "dev1", query: str = "lt=300&lwm2m=1.1&b=U", links: bytes = LINKS, **more: Any
    ) -> str:
        """Register; returns the location path."""
        more.setdefault("peer", self.peer(endpoint))
        reply = self.say(Code.POST, "rd", f"ep={endpoint}&{query}", links, **more)
        assert reply.code == Code.CREATED, reply
        return "/".join(reply.location)

    def update(self, location: str, query: str = "", payload: bytes = b"", **more: Any) -> CoapReply:
        return self.say(Code.POST, location, query, payload, **more)

    def ask(self, text: str | Request, endpoint: str = "dev1", **more: Any) -> Step:
        request = parse(text, self.engine.models(endpoint)) if isinstance(text, str) else text
        return self.take(self.engine.submit(endpoint, request, self.now, **more))

    def answer(self, reply: CoapReply) -> Step:
        """The oldest request on the wire gets this answer."""
        return self.take(self.engine.answered(self.wire.popleft().exchange, reply, self.now))

    def fail(self, reason: str = "timeout") -> Step:
        return self.take(self.engine.failed(self.wire.popleft().exchange, reason, self.now))

    def content(
        self, values: dict[str, Any], at: str, content_format: int = ContentFormat.TLV, **more: Any
    ) -> CoapReply:
        """A 2.05 with these values."""
        entries = [Entry(Path(path), value) for path, value in values.items()]
        payload = encode(entries, content_format, at=Path(at), types=self.catalog.types)
        return CoapReply(Code.CONTENT, payload, content_format, **more)

    def pass_time(self, seconds: float) -> None:
        """Crank the clock, stopping at every deadline on the way."""
        end = self.now + seconds
        while (due := self.engine.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.take(self.engine.tick(self.now))
        self.now = end


@pytest.fixture
def world(catalog: Catalog) -> World:
    return World(catalog)


@pytest.fixture
def make_world(catalog: Catalog) -> Any:
    def make(hooks: Hooks | None = None, table: MappingTable | None = None, **settings: Any) -> World:
        return World(catalog, hooks=hooks, table=table, settings=EngineSettings(**settings))

    return make
