"""``Traces``: what is noted, how much of it is kept, and what never is."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.codecs import encode, encode_paths
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_server import tracing
from lwm2m_server.notes import place
from lwm2m_server.tracing import TooManyTraces, Traces

PEER = Peer("192.0.2.7", 5683)
READ = CoapRequest(Code.GET, ("3", "0", "9"), accept=112)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traces(clock: Clock) -> Traces:
    return Traces(clock)


def perform(request: CoapRequest, exchange: int = 1, endpoint: str = "dev") -> Perform:
    return Perform(endpoint, exchange, PEER, request)


def written(path: str, value: object, content_format: int) -> bytes:
    return encode([Entry(Path(path), value)], content_format, at=Path("/"))


# --- what is noted -----------------------------------------------------------------------------------


def test_a_request_to_the_device_and_its_answer(traces: Traces, clock: Clock) -> None:
    trace = traces.start(1, "dev", ["dev"])
    traces.downlink(perform(READ, 17))
    clock.now += 0.25
    traces.acknowledged(17)
    clock.now += 0.5
    traces.answer(17, CoapReply(Code.CONTENT, b"72", 0))
    asked, acknowledged, answered = trace.notes()
    assert (asked.direction, asked.code, asked.path, asked.accept) == ("down", Code.GET, READ.path, 112)
    assert (asked.exchange, asked.confirmable, asked.peer) == (17, True, "coap://192.0.2.7:5683")
    assert (acknowledged.code, acknowledged.remark, acknowledged.duration) == (None, "acknowledged", 0.25)
    assert (answered.direction, answered.code, answered.path) == ("up", Code.CONTENT, READ.path)
    assert (answered.duration, answered.payload, answered.exchange) == (0.75, b"72", 17)


def test_a_request_without_answer(traces: Traces, clock: Clock) -> None:
    trace = traces.start(1, "dev", ["dev"])
    traces.downlink(perform(READ))
    clock.now += 93
    traces.failure(1, "timeout")
    traces.failure(1, "timeout")
    assert [(note.remark, note.duration) for note in trace.notes(1)] == [("timeout", 93.0)]


def test_a_request_of_the_device_is_answered_as_before(traces: Traces, clock: Clock) -> None:
    trace = traces.start(1, "dev", ["dev"])
    answered: list[CoapReply] = []
    register = CoapRequest(Code.POST, ("rd",), ("ep=dev", "lt=60"), b"</3/0>", 40)
    answer = traces.uplink("dev", register, PEER, answered.append)
    clock.now += 0.002
    created = CoapReply(Code.CREATED, location=("rd", "7"))
    answer(created)
    assert answered == [created]
    asked, said = trace.notes()
    assert (asked.query, asked.payload) == (("ep=dev", "lt=60"), b"</3/0>")
    assert (said.direction, said.location, said.path) == ("down", ("rd", "7"), ("rd",))
    assert said.duration == pytest.approx(0.002)


def test_a_notification_is_about_the_path_of_its_relation(traces: Traces) -> None:
    trace = traces.start(1, "dev", ["dev"])
    traces.notification("dev", READ, CoapReply(Code.CONTENT, b"71", 0, observe=5))
    traces.notification("dev", None, CoapReply(Code.CONTENT, b"71", 0, observe=6))
    assert [(note.path, note.observe, note.duration) for note in trace.notes()] == [
        (READ.path, 5, None),
        ((), 6, None),
    ]


def test_others_are_not_noted(traces: Traces) -> None:
    trace = traces.start(1, "dev", ["dev"])
    answer = [].append
    assert traces.uplink("other", READ, PEER, answer) is answer
    assert traces.uplink(None, READ, PEER, answer) is answer
    traces.downlink(perform(READ, 1, "other"))
    traces.answer(1, CoapReply(Code.CONTENT))
    traces.notification("other", READ, CoapReply(Code.CONTENT))
    assert trace.notes() == []


# --- on, off and the bounds ----------------------------------------------------------------------------


def test_active_is_empty_unless_a_device_is_traced(traces: Traces) -> None:
    assert not traces.active
    trace = traces.start(1, "dev", ["dev", "urn:dev"])
    assert traces.start(1, "dev", ["dev"]) is trace
    assert set(traces.active) == {"dev", "urn:dev"}
    traces.downlink(perform(READ))
    traces.stop(1)
    traces.stop(1)
    assert not traces.active
    assert traces.of(1) is None
    traces.answer(1, CoapReply(Code.CONTENT))
    assert len(trace.notes()) == 1


def test_so_many_devices_at_once(traces: Traces) -> None:
    for number in range(tracing.DEVICES):
        traces.start(number, f"dev{number}", [f"dev{number}"])
    with pytest.raises(TooManyTraces, match="dev0, dev1"):
        traces.start(99, "one more", ["one more"])
    traces.close()
    assert not traces.active


def test_so_many_messages_and_bytes(traces: Traces) -> None:
    trace = traces.start(1, "dev", ["dev"])
    for _ in range(tracing.MESSAGES + 7):
        traces.notification("dev", READ, CoapReply(Code.CONTENT, b"71", 0))
    notes = trace.notes()
    assert (len(notes), trace.dropped, notes[0].number) == (tracing.MESSAGES, 7, 8)
    large = CoapReply(Code.CONTENT, bytes(tracing.PAYLOAD + 1), 42)
    for _ in range(200):
        traces.notification("dev", READ, large)
    notes = trace.notes()
    assert sum(len(note.payload) for note in notes) <= tracing.BYTES
    assert notes[-1].is_cut
    assert (notes[-1].size, len(notes[-1].payload)) == (tracing.PAYLOAD + 1, tracing.PAYLOAD)


async def test_who_waits_hears_of_news_and_of_the_end(traces: Traces) -> None:
    trace = traces.start(1, "dev", ["dev"])
    waiting = [asyncio.create_task(trace.news(0)) for _ in range(2)]
    await asyncio.sleep(0)
    traces.notification("dev", READ, CoapReply(Code.CONTENT))
    await asyncio.gather(*waiting)
    await trace.news(0)
    ended = asyncio.create_task(trace.news(1))
    await asyncio.sleep(0)
    assert not ended.done()
    traces.stop(1)
    await ended
    assert not trace.is_on


# --- secrets --------------------------------------------------------------------------------------------

KEY = "k" * 16


@pytest.mark.parametrize(
    ("path", "content_format", "payload"),
    [
        (("0", "1", "5"), 42, KEY.encode()),
        (("0",), 112, written("/0/1/5", KEY, 112)),
        (("lwm2m", "21", "0"), 11542, KEY.encode()),
        (("21", "0", "0"), None, KEY.encode()),
        ((), 110, written("/21/0/0", KEY, 110)),
        (("lwm2m",), 110, b'[{"n":"/lwm2m/0/1/5","vs":"kkkkkkkk"}]'),
        (("dp",), 112, written("/0/0/5", KEY, 112)),
        ((), 112, encode_paths([Path("/3/0"), Path("/0/0/5")], ContentFormat.SENML_CBOR)),
    ],
)
def test_keys_are_not_kept(
    traces: Traces, path: tuple[str, ...], content_format: int | None, payload: bytes
) -> None:
    trace = traces.start(1, "dev", ["dev"])
    traces.downlink(perform(CoapRequest(Code.PUT, path, payload=payload, content_format=content_format)))
    traces.answer(1, CoapReply(Code.CONTENT, payload, content_format))
    traces.uplink("dev", CoapRequest(Code.POST, path, (), payload, content_format), PEER, [].append)
    for note in trace.notes():
        assert (note.masked, note.payload, note.size) == (True, b"", len(payload))
        assert KEY not in repr(note)


def test_what_holds_no_keys_is_kept(traces: Traces) -> None:
    trace = traces.start(1, "dev", ["dev"])
    for path, content_format, payload in [
        (("3", "0", "21"), 0, b"129024"),
        ((), 112, written("/3/0/9", 1, 112)),
        ((), 112, b"\xff"),
        (("rd",), 40, b"</0/0>,</3/0>"),
    ]:
        traces.uplink("dev", CoapRequest(Code.POST, path, (), payload, content_format), PEER, [].append)
        assert trace.notes()[-1].payload == payload


@pytest.mark.parametrize(
    ("segments", "found"),
    [
        (("3", "0", "9"), ("/", Path("/3/0/9"))),
        (("lwm2m", "3", "0"), ("/lwm2m", Path("/3/0"))),
        ((), ("/", Path("/"))),
        (("dp",), ("/", Path("/"))),
        (("rd", "17"), None),
        (("bs",), None),
        (("1", "2", "3", "4", "5"), None),
        (("99999",), None),
    ],
)
def test_where_a_path_begins(segments: tuple[str, ...], found: tuple[str, Path] | None) -> None:
    assert place(segments) == found
