"""The ledger against dictionaries: random operations in batches, some of which fail to commit."""

import asyncio
import copy
import shutil
import sqlite3
import tempfile
from pathlib import Path

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_server.store import contacts, evicted
from lwm2m_server.store.errors import CommitFailed, Conflict, ContainerFull, Gone
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Message, Resource, SealedCredential

REFUSALS = (Conflict, ContainerFull, Gone)
BOXES = (1, 2, 3)
NODES = (11, 12, 13)


class Model:
    """What the ledger has to hold, in the plainest way."""

    def __init__(self):
        self.boxes = {}  # id -> [state tag, mni, mbs, evict, {message id: message}]
        self.nodes = {}  # id -> [node id, endpoint, identity, registration, liveness]

    def put_box(self, id, mni, mbs, evict):
        if id in self.boxes:
            raise Conflict
        self.boxes[id] = [0, mni, mbs, evict, {}]

    def limit_box(self, id, mni, mbs):
        if id in self.boxes:
            box = self.boxes[id]
            box[0] += 1
            box[1:3] = mni, mbs
            while box[3] and not self._fits(box, 0, 0):
                del box[4][min(box[4])]

    def remove(self, id):
        self.boxes.pop(id, None)
        self.nodes.pop(id, None)

    def add(self, message):
        box = self.boxes.get(message.container)
        if box is None:
            raise Gone
        if any(other.name == message.name for other in box[4].values()):
            raise Conflict
        if box[1] < 1 or message.size > box[2] or not (box[3] or self._fits(box, 1, message.size)):
            raise ContainerFull
        while not self._fits(box, 1, message.size):
            del box[4][min(box[4])]
        box[0] += 1
        box[4][message.id] = attrs.evolve(message, state_tag=box[0])

    def drop(self, id):
        for box in self.boxes.values():
            box[4].pop(id, None)

    def move(self, id, container, target, new_id):
        messages = self.boxes[container][4] if container in self.boxes else {}
        message = messages.pop(id, None)
        if message is not None:
            try:
                self.add(attrs.evolve(message, id=new_id, container=target, own_name=None))
            except (Gone, ContainerFull):
                messages[id] = message
                raise

    def put_node(self, id, node_id):
        if id in self.nodes or any(node[0] == node_id for node in self.nodes.values()):
            raise Conflict
        self.nodes[id] = [node_id, None, None, None, None]

    def set(self, id, column, value, also=()):
        if id not in self.nodes:
            raise Gone
        for other, node in self.nodes.items():
            if other != id and column in (1, 2) and value is not None and node[column] == value:
                raise Conflict
        self.nodes[id][column] = value
        for extra, content in also:
            self.nodes[id][extra] = content

    def end(self, id):
        if id in self.nodes:
            self.nodes[id][3:] = None, None

    def touch(self, id, live):
        if id not in self.nodes or self.nodes[id][3] is None:
            raise Gone
        self.nodes[id][4] = live

    def renew(self, id, at):
        if id in self.nodes and self.nodes[id][4] is not None:
            live = self.nodes[id][4]
            self.nodes[id][4] = attrs.evolve(live, seen_at=at, expires_at=at + 9.0)

    @staticmethod
    def _fits(box, instances, size):
        stored = sum(message.size for message in box[4].values())
        return len(box[4]) + instances <= box[1] and stored + size <= box[2]


class Breaking(sqlite3.Connection):
    failures = 0

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Breaking.failures:
            Breaking.failures -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *arguments)


def connect(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Breaking)


def registration(endpoint, number):
    return Registration(
        str(number), endpoint, "1.1", 60, "U", False, "/", {3: "1.1"}, (), (), (), None, {}, float(number)
    )


boxes, nodes, names = st.sampled_from(BOXES), st.sampled_from(NODES), st.sampled_from(["a", "b", None])
limits = st.tuples(st.integers(0, 4), st.integers(0, 30))


LONG, SHARE = contacts.LONG, contacts.SHARE
EVICTED_LONG, EVICTED_SHARE = evicted.LONG, evicted.SHARE


class LedgerMachine(RuleBasedStateMachine):
    """Operations gather in ``waiting`` and are committed together."""

    @initialize(power_safe=st.booleans(), long=st.integers(1, 6), share=st.integers(1, 3))
    def open(self, power_safe, long, share):
        contacts.LONG, contacts.SHARE = long, share
        evicted.LONG, evicted.SHARE = long, share + 1
        self.power_safe = power_safe
        self.directory = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.ledger = self.open_ledger()
        self.model = Model()
        self.waiting = []
        self.number = 1000
        for box, (mni, mbs, evict) in zip(
            BOXES, [(3, 100, True), (100, 30, True), (3, 30, False)], strict=True
        ):
            self.put_box(box, (mni, mbs), evict)
        self.put_node(NODES[0], "urn:1")
        self.commit()

    def open_ledger(self):
        return SqliteLedger(self.directory / "ledger.db", power_safe=self.power_safe, connect=connect)

    def an_id(self, index):
        """Of a message that is stored; or of none."""
        stored = sorted(id for box in self.model.boxes.values() for id in box[4])
        return stored[index % len(stored)] if stored else 0

    def later(self, on_model, on_ledger):
        self.waiting.append((on_model, on_ledger))

    @rule(box=boxes, limits=limits, evict=st.booleans())
    def put_box(self, box, limits, evict):
        attributes = dict(zip(("mni", "mbs"), limits, strict=True))
        row = Resource(box, "t", 0, f"box{box}", 3, "m2m:cnt", attributes, 1)
        self.later(lambda model: model.put_box(box, *limits, evict), lambda tx: tx.put(row, evict=evict))

    @rule(box=boxes, limits=limits)
    def limit_box(self, box, limits):
        attributes = dict(zip(("mni", "mbs"), limits, strict=True))
        self.later(lambda model: model.limit_box(box, *limits), lambda tx: tx.change(box, attributes, 2))

    @rule(id=boxes | nodes)
    def remove(self, id):
        self.later(lambda model: model.remove(id), lambda tx: tx.remove(id))

    @rule(box=boxes, size=st.integers(0, 20), name=names)
    def add(self, box, size, name):
        self.number += 1
        row = Message(self.number, box, name, "C", 0, "x" * size, None, size, ("l",))
        self.later(lambda model: model.add(row), lambda tx: tx.add_message(row))

    @rule(index=st.integers(0, 20))
    def drop(self, index):
        id = self.an_id(index)
        self.later(lambda model: model.drop(id), lambda tx: tx.remove_message(id))

    @rule(index=st.integers(0, 20), box=boxes, to=boxes)
    def move(self, index, box, to):
        id, self.number = self.an_id(index), self.number + 1
        new = self.number
        self.later(
            lambda model: model.move(id, box, to, new),
            lambda tx: tx.move_message(id, box, to, new),
        )

    @rule(box=boxes)
    def give_up_half_way(self, box):
        """An operation that writes and then raises."""
        self.number += 1
        row = Message(self.number, box, None, "C", 0, "x", None, 1)

        def on_ledger(tx):
            tx.remove(NODES[1])
            tx.add_message(row)
            raise Conflict("enough")

        def on_model(model):
            model.add(row)
            raise Conflict

        self.later(on_model, on_ledger)

    @rule(node=nodes, node_id=st.sampled_from(["urn:1", "urn:2", "urn:3"]))
    def put_node(self, node, node_id):
        row = Resource(node, "t", 0, f"d{node}", 14, "m2m:nod", {"ni": node_id}, 1)
        self.later(lambda model: model.put_node(node, node_id), lambda tx: tx.put(row))

    @rule(node=nodes, identity=names)
    def put_credential(self, node, identity):
        row = SealedCredential(
            node, "management", "psk", f"own-{node}", identity and identity.encode(), {}, None
        )
        self.later(lambda model: model.set(node, 2, identity), lambda tx: tx.put_credential(row))

    @rule(node=nodes, endpoint=st.sampled_from(["a", "b"]))
    def register(self, node, endpoint):
        self.number += 1
        record, live = registration(endpoint, self.number), Liveness(Peer("h", 1), float(self.number), None)
        self.later(
            lambda model: model.set(node, 1, endpoint, also=((3, record), (4, live))),
            lambda tx: tx.put_registration(node, record, live, live.seen_at),
        )

    @rule(node=nodes)
    def update(self, node):
        self.number += 1
        live = Liveness(Peer("h", 2, "coaps", "i"), float(self.number), 9.0)

        def touch(tx):
            if tx.device(node) is None or tx.device(node).registration is None:
                raise Gone
            tx.touch(node, live, 1.0)

        self.later(lambda model: model.touch(node, live), touch)

    @rule(node=nodes)
    def renew(self, node):
        self.number += 1
        at = float(self.number)
        self.later(lambda model: model.renew(node, at), lambda tx: tx.renew(node, at, at + 9.0))

    @rule(node=nodes, expired=st.booleans())
    def end(self, node, expired):
        self.later(lambda model: model.end(node), lambda tx: tx.end_registration(node, 1.0, expired=expired))

    @precondition(lambda self: self.waiting)
    @rule()
    def commit(self):
        outcomes = self.run_waiting()
        for (on_model, _), outcome in zip(self.waiting, outcomes, strict=True):
            before = copy.deepcopy(self.model)
            expected = None
            try:
                on_model(self.model)
            except REFUSALS as refusal:
                expected, self.model = type(refusal), before
            assert (type(outcome) if isinstance(outcome, BaseException) else None) is expected
        self.waiting = []

    @precondition(lambda self: self.waiting)
    @rule()
    def fail(self):
        Breaking.failures = 1
        assert {type(outcome) for outcome in self.run_waiting()} == {CommitFailed}
        assert Breaking.failures == 0
        self.waiting = []

    @rule()
    def restart(self):
        self.ledger.close()
        self.ledger = self.open_ledger()

    def run_waiting(self):
        async def run():
            futures = [self.ledger.commit(on_ledger) for _, on_ledger in self.waiting]
            return await asyncio.gather(*futures, return_exceptions=True)

        return self.loop.run_until_complete(run())

    @invariant()
    def the_ledger_is_as_the_model(self):
        read = self.ledger.reader
        for id in BOXES:
            tag, _, _, _, messages = self.model.boxes.get(id, [0, 0, 0, True, {}])
            stored = list(messages.values())
            counters = read.counters(id)
            assert (counters.state_tag, counters.instances) == (tag, len(stored))
            assert counters.bytes == sum(message.size for message in stored)
            assert read.messages(id) == sorted(stored, key=lambda message: message.id)
            assert all(read.message_named(id, message.name) == message for message in stored)
        for id in NODES:
            node, device = self.model.nodes.get(id), read.device(id)
            assert (node is None) == (device is None)
            if device is not None:
                row = read.credential(id, "management")
                identity = row.identity.decode() if row is not None and row.identity else None
                facts = device.node_id, device.endpoint, identity, device.registration, device.liveness
                assert list(facts) == node

    def teardown(self):
        contacts.LONG, contacts.SHARE = LONG, SHARE
        evicted.LONG, evicted.SHARE = EVICTED_LONG, EVICTED_SHARE
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.loop.close()
            shutil.rmtree(self.directory)


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
test_ledger_against_a_model = LedgerMachine.TestCase
