"""Simulated devices, asked over real sockets by a gateway without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import attrs
import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_engine.codecs import decode, encode, encode_paths
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import parse_links
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.faults import Faults
from lwm2m_server.simulator.fleet import Fleet
from lwm2m_server.simulator.tree import Resource, SimulatedObject

FAST = Timing(ack_timeout=0.05, ack_random_factor=1.0, max_retransmit=3, response_timeout=2.0)
TOKEN = b"12345678"
Server: TypeAlias = Any


@pytest.fixture
def server(asking: Server) -> Server:
    return asking


@pytest.fixture
async def device(server: Server) -> AsyncIterator[SimulatedDevice]:
    made = SimulatedDevice("device001", server.gateway.address, objects=None, timing=FAST)
    await made.open()
    await made.register()
    yield made
    await made.stop()


async def until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen")


SEED_DEVICE = {
    "/3/0/0": "My Demo Device",
    "/3/0/1": "Model 500",
    "/3/0/2": "LT-500-000-0001",
    "/3/0/3": "1.0.0",
    "/3/0/9": 72,
    "/3/0/10": 75108,
    "/3/0/11/0": 0,
    "/3/0/14": "+02",
    "/3/0/15": "Europe/Berlin",
    "/3/0/16": "U",
    "/3/0/17": "Demo",
    "/3/0/18": "1.0.1",
    "/3/0/19": "1.0.2",
    "/3/0/20": 3,
    "/3/0/21": 129024,
}


# --- the registration interface --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, ("lwm2m=1.0", "ep=dev", "lt=300", "b=U")),
        ({"queue_mode": True}, ("lwm2m=1.0", "ep=dev", "lt=300", "b=UQ")),
        ({"queue_mode": True, "version": "1.1"}, ("lwm2m=1.1", "ep=dev", "lt=300", "b=U", "Q")),
        ({"lifetime": 60, "query": ["imei=7"]}, ("lwm2m=1.0", "ep=dev", "lt=60", "b=U", "imei=7")),
    ],
)
async def test_register_update_deregister(
    server: Server, options: dict[str, object], query: tuple[str, ...]
) -> None:
    device = SimulatedDevice("dev", server.gateway.address, timing=FAST, **options)  # type: ignore[arg-type]
    await device.open()
    await device.register()
    await device.update()
    await device.deregister()
    await device.stop()
    (register, peer), (update, _), (deregister, _) = server.heard
    assert register == CoapRequest(Code.POST, ("rd",), query, b"</1/0>,</3/0>,</6/0>", 40)
    assert update == CoapRequest(Code.POST, ("rd", "r1"))
    assert deregister == CoapRequest(Code.DELETE, ("rd", "r1"))
    assert peer.host == "127.0.0.1"


async def test_a_long_object_list_is_sent_in_blocks(server: Server) -> None:
    many = SimulatedObject(3303, {number: {} for number in range(300)})
    device = SimulatedDevice("dev", server.gateway.address, objects=[many], timing=FAST)
    await device.open()
    await device.register()
    await device.stop()
    payload = server.heard[0][0].payload
    assert len(payload) > 2048
    assert len(parse_links(payload)[0]) == 300


async def test_an_update_comes_before_the_lifetime_ends(server: Server) -> None:
    device = SimulatedDevice("dev", server.gateway.address, lifetime=1, timing=FAST)
    await device.start()
    await until(lambda: device.updates == 1)
    await device.stop(deregister=True)
    assert server.requests() == [
        (Code.POST, ("rd",)),
        (Code.POST, ("rd", "r1")),
        (Code.DELETE, ("rd", "r1")),
    ]


async def test_a_forgotten_device_registers_anew(server: Server) -> None:
    server.codes["update"] = Code.NOT_FOUND
    device = SimulatedDevice("dev", server.gateway.address, timing=FAST)
    await device.start()
    await device.registered()
    device.wake()
    await until(lambda: device.registrations == 2)
    await device.stop()
    assert server.requests() == [(Code.POST, ("rd",)), (Code.POST, ("rd", "r1")), (Code.POST, ("rd",))]


async def test_a_refused_device_tries_again(server: Server) -> None:
    server.codes["register"] = Code.FORBIDDEN
    device = SimulatedDevice("dev", server.gateway.address, timing=FAST)
    await device.start()
    await device.registered()
    assert len(server.heard) == 2
    await device.stop()


async def test_a_queue_mode_device_is_deaf_while_it_sleeps(server: Server) -> None:
    device = SimulatedDevice(
        "dev", server.gateway.address, version="1.1", queue_mode=True, awake=0.5, timing=FAST
    )
    await device.start()
    await device.registered()
    assert (await server.ask(device, Code.GET, "/3/0/9")).code == Code.CONTENT
    await until(lambda: device.deaf)
    with pytest.raises(ConnectionError, match="timeout"):
        await server.ask(device, Code.GET, "/3/0/9")
    device.wake()
    await until(lambda: device.updates == 1)
    assert (await server.ask(device, Code.GET, "/3/0/9")).code == Code.CONTENT
    await device.stop()


async def test_a_sleeper_tells_what_changed_when_it_wakes_up(server: Server) -> None:
    device = SimulatedDevice("dev", server.gateway.address, queue_mode=True, awake=0.05, timing=FAST)
    await device.start()
    await device.registered()
    await server.ask(device, Code.GET, "/3/0/9", observe=0)
    await until(lambda: device.deaf)
    device.set("/3/0/9", 50)
    await asyncio.sleep(0.05)
    assert server.notifications.empty()
    device.wake()
    assert (await server.notification()).payload == b"50"
    await device.stop()


# --- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, ContentFormat.TLV, ContentFormat.OMA_JSON])
async def test_the_default_device_is_the_documented_sample(
    server: Server, device: SimulatedDevice, accept: int | None
) -> None:
    reply = await server.ask(device, Code.GET, "/3", accept=accept)
    assert (reply.code, reply.content_format) == (Code.CONTENT, accept or ContentFormat.TLV)
    entries = decode(reply.payload, reply.content_format, at=Path("/3"), types=device.tree.type)
    values = {str(entry.path): entry.value for entry in entries}
    time = values.pop("/3/0/13")
    assert values == SEED_DEVICE
    assert isinstance(time, int)
    assert time > 1_700_000_000


async def test_location(server: Server, device: SimulatedDevice) -> None:
    reply = await server.ask(device, Code.GET, "/6/0", accept=ContentFormat.TLV)
    entries = decode(reply.payload, ContentFormat.TLV, at=Path("/6/0"), types=device.tree.type)
    assert entries == [Entry(Path("/6/0/0"), 52.5), Entry(Path("/6/0/1"), 13.4)]


@pytest.mark.parametrize(
    ("path", "accept", "payload"),
    [
        ("/3/0/9", None, b"72"),
        ("/3/0/0", ContentFormat.TEXT, b"My Demo Device"),
        ("/3/0/9", ContentFormat.TLV, bytes.fromhex("c10948")),
        ("/3/0/11/0", ContentFormat.TEXT, b"0"),
    ],
)
async def test_reading_one_value(
    server: Server, device: SimulatedDevice, path: str, accept: int | None, payload: bytes
) -> None:
    assert (await server.ask(device, Code.GET, path, accept=accept)).payload == payload


@pytest.mark.parametrize("accept", [ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.TLV])
async def test_newer_versions_speak_senml(server: Server, accept: ContentFormat) -> None:
    device = SimulatedDevice("dev", server.gateway.address, version="1.1", timing=FAST)
    await device.open()
    reply = await server.ask(device, Code.GET, "/3/0/11", accept=accept)
    entries = decode(reply.payload, accept, at=Path("/3/0/11"), types=device.tree.type)
    assert entries == [Entry(Path("/3/0/11/0"), 0)]
    await device.stop()


async def test_a_large_answer_is_served_in_blocks(server: Server) -> None:
    long = SimulatedObject(
        3442, {number: {110: Resource(ResourceType.STRING, "x" * 100)} for number in range(30)}
    )
    device = SimulatedDevice("dev", server.gateway.address, objects=[long], timing=FAST)
    await device.open()
    reply = await server.ask(device, Code.GET, "/3442", accept=ContentFormat.TLV)
    assert len(decode(reply.payload, ContentFormat.TLV, at=Path("/3442"), types=device.tree.type)) == 30
    await device.stop()


@pytest.mark.parametrize(
    ("code", "path", "payload", "content_format", "accept", "expected"),
    [
        (Code.GET, "/", b"", None, None, Code.METHOD_NOT_ALLOWED),
        (Code.GET, "/5", b"", None, None, Code.NOT_FOUND),
        (Code.GET, "/3/1", b"", None, None, Code.NOT_FOUND),
        (Code.GET, "/3/0/99", b"", None, None, Code.NOT_FOUND),
        (Code.GET, "/3/0/11/7", b"", None, None, Code.CONTENT),
        (Code.GET, "/0/0/1", b"", None, None, Code.UNAUTHORIZED),
        (Code.GET, "/no/path", b"", None, None, Code.NOT_FOUND),
        (Code.GET, "/3/0/4", b"", None, None, Code.METHOD_NOT_ALLOWED),
        (Code.GET, "/3", b"", None, ContentFormat.SENML_CBOR, Code.NOT_ACCEPTABLE),
        (Code.GET, "/3", b"", None, 99, Code.NOT_ACCEPTABLE),
        (Code.PUT, "/3/0/9", b"1", 0, None, Code.METHOD_NOT_ALLOWED),
        (Code.PUT, "/3/0/13", b"noon", 0, None, Code.BAD_REQUEST),
        (Code.PUT, "/3/0/14", b"x", 99, None, Code.UNSUPPORTED_CONTENT_FORMAT),
        (Code.POST, "/3/0/14", b"", None, None, Code.METHOD_NOT_ALLOWED),
        (Code.POST, "/3", b"", None, None, Code.METHOD_NOT_ALLOWED),
        (Code.DELETE, "/3/0", b"", None, None, Code.METHOD_NOT_ALLOWED),
        (Code.FETCH, "/", b"\x80", 112, None, Code.METHOD_NOT_ALLOWED),
    ],
)
async def test_what_is_refused(
    server: Server,
    device: SimulatedDevice,
    code: Code,
    path: str,
    payload: bytes,
    content_format: int | None,
    accept: int | None,
    expected: Code,
) -> None:
    reply = await server.ask(device, code, path, payload, content_format, accept=accept)
    assert reply.code == expected


# --- writing, executing, creating ------------------------------------------------------------------


async def test_writing_a_resource_and_an_instance(server: Server, device: SimulatedDevice) -> None:
    assert (await server.ask(device, Code.PUT, "/3/0/14", b"+03", 0)).code == Code.CHANGED
    entries = [Entry(Path("/3/0/14"), "+04"), Entry(Path("/3/0/15"), "Europe/Kyiv")]
    payload = encode(entries, ContentFormat.TLV, at=Path("/3/0"))
    assert device.get("/3/0/14").content == "+03"
    assert (await server.ask(device, Code.POST, "/3/0", payload, ContentFormat.TLV)).code == Code.CHANGED
    assert (device.get("/3/0/14").content, device.get("/3/0/15").content) == ("+04", "Europe/Kyiv")


async def test_a_new_lifetime_is_told_in_an_update(server: Server, device: SimulatedDevice) -> None:
    assert (await server.ask(device, Code.PUT, "/1/0/1", b"600", 0)).code == Code.CHANGED
    await until(lambda: device.updates == 1)
    assert server.heard[-1][0].query == ("lt=600",)


async def test_execute_is_recorded(server: Server, device: SimulatedDevice) -> None:
    assert (await server.ask(device, Code.POST, "/3/0/4")).code == Code.CHANGED
    assert (await server.ask(device, Code.POST, "/3/0/12", b"0='now',1", 0)).code == Code.CHANGED
    assert device.executed == [(Path("/3/0/4"), ""), (Path("/3/0/12"), "0='now',1")]


def _test_object() -> SimulatedObject:
    def template() -> dict[int, Resource]:
        return {
            110: Resource(ResourceType.STRING, "initial value", "RW"),
            1120: Resource(ResourceType.INTEGER, {0: 1}, "RW"),
        }

    return SimulatedObject(3442, {0: template()}, version="1.0", template=template)


@pytest.fixture
async def modern(server: Server) -> AsyncIterator[SimulatedDevice]:
    """LwM2M 1.1 with an object that has instances to make."""
    made = SimulatedDevice(
        "dev", server.gateway.address, version="1.1", objects=[_test_object()], timing=FAST
    )
    await made.open()
    await made.register()
    yield made
    await made.stop()


async def test_create_and_delete_tell_the_server_the_new_object_list(
    server: Server, modern: SimulatedDevice
) -> None:
    payload = encode([Entry(Path("/3442/7/110"), "new")], ContentFormat.SENML_CBOR, at=Path("/3442"))
    reply = await server.ask(modern, Code.POST, "/3442", payload, ContentFormat.SENML_CBOR)
    assert (reply.code, reply.location) == (Code.CREATED, ("3442", "7"))
    assert modern.get("/3442/7/110").content == "new"
    await until(lambda: modern.updates == 1)
    assert server.heard[-1][0].payload == b"</3442>;ver=1.0,</3442/0>,</3442/7>"
    assert (await server.ask(modern, Code.POST, "/3442", payload, 112)).code == Code.BAD_REQUEST
    assert (await server.ask(modern, Code.DELETE, "/3442/7")).code == Code.DELETED
    await until(lambda: modern.updates == 2)
    assert server.heard[-1][0].payload == b"</3442>;ver=1.0,</3442/0>"


async def test_a_multiple_resource_is_replaced_or_added_to(server: Server, modern: SimulatedDevice) -> None:
    def payload(*ids: int) -> bytes:
        return encode([Entry(Path((3442, 0, 1120, id_)), id_) for id_ in ids], ContentFormat.SENML_CBOR)

    await server.ask(modern, Code.POST, "/3442/0", payload(5), ContentFormat.SENML_CBOR)
    assert modern.get("/3442/0/1120").content == {0: 1, 5: 5}
    await server.ask(modern, Code.PUT, "/3442/0/1120", payload(2, 3), ContentFormat.SENML_CBOR)
    assert modern.get("/3442/0/1120").content == {2: 2, 3: 3}


async def test_composites(server: Server, modern: SimulatedDevice) -> None:
    written = encode([Entry(Path("/3442/0/110"), "both")], ContentFormat.SENML_CBOR)
    assert (await server.ask(modern, Code.IPATCH, "/", written, 112)).code == Code.CHANGED
    asked = encode_paths([Path("/3442/0/110"), Path("/9/9")], ContentFormat.SENML_CBOR)
    reply = await server.ask(modern, Code.FETCH, "/", asked, 112, accept=112)
    entries = decode(reply.payload, 112, types=modern.tree.type)
    assert entries == [Entry(Path("/3442/0/110"), "both")]


async def test_discover_shows_what_was_written_with_write_attributes(
    server: Server, device: SimulatedDevice
) -> None:
    written = await server.ask(device, Code.PUT, "/3/0/9", query=("pmin=1", "pmax=9"))
    assert written.code == Code.CHANGED
    reply = await server.ask(device, Code.GET, "/3/0", accept=ContentFormat.LINK_FORMAT)
    links = {link.target: link.attributes for link in parse_links(reply.payload)[0]}
    assert len(links) == 20
    assert links["/3/0/9"] == (("pmin", "1"), ("pmax", "9"))
    assert links["/3/0/11"] == (("dim", "1"),)
    above = await server.ask(device, Code.PUT, "/3/0/9", query=("pmin=10",))
    assert above.code == Code.BAD_REQUEST
    refused = await server.ask(device, Code.PUT, "/3/0/9", query=("pmin=x",))
    assert refused.code == Code.BAD_REQUEST


async def test_send(server: Server, device: SimulatedDevice) -> None:
    assert (await device.send("/3/0/9", "/6/0/0")).code == Code.CHANGED
    sent = server.heard[-1][0]
    assert (sent.path, sent.content_format) == (("dp",), 112)
    assert [entry.path for entry in decode(sent.payload, 112)] == [Path("/3/0/9"), Path("/6/0/0")]


# --- observing -------------------------------------------------------------------------------------


async def test_a_change_is_notified_until_the_observation_is_cancelled(
    server: Server, device: SimulatedDevice
) -> None:
    first = await server.ask(device, Code.GET, "/3/0/9", observe=0)
    assert (first.code, first.payload, first.observe) == (Code.CONTENT, b"72", 0)
    device.set("/3/0/9", 71)
    assert await server.notification() == CoapReply(Code.CONTENT, b"71", 0, (), 1)
    device.set("/3/0/20", 4)
    last = await server.ask(device, Code.GET, "/3/0/9", observe=1)
    assert (last.payload, last.observe) == (b"71", None)
    device.set("/3/0/9", 70)
    await asyncio.sleep(0.1)
    assert server.notifications.empty()


async def test_a_reset_ends_an_observation(server: Server, device: SimulatedDevice) -> None:
    await server.ask(device, Code.GET, "/3", observe=0)
    server.tokens.clear()
    device.set("/3/0/9", 71)
    await asyncio.sleep(0.1)
    server.tokens.add(TOKEN)
    device.set("/3/0/9", 70)
    await asyncio.sleep(0.1)
    assert server.notifications.empty()


async def test_pmin_holds_notifications_back_and_pmax_forces_them(
    server: Server, device: SimulatedDevice
) -> None:
    loop = asyncio.get_running_loop()
    await server.ask(device, Code.PUT, "/3/0", query=("pmin=1", "pmax=2"))
    await server.ask(device, Code.GET, "/3/0/9", observe=0)
    began = loop.time()
    device.set("/3/0/9", 71)
    device.set("/3/0/9", 70)
    assert (await server.notification()).payload == b"70"
    assert loop.time() - began > 0.9
    assert (await server.notification()).payload == b"70"
    assert loop.time() - began > 2.8


@pytest.mark.parametrize(
    ("query", "values", "notified"),
    [
        (("gt=75",), (73, 76, 78, 74), [76, 74]),
        (("lt=70",), (71, 69, 60, 72), [69, 72]),
        (("st=5",), (70, 67, 64, 61), [67, 61]),
    ],
)
async def test_thresholds(
    server: Server,
    device: SimulatedDevice,
    query: tuple[str, ...],
    values: tuple[int, ...],
    notified: list[int],
) -> None:
    await server.ask(device, Code.PUT, "/3/0/9", query=query)
    await server.ask(device, Code.GET, "/3/0/9", observe=0)
    for value in values:
        device.set("/3/0/9", value)
        await asyncio.sleep(0.03)
    await until(lambda: server.notifications.qsize() >= len(notified))
    got = [int(server.notifications.get_nowait().payload) for _ in range(server.notifications.qsize())]
    assert got == notified


async def test_a_deleted_instance_ends_its_observation(server: Server, modern: SimulatedDevice) -> None:
    await server.ask(modern, Code.GET, "/3442/0", accept=112, observe=0)
    await server.ask(modern, Code.DELETE, "/3442/0")
    assert await server.notification() == CoapReply(Code.NOT_FOUND)


async def test_observing_several_paths_at_once(server: Server, modern: SimulatedDevice) -> None:
    asked = encode_paths([Path("/3442/0/110"), Path("/3442/0/1120")], ContentFormat.SENML_CBOR)
    await server.ask(modern, Code.FETCH, "/", asked, 112, accept=112, observe=0)
    modern.set("/3442/0/110", "changed")
    entries = decode((await server.notification()).payload, 112, types=modern.tree.type)
    assert entries == [Entry(Path("/3442/0/110"), "changed"), Entry(Path("/3442/0/1120/0"), 1)]


async def test_a_watched_battery_drains(server: Server) -> None:
    device = SimulatedDevice("dev", server.gateway.address, drift=0.05, timing=FAST)
    await device.start()
    await device.registered()
    await asyncio.sleep(0.12)
    assert device.get("/3/0/9").content == 72, "unwatched values stay"
    await server.ask(device, Code.GET, "/3/0/9", observe=0)
    assert [(await server.notification()).payload for _ in range(2)] == [b"71", b"70"]
    await device.stop()


# --- faults ----------------------------------------------------------------------------------------


async def _faulty(server: Server, faults: Faults) -> SimulatedDevice:
    device = SimulatedDevice("dev", server.gateway.address, timing=FAST, faults=faults)
    await device.open()
    return device


async def test_lost_datagrams_are_repeated_in_both_directions(server: Server) -> None:
    device = await _faulty(server, Faults(drop_outgoing={1}, drop_incoming={1, 3}))
    await device.register()
    assert len(server.heard) == 1
    assert (await server.ask(device, Code.GET, "/3/0/9")).payload == b"72"
    await device.stop()


async def test_duplicates_and_delays_change_nothing(server: Server) -> None:
    device = await _faulty(server, Faults(duplicate=True, delay=0.12))
    await device.register()
    assert (await server.ask(device, Code.POST, "/3/0/4")).code == Code.CHANGED
    assert len(device.executed) == 1
    assert len(server.heard) == 1
    await device.stop()


async def test_silence_and_strange_answers(server: Server) -> None:
    device = await _faulty(server, Faults(silent=True))
    with pytest.raises(ConnectionError, match="timeout"):
        await server.ask(device, Code.GET, "/3")
    device.faults.silent = False
    device.faults.reply = lambda request: CoapReply(Code.CONTENT, b"\xff\xff", 11542)
    assert (await server.ask(device, Code.GET, "/3")).payload == b"\xff\xff"
    await device.stop()


# --- many, and another implementation --------------------------------------------------------------


async def test_a_thousand_devices_in_one_process(server: Server) -> None:
    calm = attrs.evolve(FAST, ack_timeout=2.0)
    fleet = Fleet.of(server.gateway.address, 1000, prefix="load", timing=calm)
    async with fleet, asyncio.timeout(20):
        await fleet.registered()
    names = {part for request, _ in server.heard for part in request.query if part.startswith("ep=")}
    assert names == {f"ep=load{number:03d}" for number in range(1, 1001)}


async def test_the_demo_fleet(server: Server) -> None:
    async with Fleet.demo(server.gateway.address, 3, awake=0.1, sleep=5.0) as fleet:
        await fleet.registered()
        await until(lambda: fleet.devices[1].deaf)
    queries = sorted(request.query for request, _ in server.heard)
    assert queries == [
        ("lwm2m=1.0", "ep=device001", "lt=300", "b=U"),
        ("lwm2m=1.0", "ep=device003", "lt=300", "b=U"),
        ("lwm2m=1.1", "ep=device002", "lt=300", "b=U", "Q"),
    ]
