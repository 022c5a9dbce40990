"""``/metrics``: figures as Prometheus reads them."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lwm2m_engine.engine.events import Awake, Warned
from lwm2m_server.bus import Bus
from lwm2m_server.figures import Histogram
from lwm2m_server.http.door import is_neighbour
from lwm2m_server.http.metrics import EventCounts, Figures, exposed
from lwm2m_server.lag import Lag


def _samples(text: str) -> dict[tuple[str, str], float]:
    """By name and value of the only label."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_gauges_and_histograms():
    seconds = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.observe(value)
    figures = [
        Figures("things_total", "Things.", {"a": 1, "b": 2}, "kind", True),
        Figures("open", "Open.", 3),
        Figures("took_seconds", "Time.", seconds),
    ]
    found = _samples(exposed(figures).decode())
    assert found["lwm2m_things_total", "a"] == 1
    assert found["lwm2m_things_total", "b"] == 2
    assert found["lwm2m_open", ""] == 3
    assert found["lwm2m_took_seconds_bucket", "0.1"] == 2
    assert found["lwm2m_took_seconds_bucket", "1.0"] == 3
    assert found["lwm2m_took_seconds_bucket", "+Inf"] == found["lwm2m_took_seconds_count", ""] == 4
    assert found["lwm2m_took_seconds_sum", ""] == pytest.approx(7.65)
    assert found["process_resident_memory_bytes", ""] > 0


def test_events_are_counted_by_kind():
    bus = Bus()
    counts = EventCounts(bus)
    for event in (Awake("dev", 0), Awake("dev", 1), Warned("dev", 2, "x")):
        bus.publish("main", event)
    (figures,) = counts.figures()
    assert figures.values == {"Awake": 2, "Warned": 1}


async def test_whoever_holds_up_the_loop_is_seen():
    lag = Lag()
    lag.start()
    time.sleep(0.4)  # noqa: ASYNC251 - on purpose
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lag.close()
    assert lag.seconds.sum > 0.1


@pytest.mark.parametrize(
    ("client", "headers", "open_to_them"),
    [
        (("127.0.0.1", 1), [], True),
        (("::1", 1), [], True),
        (("192.0.2.7", 1), [], False),
        (None, [], False),
        (("127.0.0.1", 1), [(b"x-forwarded-for", b"192.0.2.7")], False),
        (("127.0.0.1", 1), [(b"forwarded", b"for=192.0.2.7")], False),
    ],
)
def test_without_a_token_they_are_for_this_machine(client, headers, open_to_them):
    assert is_neighbour({"client": client, "headers": headers}) is open_to_them
