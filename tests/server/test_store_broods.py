"""What is born with a resource is, to whoever reads, what it would be with rows of its own."""

import itertools
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_server.onem2m.behaviours.nodes import provision_node, put_node
from lwm2m_server.settings import MessageSettings
from lwm2m_server.store.broods import born
from lwm2m_server.store.errors import Conflict, ContainerFull, Gone
from lwm2m_server.store.ids import NodeIds, uuid_name
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Born, Brood, Message, Resource, Tenant

PARENT = 1000
LIMITS = {"mni": 3, "mbs": 20}
CHILDREN = Brood(
    (
        Born(1, "info", 13, "m2m:dvi", {"mgd": 1007}, named="dlb"),
        Born(2, "queue", 3, "m2m:cnt", LIMITS, evict=False),
        Born(3, "box", 3, "m2m:cnt", LIMITS),
        Born(5, "other", 3, "m2m:cnt", {}),
    )
)
IDS = [PARENT + offset for offset in range(8)] + [2000, 2001]
NAMES = ["info", "queue", "box", "other", "new", "newer"]
BOXES = [PARENT + 2, PARENT + 3, PARENT + 5]


def parent():
    return Resource(PARENT, "main", 1, "parent", 14, "m2m:nod", {}, PARENT)


def with_brood(transaction):
    transaction.put(parent(), brood=CHILDREN)


def with_rows(transaction):
    transaction.put(parent())
    for child in CHILDREN.children:
        transaction.put(born(child, parent()), evict=child.evict)


def message(id, box, size=5):
    return Message(id, box, uuid_name(id), "CAdmin", 0, "x" * size, None, size)


def seen(reader):
    """All that a reader tells about the parent and what is below it."""
    found = [
        [reader.resource(id) for id in IDS],
        [reader.child(PARENT, name) for name in NAMES],
        [reader.below(1, ["parent", name, "deeper"]) for name in NAMES],
        [
            (reader.count_children(PARENT, types), reader.count_children(1, types))
            for types in ((), {3}, {13, 4})
        ],
        [
            (reader.counters(box), reader.is_full(box), reader.messages(box), reader.latest(box))
            for box in BOXES
        ],
        reader.queues(),
    ]
    everyone = reader.children(PARENT)
    pages = itertools.product(((), {3}, {13, 4}), (None, 0, 2), (0, 1, 4))
    found += [
        reader.children(PARENT, types=types, limit=limit, offset=offset) for types, limit, offset in pages
    ]
    # A page begins behind one of those that were asked for.
    found += [
        reader.children(PARENT, types=types, limit=limit, after=after)
        for types, limit, after in itertools.product(((), {3}, {13, 4}), (None, 0, 2), everyone)
        if not types or after.type in types
    ]
    return found


class Undone(Exception):
    pass


ids = st.sampled_from(IDS[1:])
operations = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(BOXES), st.integers(1, 25)),
    st.tuples(st.just("drop"), st.integers(0, 20)),
    st.tuples(st.just("move"), st.integers(0, 20), st.sampled_from(BOXES), st.sampled_from(BOXES)),
    st.tuples(st.just("change"), ids, st.sampled_from([{"mni": 1}, {"mni": 0}, {"lbl": ["a"]}])),
    st.tuples(st.just("remove"), st.sampled_from(IDS)),
    st.tuples(st.just("put"), st.sampled_from(IDS[8:]), st.sampled_from(NAMES), st.sampled_from([3, 13])),
)


def perform(transaction, number, operation):
    name, *rest = operation
    if name == "add":
        transaction.add_message(message(5000 + number, *rest))
    elif name == "drop":
        transaction.remove_message(5000 + rest[0])
    elif name == "move":
        transaction.move_message(5000 + rest[0], rest[1], rest[2], 6000 + number)
    elif name == "change":
        transaction.change(*rest, modified=7000 + number)
    elif name == "remove":
        transaction.remove(*rest)
    else:
        id, title, type = rest
        if transaction.resource(id) is None:
            transaction.put(Resource(id, "main", PARENT, title, type, "key", {}, id))


@settings(max_examples=20, deadline=None)
@given(
    together=st.booleans(),
    jobs=st.lists(st.tuples(st.lists(operations, min_size=1, max_size=4), st.booleans()), max_size=8),
)
def test_nobody_sees_which_children_have_rows(tmp_path_factory, together, jobs):
    place = tmp_path_factory.mktemp("broods")
    results = []
    for number, put in enumerate((with_brood, with_rows)):
        with closing(SqliteLedger(place / f"{number}.db")) as ledger:
            results.append(history(ledger, put, together, jobs))
    for born_with, rows in zip(*results, strict=True):
        assert born_with == rows


def history(ledger, put, together, jobs):
    """What was seen after each step. Some steps are undone, and some parents used as soon as made."""
    numbers = itertools.count()

    def work(transaction, steps, undone):
        found = []
        for step in steps:
            try:
                perform(transaction, next(numbers), step)
            except (Conflict, ContainerFull, Gone) as error:
                found.append(type(error))
        found.append(seen(transaction))
        if undone:
            raise Undone
        return found

    results = []
    if together and jobs:
        steps, _ = jobs[0]
        results.append(ledger.run(lambda tx: (put(tx), work(tx, steps, False))[1]))
        jobs = jobs[1:]
    else:
        ledger.run(put)
    for steps, undone in jobs:
        first = next(numbers)
        with suppress(Undone):
            results.append(ledger.run(lambda tx, steps=steps, undone=undone: work(tx, steps, undone)))
        # An operation may run twice.
        numbers = itertools.count(first + 20)
        results.append(seen(ledger.reader))
    return results


def test_a_node_takes_two_rows_until_one_of_its_children_changes(tmp_path):
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:

        def rows():
            (count,) = ledger._reading.execute("SELECT count(*) FROM resource").fetchone()
            return count

        for number in range(3):
            ids = NodeIds(1000 + 100 * number)
            new = provision_node(
                ids, Tenant(1, "main"), 2, f"dev{number}", f"urn:{number}", (), MessageSettings()
            )
            ledger.run(lambda tx, new=new: put_node(tx, new))
        assert rows() == 6
        assert ledger._reading.execute("SELECT count(*) FROM brood").fetchone() == (2,)
        ledger.run(lambda tx: tx.change(NodeIds(1100).device_info, {"mgd": 1007, "dlb": "other"}, 5))
        assert rows() == 8
        assert ledger.reader.resource(NodeIds(1200).device_info).attributes["dlb"] == "dev2"
        ledger.run(lambda tx: (tx.remove(1100), tx.remove(NodeIds(1100).communication)))
        assert rows() == 4


def test_messages_of_born_containers_go_with_them(tmp_path):
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        ledger.run(with_brood)
        ledger.run(lambda tx: [tx.add_message(message(5000 + box, box)) for box in BOXES])
        ledger.run(lambda tx: tx.remove(PARENT))
        assert [ledger.reader.messages(box) for box in BOXES] == [[], [], []]
        for table in ("message", "entry", "container", "resource"):
            query = f"SELECT count(*) FROM {table}"
            assert ledger._reading.execute(query).fetchone() == (0,), table
        with pytest.raises(Gone):
            ledger.run(lambda tx: tx.add_message(message(6000, BOXES[0])))


def test_new_ids_are_above_those_of_children_without_rows(tmp_path):
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        ledger.run(with_brood)
        assert ledger.highest_id >= PARENT + 5


def test_a_fleet_whose_limits_change_keeps_those_it_was_born_with(tmp_path):
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        for id, limits in ((1000, MessageSettings()), (1100, MessageSettings(mni=7))):
            new = provision_node(NodeIds(id), Tenant(1, "main"), 2, f"d{id}", f"urn:{id}", (), limits)
            ledger.run(lambda tx, new=new: put_node(tx, new))
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        found = [ledger.reader.resource(NodeIds(id).logs).attributes["mni"] for id in (1000, 1100)]
        assert found == [100, 7]
        for number in range(20):
            ledger.run(lambda tx, number=number: tx.add_message(message(9000 + number, NodeIds(1100).logs)))
        assert ledger.reader.counters(NodeIds(1100).logs).instances == 7
