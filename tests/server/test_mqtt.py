"""MQTT against a real broker (Mosquitto): in order, acknowledged, and what becomes of notices meanwhile."""

import asyncio
import json
import re
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

import aiomqtt
import httpx
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks import extras
from lwm2m_server.sinks.addresses import open_guard
from lwm2m_server.sinks.mqtt import MqttSinks
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry
from lwm2m_server.store.records import Lane, Notice

MOSQUITTO = shutil.which(
    "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"
)
BASE = "/device-management-orchestrator/v3/main"
BOX = f"{BASE}/device-communication/device001/received-msg"
LANE = Lane("main", "CApp")

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="Mosquitto is not installed")


class Mosquitto:
    """A broker of its own on a free port, that keeps what it has to deliver when it is stopped."""

    def __init__(self, folder, *lines):
        self._folder, self._lines = folder, lines
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process = None

    async def start(self):
        file = self._folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} localhost",
            "persistence true",
            f"persistence_location {self._folder}/",
        ]
        file.write_text("\n".join([*lines, *(self._lines or ["allow_anonymous true"]), "user root", ""]))
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                MOSQUITTO, "-c", file, stdout=log, stderr=log
            )
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("localhost", self.port)
                except OSError:
                    assert self._process.returncode is None, (self._folder / "log").read_text()
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def stop(self):
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self._process.wait(), 20)
            self._process = None


class Reader:
    """Somebody who reads there, and whose messages the broker keeps while he is away."""

    def __init__(self, port, topic, **login):
        self.messages = []
        self._news = asyncio.Condition()
        self._port, self._topic, self._login = port, topic, login
        self.is_there = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self):
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "localhost",
                    self._port,
                    identifier="reader",
                    protocol=aiomqtt.ProtocolVersion.V5,
                    clean_start=False,
                    properties=session,
                    **self._login,
                ) as client:
                    await client.subscribe(self._topic, qos=1)
                    self.is_there.set()
                    async for message in client.messages:
                        async with self._news:
                            self.messages.append(message)
                            self._news.notify_all()
            await asyncio.sleep(0.05)

    @property
    def bodies(self):
        return [json.loads(message.payload) for message in self.messages]

    async def until(self, condition, seconds=30):
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(condition)

    async def close(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def broker(tmp_path):
    """``await broker("allow_anonymous true")`` starts one."""
    started = []

    async def broker(*lines):
        started.append(Mosquitto(tmp_path / f"mosquitto{len(started)}", *lines))
        await started[-1].start()
        return started[-1]

    yield broker
    for one in started:
        await one.stop()


@pytest.fixture
async def read():
    """``await read(broker)`` is told of everything, or of one topic."""
    readers = []

    async def read(broker, topic="#", **login):
        readers.append(Reader(broker.port, topic, **login))
        await asyncio.wait_for(readers[-1].is_there.wait(), 20)
        return readers[-1]

    yield read
    for reader in readers:
        await reader.close()


@pytest.fixture
async def sink():
    """``sink("mqtt://…", headers=…, answer_timeout=1)``"""
    made = []

    def sink(*addresses, headers=(), allow=("127.0.0.1", "::1"), **settings):
        deliveries = DeliverySettings(allow=allow, **settings)
        sinks = MqttSinks(deliveries, open_guard(deliveries), "0123456789")
        made.append(sinks(Endpoint("main", "MQTT", addresses, headers)))
        return made[-1]

    yield sink
    for one in made:
        await one.close()


def notices(count, first=0, device="device001"):
    return [
        Notice(number, LANE, 1, device, f'{{"m2m:sgn":{number}}}') for number in range(first, first + count)
    ]


def numbers(reader):
    return [body["m2m:sgn"] for body in reader.bodies]


@needs_mosquitto
async def test_notices_are_published_in_order(broker, read, sink):
    one = await broker()
    reader = await read(one)
    mqtt = sink(f"mqtt://127.0.0.1:{one.port}/d2c/{{tenant}}/{{device}}", headers=("site: north",))
    assert mqtt.limit > 1
    for first in range(0, 200, 20):
        await mqtt.deliver(notices(20, first))
    await reader.until(lambda: len(reader.messages) == 200)
    assert numbers(reader) == list(range(200))
    message = reader.messages[10]
    assert str(message.topic) == "d2c/main/device001"
    assert message.qos == 1
    assert not message.retain
    assert message.properties.ContentType == "application/json"
    assert message.properties.UserProperty == [("X-M2M-RI", "a"), ("site", "north")]


@needs_mosquitto
async def test_a_broker_that_went_and_came_back(broker, read, sink):
    one = await broker()
    reader = await read(one)
    mqtt = sink(f"mqtt://127.0.0.1:{one.port}/d2c", connect_timeout=1)
    await mqtt.deliver(notices(5))
    await one.stop()
    with pytest.raises(Retry, match=rf"mqtt://127\.0\.0\.1:{one.port}/d2c: "):
        await mqtt.deliver(notices(5, 5))
    await one.start()
    await mqtt.deliver(notices(5, 5))
    await reader.until(lambda: set(numbers(reader)) == set(range(10)))
    # The reader itself may get twice what it did not acknowledge.
    assert list(dict.fromkeys(numbers(reader))) == list(range(10))


@needs_mosquitto
async def test_a_broker_that_goes_in_the_middle(broker, read, sink):
    one = await broker()
    reader = await read(one)
    mqtt = sink(f"mqtt://127.0.0.1:{one.port}/d2c", connect_timeout=1)
    await mqtt.deliver(notices(1))

    async def deliver(batch):
        while True:
            try:
                return await mqtt.deliver(batch)
            except Retry:
                await asyncio.sleep(0.02)

    async def stumble():
        await reader.until(lambda: len(reader.messages) > 50)
        await one.stop()
        await one.start()

    stumbling = asyncio.create_task(stumble())
    first = 1
    while not stumbling.done() or first < 200:
        await deliver(notices(10, first))
        first += 10
    await stumbling
    await reader.until(lambda: first - 1 in numbers(reader))
    assert list(dict.fromkeys(numbers(reader))) == list(range(first))


@needs_mosquitto
async def test_who_the_server_is_to_the_broker(broker, read, sink, tmp_path):
    passwords = tmp_path / "passwords"
    making = await asyncio.create_subprocess_exec(
        "mosquitto_passwd", "-b", "-c", passwords, "d2c", "s:cr@t", stderr=asyncio.subprocess.DEVNULL
    )
    assert await making.wait() == 0
    one = await broker("allow_anonymous false", f"password_file {passwords}")
    reader = await read(one, username="d2c", password="s:cr@t")
    await sink(f"mqtt://d2c:s%3Acr%40t@127.0.0.1:{one.port}/d2c").deliver(notices(1))
    account = ("username: d2c", "password: s:cr@t")
    await sink(f"mqtt://127.0.0.1:{one.port}/d2c", headers=account).deliver(notices(1, 1))
    await reader.until(lambda: numbers(reader) == [0, 1])
    assert reader.messages[1].properties.UserProperty == [("X-M2M-RI", "1")]
    for wrong in (f"d2c:wrong@127.0.0.1:{one.port}", f"127.0.0.1:{one.port}"):
        with pytest.raises(Retry, match=r"(?i)authori|password") as caught:
            await sink(f"mqtt://{wrong}/d2c").deliver(notices(1))
        assert "wrong" not in str(caught.value)


@needs_mosquitto
async def test_what_a_broker_does_not_take_is_not_delivered(broker, read, sink, tmp_path):
    """MQTT 5 has reason codes for it; nobody would know before that."""
    rights = tmp_path / "rights"
    rights.write_text("topic write open\ntopic read #\n")
    one = await broker("allow_anonymous true", f"acl_file {rights}")
    reader = await read(one)
    await sink(f"mqtt://127.0.0.1:{one.port}/open").deliver(notices(1))
    with pytest.raises(Retry, match="Not authorized"):
        await sink(f"mqtt://127.0.0.1:{one.port}/closed").deliver(notices(1))
    await reader.until(lambda: numbers(reader) == [0])


@needs_mosquitto
async def test_a_message_that_is_too_large_is_the_only_one_that_is_refused(broker, read, sink):
    one = await broker("allow_anonymous true", "max_packet_size 2000")
    reader = await read(one)
    mqtt = sink(f"mqtt://127.0.0.1:{one.port}/d2c")
    large = Notice(1, LANE, 1, "device001", '{"m2m:sgn":"' + "x" * 3000 + '"}')
    batch = [*notices(1), large, *notices(1, 2)]
    with pytest.raises(Retry, match="too large"):
        await mqtt.deliver(batch)
    assert mqtt.limit == 1
    await mqtt.deliver(batch[:1])
    with pytest.raises(Refused, match="too large"):
        await mqtt.deliver([large])
    for number in range(2, 20):
        await mqtt.deliver(notices(1, number))
    assert mqtt.limit > 1
    await reader.until(lambda: 19 in numbers(reader))
    assert list(dict.fromkeys(numbers(reader)))[-18:] == list(range(2, 20))


@needs_mosquitto
async def test_tls(broker, read, sink, authority):
    chain, key = authority.issue("localhost")
    one = await broker("allow_anonymous true", f"certfile {chain}", f"keyfile {key}")
    context = aiomqtt.TLSParameters(ca_certs=str(authority.trust))
    reader = await read(one, tls_params=context)
    address = f"mqtts://localhost:{one.port}/d2c"
    with pytest.raises(Retry, match=r"(?i)certificate"):
        await sink(address).deliver(notices(1))
    trusting = sink(address, ca_file=authority.trust)
    for first in range(0, 100, 10):
        await trusting.deliver(notices(10, first))
    await reader.until(lambda: len(reader.messages) == 100)
    assert numbers(reader) == list(range(100))


async def test_a_broker_that_says_nothing(sink):
    """Neither over TCP alone nor over TLS it is waited for longer than agreed."""
    kept = []
    silent = await asyncio.start_server(lambda reader, writer: kept.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    for scheme in ("mqtt", "mqtts"):
        mqtt = sink(f"{scheme}://127.0.0.1:{port}/d2c", connect_timeout=0.5, answer_timeout=0.5)
        with pytest.raises(Retry, match=r"in time|timed out"):
            await mqtt.deliver(notices(1))
    silent.close()
    for writer in kept:
        writer.close()


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


async def test_nobody_there(sink):
    port = unused_port()
    addresses = (f"mqtt://user:secret@127.0.0.1:{port}/one", f"mqtt://127.0.0.1:{port}/two")
    with pytest.raises(Retry, match=r"/one: .*; .*/two: ") as caught:
        await sink(*addresses).deliver(notices(1))
    assert "secret" not in str(caught.value)
    assert "user" not in str(caught.value)


@needs_mosquitto
async def test_the_next_address_if_the_first_is_not_there(broker, read, sink):
    one = await broker()
    reader = await read(one)
    addresses = f"mqtt://127.0.0.1:{unused_port()}/one", f"mqtt://127.0.0.1:{one.port}/two"
    await sink(*addresses).deliver(notices(1))
    await reader.until(lambda: len(reader.messages) == 1)
    assert str(reader.messages[0].topic) == "two"


@needs_mosquitto
async def test_a_name_is_looked_at_when_it_is_connected(broker, sink):
    """Also with a broker there: nothing of it is heard."""
    one = await broker()
    with pytest.raises(Retry, match="this machine"):
        await sink(f"mqtt://localhost:{one.port}/d2c", allow=()).deliver(notices(1))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("mqtt://127.0.0.1/d2c", "this machine"),
        ("mqtt://169.254.169.254/d2c", "metadata"),
        ("mqtt://[fe80::1]/d2c", "link-local"),
        ("http://broker.example/d2c", "mqtt:// or mqtts://"),
        ("mqtt://broker.example", "TOPIC"),
        ("mqtt://broker.example/", "TOPIC"),
        ("mqtt://broker.example/a/+/b", r"\+ or #"),
        ("mqtt://broker.example/a/#", r"\+ or #"),
        ("mqtt://broker.example/{devices}", r"\{devices\}"),
        ("mqtt://broker.example/" + "x" * 1001, "1000 bytes"),
        ("mqtt://a.example,b.example/d2c", "one broker"),
        ("mqtt://broker.example:0/d2c", "port"),
        ("mqtt://broker.example:99999/d2c", "port"),
        ("mqtt://user:secret@bro ker/d2c", "blanks"),
        ("mqtt://user:secret@broker:x/d2c", "HOST"),
        ("mqtt://user:sec/ret@broker/d2c", "HOST"),
    ],
)
async def test_addresses_that_make_no_sink(sink, address, reason):
    with pytest.raises(Refused, match=reason) as caught:
        sink(address, allow=())
    assert "sec" not in str(caught.value)


async def test_without_the_client_library_notices_wait(sink, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'aiomqtt'", name="aiomqtt")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(Retry, match=r"EndpointType:MQTT needs pip install 'lwm2m-engine\[mqtt\]'"):
        await sink("mqtt://127.0.0.1/d2c").deliver(notices(1))


@needs_mosquitto
async def test_a_device_is_one_level_of_the_topic(broker, read, sink):
    one = await broker()
    reader = await read(one)
    mqtt = sink(f"mqtt://127.0.0.1:{one.port}/{{device}}/{{tenant}}")
    for device in ("a/b", "+#", None):
        await mqtt.deliver(notices(1, device=device))
    await reader.until(lambda: len(reader.messages) == 3)
    assert [str(message.topic) for message in reader.messages] == ["a%2Fb/main", "%2B%23/main", "-/main"]


def test_the_application_of_the_how_to_has_a_sink():
    page = (Path(__file__).parents[2] / "docs/how-to/mqtt.md").read_text()
    (text,) = re.findall(r"-d '(.*?)'$", page, re.MULTILINE | re.DOTALL)
    application = json.loads(text)["m2m:ae"]
    assert application["lbl"] == ["EndpointType:MQTT"]
    deliveries = DeliverySettings(allow=("127.0.0.1",))
    sinks = MqttSinks(deliveries, open_guard(deliveries), "0123456789")
    assert sinks(Endpoint("main", "MQTT", tuple(application["poa"]), tuple(application["poah"])))


# --- the whole server ------------------------------------------------------------------------------------


async def create(client, path, ty, body, **headers):
    headers["Content-Type"] = f"application/json;ty={ty}"
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text


async def say(client, first, count):
    for number in range(first, first + count):
        await create(client, BOX, 4, {"m2m:cin": {"con": {"number": number}}})


def told(bodies):
    """The numbers; the second subscription is something new in the box, too."""
    found = (body["m2m:sgn"]["nev"]["rep"] for body in bodies)
    return [one["m2m:cin"]["con"]["number"] for one in found if "m2m:cin" in one]


@needs_mosquitto
async def test_kill_and_a_dying_broker_lose_nothing_and_slow_nobody(broker, read, serve, listen):
    one = await broker()
    reader, receiver = await read(one), await listen()
    settings = {"ALLOW": "127.0.0.1", "FIRST_RETRY": "0.05", "LONGEST_RETRY": "0.2"}
    server = serve(**{f"LWM2M_DELIVERIES_{name}": value for name, value in settings.items()})
    headers = {"X-M2M-Origin": "CApp", "X-M2M-RI": "1"}
    async with httpx.AsyncClient(base_url=server.http, headers=headers) as client:
        mqtt = {"poa": [f"mqtt://127.0.0.1:{one.port}/d2c/{{device}}"], "lbl": ["EndpointType:MQTT"]}
        await create(client, BASE, 2, {"m2m:ae": {"api": "NApp", "rn": "Slow", "rr": True, **mqtt}})
        hook = {"api": "NApp", "rn": "Quick", "poa": [receiver.url], "rr": True}
        await create(client, BASE, 2, {"m2m:ae": hook}, **{"X-M2M-Origin": "CQuick"})
        await create(client, BASE, 14, {"m2m:nod": {"rn": "device001", "ni": "device001"}})
        for name in ("Slow", "Quick"):
            await create(client, BOX, 23, {"m2m:sub": {"nu": [f"main/{name}"], "enc": {"net": [3]}}})
        await say(client, 0, 10)
        await reader.until(lambda: len(told(reader.bodies)) == 10)
        await one.stop()
        await say(client, 10, 10)
        await receiver.until(lambda: len(told(receiver.bodies)) >= 20)
    server.kill()
    await one.start()
    server.restart()
    async with httpx.AsyncClient(base_url=server.http, headers=headers) as client:
        await say(client, 20, 10)
    await reader.until(lambda: len(set(told(reader.bodies))) == 30)
    assert list(dict.fromkeys(told(reader.bodies))) == list(range(30))
    assert str(reader.messages[0].topic) == "d2c/device001"
    await receiver.until(lambda: set(told(receiver.bodies)) == set(range(30)))
