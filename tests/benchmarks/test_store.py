"""The ledger: cost of an Update and of a message, with few and with many rows stored."""

import asyncio

import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Message, Resource

DEVICES = 1000
IN_FLIGHT = 64
CONTENT = '{"nodeResourceName":"dev1","dataValue":{"3/0/9":72}}' * 4
LIVE = Liveness(Peer("192.0.2.1", 5683), 1000.0, 1300.0)


def registration(endpoint):
    instances = (Path("/1/0"), Path("/3/0"), Path("/6/0"))
    links = tuple(Link(str(path)) for path in instances)
    versions = {1: "1.1", 3: "1.1", 6: "1.0"}
    return Registration(
        "r", endpoint, "1.1", 300, "U", False, "/", versions, instances, links, (), None, {}, 1.0
    )


def message(id, container):
    return Message(id, container, None, "CDevice-Provisioning", 0, CONTENT, None, len(CONTENT))


def fill(rows):
    """Devices 1..1000, each with a container that one message fills, and ``rows`` messages elsewhere."""

    def operation(tx):
        for number in range(1, DEVICES + 1):
            tx.put(Resource(number, "main", 0, f"d{number}", 14, "m2m:nod", {}, 1))
            tx.put_registration(number, registration(f"d{number}"), LIVE, 1.0)
            tx.put(Resource(10_000 + number, "main", number, "box", 3, "m2m:cnt", {"mni": 1}, 1))
            tx.add_message(message(100_000 + number, 10_000 + number))
        tx.put(Resource(20_000, "main", 0, "archive", 3, "m2m:cnt", {"mni": 10**9, "mbs": 10**12}, 1))
        for index in range(rows):
            tx.add_message(message(1_000_000 + index, 20_000))

    return operation


@pytest.fixture(params=[100, 100_000])
def ledger(request, tmp_path):
    opened = SqliteLedger(tmp_path / "ledger.db")
    opened.run(fill(request.param))
    yield opened
    opened.close()


@pytest.fixture
def loop():
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        yield runner.get_loop()


async def in_flight(ledger, operations):
    """Commit each, 64 at a time, as devices do that wait for their answers."""
    waiting = iter(operations)

    async def device():
        for operation in waiting:
            await ledger.commit(operation)

    await asyncio.gather(*[device() for _ in range(IN_FLIGHT)])


def touches(count):
    for number in range(count):
        live = Liveness(LIVE.peer, 2.0 + number, 302.0 + number)
        yield lambda tx, node=number * 7 % DEVICES + 1, live=live: tx.touch(node, live, live.seen_at)


def contacts(count):
    for number in range(count):
        at = 2.0 + number
        yield lambda tx, node=number * 7 % DEVICES + 1, at=at: tx.renew(node, at, at + 300)


@pytest.fixture(scope="module")
def message_ids():
    return iter(range(2_000_000, 100_000_000))


def inserts(count, ids):
    for number in range(count):
        new = message(next(ids), 10_001 + number * 7 % DEVICES)
        yield lambda tx, new=new: tx.add_message(new)


def test_one_update_alone(benchmark, ledger, loop):
    (operation,) = touches(1)

    async def commit():
        await ledger.commit(operation)

    benchmark(lambda: loop.run_until_complete(commit()))


def test_2000_updates_from_new_addresses_64_in_flight(benchmark, ledger, loop):
    benchmark.pedantic(
        lambda: loop.run_until_complete(in_flight(ledger, touches(2000))), rounds=10, warmup_rounds=1
    )


def test_2000_updates_from_the_same_address_64_in_flight(benchmark, ledger, loop):
    benchmark.pedantic(
        lambda: loop.run_until_complete(in_flight(ledger, contacts(2000))), rounds=10, warmup_rounds=1
    )


def test_2000_messages_64_in_flight(benchmark, ledger, loop, message_ids):
    benchmark.pedantic(
        lambda: loop.run_until_complete(in_flight(ledger, inserts(2000, message_ids))),
        rounds=10,
        warmup_rounds=1,
    )


def test_reading_a_device(benchmark, ledger):
    benchmark(ledger.reader.device_of_endpoint, "d500")


def test_reading_the_latest_message(benchmark, ledger):
    benchmark(ledger.reader.latest, 10_001)
