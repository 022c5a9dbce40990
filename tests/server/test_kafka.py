"""Kafka against a real broker of one node (``tests/interop/kafka/install.sh``): in order by device,
acknowledged, and what becomes of notices while the broker is away."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
from pathlib import Path

import aiokafka
import httpx
import pytest
from aiokafka.errors import KafkaError

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks import extras
from lwm2m_server.sinks.addresses import open_guard
from lwm2m_server.sinks.kafka import KafkaSinks
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry
from lwm2m_server.store.records import Lane, Notice

FOLDER = os.environ.get("INTEROP_KAFKA")
JAVA = shutil.which("java")
BASE = "/device-management-orchestrator/v3/main"
LANE = Lane("main", "CApp")
SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{controller}
listeners=PLAINTEXT://localhost:{plain},SASL_PLAINTEXT://localhost:{sasl},SSL://localhost:{tls},OTHER://localhost:{other},CONTROLLER://localhost:{controller}
advertised.listeners=PLAINTEXT://localhost:{plain},SASL_PLAINTEXT://localhost:{sasl},SSL://localhost:{tls},OTHER://127.0.0.2:{other}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,OTHER:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} required user_d2c="secret";
ssl.keystore.type=PEM
ssl.keystore.location={keys}
log.dirs={data}
num.partitions=3
message.max.bytes=100000
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
PORTS = ("plain", "sasl", "tls", "other", "controller")

pytestmark = pytest.mark.slow
needs_kafka = pytest.mark.skipif(
    JAVA is None or FOLDER is None,
    reason="INTEROP_KAFKA names no folder with Kafka (tests/interop/kafka/install.sh), or there is no Java",
)


class Kafka:
    """A cluster of one."""

    def __init__(self, folder, authority):
        self._folder, self._process = folder, None
        self.ports = dict(zip(PORTS, unused_ports(len(PORTS)), strict=True))
        chain, key = authority.issue("localhost")
        keys = folder / "keys.pem"
        keys.write_bytes(key.read_bytes() + chain.read_bytes())
        self._file = folder / "server.properties"
        self._file.write_text(SETTINGS.format(**self.ports, login=LOGIN, keys=keys, data=folder / "data"))

    def address(self, kind="plain", host="localhost"):
        return f"{host}:{self.ports[kind]}"

    async def format(self):
        await (await self._run("kafka.tools.StorageTool", "format", "-t", "A" * 22, "-c", self._file)).wait()

    async def start(self):
        self._process = await self._run("kafka.Kafka", self._file)
        async with asyncio.timeout(90):
            while not await self._answers():
                assert self._process.returncode is None, (self._folder / "log").read_text()[-2000:]
                await asyncio.sleep(0.2)

    async def _run(self, *words):
        command = [JAVA, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{FOLDER}/*"]
        with (self._folder / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(*command, *words, stdout=log, stderr=log)

    async def _answers(self):
        """It has a leader, and takes what is produced."""
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=self.address())
        try:
            async with asyncio.timeout(10):
                await producer.start()
                await producer.send_and_wait("ready", b"?")
        except (KafkaError, TimeoutError):
            return False
        else:
            return True
        finally:
            await producer.stop()

    async def kill(self):
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
            self._process = None

    async def records(self, topic, enough, seconds=60):
        """All of a topic from its beginning, once there are enough."""
        consumer = aiokafka.AIOKafkaConsumer(
            topic, bootstrap_servers=self.address(), auto_offset_reset="earliest"
        )
        await consumer.start()
        found = []
        try:
            async with asyncio.timeout(seconds):
                while not enough(found):
                    batches = await consumer.getmany(timeout_ms=200)
                    found += [record for batch in batches.values() for record in batch]
        finally:
            await consumer.stop()
        return found


def unused_ports(count):
    free = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in free]
    finally:
        for one in free:
            one.close()


@pytest.fixture
async def broker(tmp_path, authority):
    kafka = Kafka(tmp_path, authority)
    await kafka.format()
    await kafka.start()
    yield kafka
    await kafka.kill()


@pytest.fixture
async def sink():
    """``sink("kafka://…", headers=…, answer_timeout=1)``"""
    made = []

    def sink(*addresses, headers=(), allow=("127.0.0.1", "::1"), **settings):
        deliveries = DeliverySettings(allow=allow, **settings)
        made.append(
            KafkaSinks(deliveries, open_guard(deliveries))(Endpoint("main", "Kafka", addresses, headers))
        )
        return made[-1]

    yield sink
    for one in made:
        await one.close()


def notices(count, first=0, device="device001"):
    return [
        Notice(number, LANE, 1, device, f'{{"m2m:sgn":{number}}}') for number in range(first, first + count)
    ]


def numbers(records):
    return [json.loads(record.value)["m2m:sgn"] for record in records]


@needs_kafka
async def test_notices_are_produced_in_order(broker, sink):
    kafka = sink(f"kafka://{broker.address()}/d2c", headers=("site: north",))
    assert kafka.limit > 1
    for first in range(0, 300, 60):
        await kafka.deliver(notices(60, first))
    found = await broker.records("d2c", lambda records: len(records) >= 300)
    assert numbers(found) == list(range(300))
    assert {record.key for record in found} == {b"device001"}
    assert len({record.partition for record in found}) == 1
    assert found[10].headers == (
        ("content-type", b"application/json"),
        ("X-M2M-RI", b"a"),
        ("site", b"north"),
    )


@needs_kafka
async def test_a_broker_that_is_killed_and_comes_back(broker, sink):
    kafka = sink(f"kafka://{broker.address()}/d2c", answer_timeout=2)
    await kafka.deliver(notices(20))
    await broker.kill()
    with pytest.raises(Retry, match=r"in time|connect"):
        await kafka.deliver(notices(20, 20))
    with pytest.raises(Retry, match=r"localhost:\d+"):
        await kafka.deliver(notices(20, 20))
    await broker.start()
    await deliver(kafka, notices(20, 20))
    found = numbers(await broker.records("d2c", lambda records: set(numbers(records)) >= set(range(40))))
    assert list(dict.fromkeys(found)) == list(range(40))


async def deliver(kafka, batch):
    """As often as it takes: a cluster that was started has no leader at first."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await kafka.deliver(batch)
            except Retry:
                await asyncio.sleep(0.1)


@needs_kafka
async def test_who_the_server_is_to_the_broker_and_what_it_does_not_take(broker, sink):
    """One broker for all of it: each takes seconds to start."""
    sasl = broker.address("sasl")
    await sink(f"kafka://d2c:secret@{sasl}/login").deliver(notices(1))
    account = ("username: d2c", "password: secret", "sasl-mechanism: PLAIN")
    await sink(f"kafka://{sasl}/login", headers=account).deliver(notices(1, 1))
    found = await broker.records("login", lambda records: len(records) >= 2)
    assert numbers(found) == [0, 1]
    assert [name for name, _ in found[1].headers] == ["content-type", "X-M2M-RI"]
    with pytest.raises(Retry, match=r"(?i)auth") as caught:
        await sink(f"kafka://d2c:wrong@{sasl}/login").deliver(notices(1))
    assert "wrong" not in str(caught.value)
    scram = ("username: d2c", "password: secret", "sasl-mechanism: SCRAM-SHA-256")
    with pytest.raises(Retry, match="SaslMechanism"):
        await sink(f"kafka://{sasl}/login", headers=scram).deliver(notices(1))

    kafka = sink(f"kafka://{broker.address()}/sizes")
    large = Notice(1, LANE, 1, "device001", '{"m2m:sgn":"' + "x" * 200_000 + '"}')
    batch = [*notices(1), large, *notices(1, 2)]
    with pytest.raises(Retry):
        await kafka.deliver(batch)
    assert kafka.limit == 1
    await kafka.deliver(batch[:1])
    with pytest.raises(Refused):
        await kafka.deliver([large])
    await kafka.deliver(batch[2:])
    found = numbers(await broker.records("sizes", lambda records: 2 in numbers(records)))
    assert [*dict.fromkeys(found)][-1] == 2
    assert set(found) == {0, 2}


@needs_kafka
async def test_tls(broker, sink, authority):
    address = f"kafkas://{broker.address('tls')}/tls"
    with pytest.raises(Retry, match=r"(?i)certificate"):
        await sink(address).deliver(notices(1))
    await sink(address, ca_file=authority.trust).deliver(notices(3))
    assert numbers(await broker.records("tls", lambda records: len(records) == 3)) == [0, 1, 2]


@needs_kafka
async def test_what_is_advertised_is_looked_at_as_well(broker, sink):
    kafka = sink(
        f"kafka://{broker.address('other', '127.0.0.1')}/d2c", allow=("127.0.0.1",), answer_timeout=2
    )
    with pytest.raises(Retry, match=r"advertises as 127\.0\.0\.2:\d+: 127\.0\.0\.2 is this machine"):
        await kafka.deliver(notices(1))


@needs_kafka
async def test_kill_of_broker_and_server_loses_nothing_and_slows_nobody(broker, serve, listen):
    receiver = await listen()
    settings = {
        "ALLOW": "127.0.0.1",
        "FIRST_RETRY": "0.1",
        "LONGEST_RETRY": "0.5",
        "ANSWER_TIMEOUT": "2",
    }
    server = serve(**{f"LWM2M_DELIVERIES_{name}": value for name, value in settings.items()})
    box = f"{BASE}/device-communication/device001/received-msg"
    headers = {"X-M2M-Origin": "CApp", "X-M2M-RI": "1"}

    async def create(path, ty, body, **more):
        more["Content-Type"] = f"application/json;ty={ty}"
        answer = await client.post(path, json=body, headers=more)
        assert answer.status_code == 201, answer.text

    async def say(first, count):
        for number in range(first, first + count):
            await create(box, 4, {"m2m:cin": {"con": {"number": number}}})

    async with httpx.AsyncClient(base_url=server.http, headers=headers) as client:
        kafka = {"poa": [f"kafka://{broker.address()}/d2c"], "lbl": ["EndpointType:Kafka"]}
        await create(BASE, 2, {"m2m:ae": {"api": "NApp", "rn": "Slow", "rr": True, **kafka}})
        hook = {"api": "NApp", "rn": "Quick", "poa": [receiver.url], "rr": True}
        await create(BASE, 2, {"m2m:ae": hook}, **{"X-M2M-Origin": "CQuick"})
        await create(BASE, 14, {"m2m:nod": {"rn": "device001", "ni": "device001"}})
        for name in ("Slow", "Quick"):
            await create(box, 23, {"m2m:sub": {"nu": [f"main/{name}"], "enc": {"net": [3]}}})
        await say(0, 10)
        await broker.records("d2c", lambda records: len(told(records)) == 10)
        await broker.kill()
        await say(10, 10)
        await receiver.until(lambda: len(receiver.bodies) >= 20)
    server.kill()
    await broker.start()
    server.restart()
    async with httpx.AsyncClient(base_url=server.http, headers=headers) as client:
        await say(20, 10)
    found = await broker.records("d2c", lambda records: set(told(records)) == set(range(30)))
    assert list(dict.fromkeys(told(found))) == list(range(30))


def told(records):
    """The numbers; the second subscription is something new in the box, too."""
    found = (json.loads(record.value)["m2m:sgn"]["nev"]["rep"] for record in records)
    return [one["m2m:cin"]["con"]["number"] for one in found if "m2m:cin" in one]


# --- without a broker ------------------------------------------------------------------------------------


async def test_nobody_there(sink):
    first, second = unused_ports(2)
    kafka = sink(f"kafka://user:secret@127.0.0.1:{first},127.0.0.1:{second}/d2c")
    with pytest.raises(Retry, match=rf"127\.0\.0\.1:{first}: .*; 127\.0\.0\.1:{second}: ") as caught:
        await kafka.deliver(notices(1))
    assert "secret" not in str(caught.value)


async def test_a_broker_that_says_nothing(sink):
    kept = []
    silent = await asyncio.start_server(lambda reader, writer: kept.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(Retry, match=rf"kafka://127\.0\.0\.1:{port}/d2c: "):
        await sink(f"kafka://127.0.0.1:{port}/d2c", answer_timeout=0.3).deliver(notices(1))
    silent.close()
    for writer in kept:
        writer.close()


async def test_a_name_is_looked_at_when_it_is_connected(sink):
    connections = []
    server = await asyncio.start_server(lambda reader, writer: connections.append(writer), "localhost", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Retry, match="this machine"):
        await sink(f"kafka://localhost:{port}/d2c", allow=()).deliver(notices(1))
    assert connections == []
    server.close()


@pytest.mark.parametrize(
    ("address", "headers", "reason"),
    [
        ("kafka://127.0.0.1/d2c", (), "this machine"),
        ("kafka://broker.example,169.254.169.254/d2c", (), "metadata"),
        ("mqtt://broker.example/d2c", (), "kafka:// or kafkas://"),
        ("kafka://broker.example", (), "TOPIC"),
        ("kafka://broker.example/a/b", (), "a topic has"),
        ("kafka://broker.example/..", (), "a topic has"),
        ("kafka://user:secret@broker.example:0/d2c", (), "port"),
        ("kafka://user:secret@broker.example,/d2c", (), "HOST"),
        ("kafka://broker.example/d2c", ("sasl-mechanism: GSSAPI",), "SCRAM"),
        ("kafka://broker.example/d2c", ("no header",), "poah"),
    ],
)
async def test_addresses_that_make_no_sink(sink, address, headers, reason):
    with pytest.raises(Refused, match=reason) as caught:
        sink(address, headers=headers, allow=())
    assert "secret" not in str(caught.value)


async def test_without_the_client_library_notices_wait(sink, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'aiokafka'", name="aiokafka")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(Retry, match=r"EndpointType:Kafka needs pip install 'lwm2m-engine\[kafka\]'"):
        await sink("kafka://127.0.0.1/d2c").deliver(notices(1))


def test_the_application_of_the_how_to_has_a_sink():
    page = (Path(__file__).parents[2] / "docs/how-to/kafka.md").read_text()
    (text,) = re.findall(r"-d '(.*?)'$", page, re.MULTILINE | re.DOTALL)
    application = json.loads(text)["m2m:ae"]
    assert application["lbl"] == ["EndpointType:Kafka"]
    deliveries = DeliverySettings(allow=("127.0.0.1",))
    sinks = KafkaSinks(deliveries, open_guard(deliveries))
    assert sinks(Endpoint("main", "Kafka", tuple(application["poa"]), tuple(application["poah"])))
