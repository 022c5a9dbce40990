"""kill -9 at any moment: after restart every acknowledged fact is there and no file needs repair."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from bisect import bisect
from collections import defaultdict

import pytest
import tinydb

from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory

ROUNDS = 10

PROGRAM = """
import asyncio, sys
from pathlib import Path
from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_server.store import contacts
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory
from lwm2m_server.store.records import Application, Message, Resource

data = DataDirectory(Path(sys.argv[1]))
ledger = SqliteLedger(data.ledger, power_safe=sys.argv[2] == "safe")
inventory = TinyInventory(data.inventory)
first = ledger.highest_id + 1

contacts.LONG = 300
live = Liveness(Peer("h", 1), 1.0, None)

def registration(node):
    return Registration("r", f"d{node}", "1.1", 0, "U", False, "/", {}, (), (), (), None, {}, 1.0)

def say(*words):
    print(*words, flush=True)

async def device(number):
    node = first + number * 1_000_000
    await ledger.commit(lambda tx: tx.put(Resource(node, "t", 0, f"d{node}", 14, "m2m:nod", {}, 1)))
    say("node", node)
    box = Resource(node + 1, "t", node, "box", 3, "m2m:cnt", {"mni": 10**9, "mbs": 10**9}, 1)
    await ledger.commit(lambda tx: (tx.put(box), tx.put_registration(node, registration(node), live, 1.0)))
    for id in range(node + 2, node + 900_000):
        row = Message(id, node + 1, None, "C", 0, "x" * (id % 700), None, id % 700)
        await ledger.commit(lambda tx: tx.add_message(row))
        say("message", id)
        await ledger.commit(lambda tx: tx.renew(node, float(id), None))
        say("contact", id)

async def applications():
    id = inventory.highest_id
    while True:
        id += 1
        label = "x" * (id % 999)
        await inventory.put_application(Application(id, "t", f"a{id}", "N.x", f"C{id}", {"lbl": [label]}, id))
        say("application", id)
        if id % 3 == 0:
            say("removing", id - 1)
            await inventory.remove_application(id - 1)
            say("removed", id - 1)

async def main():
    await asyncio.gather(applications(), *[device(number) for number in range(8)])

asyncio.run(main())
"""


def work_until_killed(path, mode):
    """What was acknowledged, line by line, when the process was killed at some moment of its work."""
    command = [sys.executable, "-c", PROGRAM, str(path), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        text = process.stdout.readline()
        time.sleep(random.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        text += process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    whole, _, _ = text.decode().rpartition("\n")
    return [line.split() for line in whole.splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("mode", ["fast", "safe"])
def test_both_stores_keep_what_they_acknowledged(tmp_path, mode):
    said = defaultdict(set)
    for _ in range(ROUNDS):
        for what, id in work_until_killed(tmp_path, mode):
            said[what].add(int(id))
        with DataDirectory(tmp_path) as data:
            check_ledger(data.ledger, said)
            check_inventory(data.inventory, said)
    assert min(len(said["message"]), len(said["application"])) > ROUNDS


def check_ledger(path, said):
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    ledger = SqliteLedger(path)
    nodes = sorted(device.node for device in ledger.reader.devices())
    contacts = defaultdict(int)
    for id in sorted(said["contact"]):
        contacts[nodes[bisect(nodes, id) - 1]] = id
    assert {device.node for device in ledger.reader.devices()} >= said["node"]
    for id in said["message"]:
        assert ledger.reader.message(id).size == id % 700
    for device in ledger.reader.devices():
        assert (device.updated_at or 0) >= contacts[device.node]
        messages = ledger.reader.messages(device.node + 1)
        counters = ledger.reader.counters(device.node + 1)
        assert counters.instances == counters.state_tag == len(messages)
        assert counters.bytes == sum(message.size for message in messages)
    ledger.close()


def check_inventory(path, said):
    json.loads(path.read_text())
    found = {application.id for application in TinyInventory(path).applications("t")}
    assert found >= said["application"] - said["removing"]
    assert not found & said["removed"]
    with tinydb.TinyDB(path) as stock:
        assert len(stock.table("applications")) == len(found)
