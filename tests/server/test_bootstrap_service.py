"""The bootstrap server between its gateways and its sessions."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig, BootstrapSettings
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_server.bootstrap.journal import Journal
from lwm2m_server.bootstrap.service import BootstrapService

CATALOG = Catalog.bundled()
PEER = Peer("10.0.0.1", 1, "coap-bs")
REQUEST = CoapRequest(Code.POST, ("bs",), ("ep=dev1",))
DOCUMENT = {"noSec": True, "discover": [], "delete": [], "write": {"/1/0": {"0": 1}, "/1/1": {"0": 2}}}


class Configs:
    def config(self, request, peer) -> BootstrapConfig:
        return config_of(DOCUMENT, request.endpoint, lambda name: b"", CATALOG)


class Wire:
    """A transport that remembers, and the order of what it was told."""

    def __init__(self):
        self.asked, self.aborted, self.order = [], [], []

    def perform(self, effect):
        self.asked.append(effect)
        self.order.append("asked")

    def abort(self, exchange):
        self.aborted.append(exchange)

    def answer(self, reply):
        self.order.append(reply.code)


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def service(wire):
    settings = BootstrapSettings(session_timeout=0.05)
    service = BootstrapService(
        Bootstrap(Configs(), CATALOG, settings=settings), Journal(lambda endpoint: "main")
    )
    service.add_transport("coap-bs", wire)
    yield service
    service.close()


async def test_the_client_is_answered_before_it_is_asked(service, wire):
    service.receive(REQUEST, PEER, wire.answer)
    assert wire.order == [Code.CHANGED, "asked"]


async def test_one_session(service, wire):
    service.receive(REQUEST, PEER, wire.answer)
    while len(wire.asked) < 3:
        service.answered(wire.asked[-1].exchange, CoapReply(Code.CHANGED))
    service.answered(wire.asked[-1].exchange, CoapReply(Code.CHANGED))
    assert [asked.request.path for asked in wire.asked] == [("1", "0"), ("1", "1"), ("bs",)]
    assert service.journal.of("main", "dev1")[0].outcome == "finished"
    assert (service.counts()["bootstrap_begun_total"], service.counts()["bootstrap_finished_total"]) == (1, 1)


async def test_who_asks_again_is_not_asked_twice(service, wire):
    service.receive(REQUEST, PEER, wire.answer)
    service.receive(REQUEST, PEER, wire.answer)
    assert (service.counts()["bootstrap_failed_total"], service.counts()["bootstrap_sessions"]) == (1, 1)
    assert wire.aborted == [wire.asked[0].exchange]
    assert [record.outcome for record in service.journal.of("main", "dev1")] == ["under way", "replaced"]


async def test_a_configuration_that_is_gone(service, wire):
    service.receive(REQUEST, PEER, wire.answer)
    service.withdraw(lambda endpoint: endpoint == "dev2")
    assert wire.aborted == []
    service.withdraw(lambda endpoint: endpoint == "dev1")
    assert wire.aborted == [wire.asked[0].exchange]


async def test_no_answer(service, wire):
    service.receive(REQUEST, PEER, wire.answer)
    service.failed(wire.asked[0].exchange, "timeout")
    assert service.journal.of("main", "dev1")[0].outcome == "timeout"


async def test_the_clock_ends_a_session(service, wire):
    heard = []
    service.on_trouble = heard.append
    service.receive(REQUEST, PEER, wire.answer)
    await asyncio.sleep(0.15)
    assert service.journal.of("main", "dev1")[0].outcome == "timeout"
    assert [event.cause for event in heard] == ["timeout"]


async def test_refused(service, wire):
    heard = []
    service.on_trouble = heard.append
    service.receive(CoapRequest(Code.POST, ("bs",)), PEER, wire.answer)
    assert [event.code for event in heard] == [Code.BAD_REQUEST]
    assert wire.order == [Code.BAD_REQUEST]
    assert len(list(service.journal.refusals("main"))) == 1


async def test_nothing_is_observed(service):
    settled = []
    service.notified(b"x", CoapReply(Code.CONTENT), PEER, settled.append)
    assert (settled, service.knows(b"x"), service.observed(b"x")) == ([False], False, None)
