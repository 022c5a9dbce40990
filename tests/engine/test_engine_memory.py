"""What one device costs: a fleet of a hundred thousand has to fit."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from lwm2m_engine import Engine, Path
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.messages import Observe

NOW = 1_700_000_000.0
LINKS = b'</>;rt="oma.lwm2m";ct="112 11542",</1/0>,</3/0>,</6/0>,</3303/0>'


def register(engine: Engine, first: int, count: int) -> None:
    for number in range(first, first + count):
        name, peer = f"urn:dev:{number}", Peer(f"10.0.{number >> 8}.{number & 255}", 40000)
        query = (f"ep={name}", "lt=300", "lwm2m=1.1", "b=U")
        engine.receive(CoapRequest(Code.POST, ("rd",), query, LINKS, 40), peer, NOW)
        for path in ("/3/0/9", "/3303/0/5700"):
            (asked,) = engine.submit(name, Observe(Path(path)), NOW).effects
            engine.answered(asked.exchange, CoapReply(Code.CONTENT, b"1", 0, observe=0), NOW)


@pytest.mark.parametrize("count", [60, 150, 300])
def test_devices_that_announce_the_same_share_it(catalog, count):
    engine = Engine(catalog)
    links = b",".join(b"</3303/%d>" % number for number in range(count))

    def register(first: int, last: int) -> None:
        for number in range(first, last):
            request = CoapRequest(Code.POST, ("rd",), (f"ep=dev{number}", "lwm2m=1.1"), links, 40)
            engine.receive(request, Peer("192.0.2.1", number), NOW)

    register(0, 10)
    gc.collect()
    tracemalloc.start()
    try:
        register(10, 110)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / 100 < 2000


def test_a_registered_device_with_two_observations_is_small(catalog):
    engine = Engine(catalog)
    register(engine, 0, 100)
    gc.collect()
    tracemalloc.start()
    try:
        register(engine, 100, 1000)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of the 4 KB there are for the whole server.
    assert held / 1000 < 2800
