"""The journal of contacts: what it says is read as if it stood in ``liveness``, whatever happens to it."""

import asyncio
import sqlite3

import attrs
import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Observation, Registration
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path
from lwm2m_server.store import contacts, schema
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource

NODE = 100
LIVE = Liveness(Peer("192.0.2.1", 5683), seen_at=1000.0, expires_at=1300.0)


def registration(endpoint):
    return Registration("r", endpoint, "1.1", 300, "U", False, "/", {3: "1.0"}, (), (), (), None, {}, 1.0)


def register(tx, node=NODE, live=LIVE):
    tx.put_registration(node, registration(f"d{node}"), live, live.seen_at)


def put(tx, node=NODE):
    tx.put(Resource(node, "main", 1, f"d{node}", 14, "m2m:nod", {}, 1))
    register(tx, node)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path):
    opened = SqliteLedger(path)
    opened.run(put)
    yield opened
    opened.close()


def times(reader, node=NODE):
    device = reader.device(node)
    return device.liveness.seen_at, device.liveness.expires_at, device.updated_at


def rows(path, table):
    with sqlite3.connect(path) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return count


def test_a_contact_is_read_where_the_device_is(ledger):
    ledger.run(lambda tx: tx.renew(NODE, 1100.0, 1400.0))
    assert times(ledger.reader) == (1100.0, 1400.0, 1100.0)
    assert ledger.reader.device(NODE).liveness.peer == LIVE.peer
    ledger.run(lambda tx: tx.renew(NODE, 1200.0, None))
    assert times(ledger.reader) == (1200.0, None, 1200.0)
    assert [device.updated_at for device in ledger.reader.devices()] == [1200.0]


def test_what_is_not_committed_is_seen_inside_only(ledger):
    def renew(tx):
        tx.renew(NODE, 1100.0, 1400.0)
        return times(tx), times(ledger.reader)

    assert ledger.run(renew) == ((1100.0, 1400.0, 1100.0), (1000.0, 1300.0, None))


def test_updates_of_one_turn_are_one_row(ledger, path):
    async def main():
        await asyncio.gather(
            *[ledger.commit(lambda tx, at=at: tx.renew(NODE, at, None)) for at in (1.0, 2.0, 3.0)]
        )

    asyncio.run(main())
    assert rows(path, "contact") == 1
    assert times(ledger.reader) == (3.0, None, 3.0)


def test_later_rows_win_whatever_their_clock_says(ledger):
    moved = attrs.evolve(LIVE, peer=Peer("192.0.2.9", 1), seen_at=500.0, expires_at=800.0)
    ledger.run(lambda tx: tx.renew(NODE, 1100.0, 1400.0))
    ledger.run(lambda tx: tx.touch(NODE, moved, 500.0))
    assert times(ledger.reader) == (500.0, 800.0, 500.0)
    ledger.run(lambda tx: tx.renew(NODE, 400.0, 700.0))
    assert times(ledger.reader) == (400.0, 700.0, 400.0)
    assert ledger.reader.device(NODE).liveness.peer == moved.peer


def test_the_order_within_one_transaction_counts(ledger):
    def back_and_forth(tx):
        tx.renew(NODE, 1.0, None)
        tx.touch(NODE, attrs.evolve(LIVE, seen_at=2.0), 2.0)
        seen = times(tx)
        tx.renew(NODE, 3.0, 4.0)
        return seen

    assert ledger.run(back_and_forth) == (2.0, 1300.0, 2.0)
    assert times(ledger.reader) == (3.0, 4.0, 3.0)


def test_a_new_registration_keeps_the_time_of_the_last_update(ledger):
    ledger.run(lambda tx: tx.renew(NODE, 1100.0, 1400.0))
    ledger.run(lambda tx: register(tx, live=attrs.evolve(LIVE, seen_at=1200.0)))
    assert times(ledger.reader) == (1200.0, 1300.0, 1100.0)


def test_a_removed_node_leaves_nothing_behind(ledger):
    ledger.run(lambda tx: tx.renew(NODE, 1100.0, 1400.0))
    ledger.run(lambda tx: tx.remove(NODE))
    ledger.run(lambda tx: tx.renew(NODE, 1200.0, 1500.0))
    assert ledger.reader.device(NODE) is None
    ledger.run(put)
    assert times(ledger.reader) == (1000.0, 1300.0, None)


def test_an_operation_that_raises_takes_its_contact_back(ledger):
    def refuse(tx):
        tx.renew(NODE, 9.0, 9.0)
        raise Conflict("no")

    async def main():
        await asyncio.gather(
            ledger.commit(lambda tx: tx.renew(NODE, 1100.0, 1400.0)),
            ledger.commit(refuse),
            return_exceptions=True,
        )

    asyncio.run(main())
    assert times(ledger.reader) == (1100.0, 1400.0, 1100.0)


def test_a_restart_finds_the_journal(ledger, path):
    ledger.run(lambda tx: tx.renew(NODE, 1100.0, 1400.0))
    ledger.run(lambda tx: tx.renew(NODE, 1200.0, 1500.0))
    ledger.close()
    again = SqliteLedger(path)
    assert times(again.reader) == (1200.0, 1500.0, 1200.0)
    again.run(lambda tx: tx.touch(NODE, LIVE, 1000.0))
    again.close()
    once_more = SqliteLedger(path)
    assert times(once_more.reader) == (1000.0, 1300.0, 1000.0)
    once_more.run(lambda tx: tx.renew(NODE, 1300.0, None))
    once_more.close()
    last = SqliteLedger(path)
    assert times(last.reader) == (1300.0, None, 1300.0)
    last.close()


def test_a_long_journal_is_folded_away_a_share_at_a_time(path, monkeypatch):
    monkeypatch.setattr(contacts, "LONG", 50)
    ledger = SqliteLedger(path)
    nodes = range(100, 120)
    ledger.run(lambda tx: [put(tx, node) for node in nodes])
    longest = 0
    for turn in range(40):
        for node in nodes:
            at = 2000.0 + turn * 20 + node
            ledger.run(lambda tx, node=node, at=at: tx.renew(node, at, at + 9))
            assert times(ledger.reader, node) == (at, at + 9, at)
        longest = max(longest, rows(path, "contact"))
    assert longest < 100, "of 800"
    expected = [times(ledger.reader, node) for node in nodes]
    ledger.close()
    again = SqliteLedger(path)
    assert [times(again.reader, node) for node in nodes] == expected
    again.close()


# As version 1 wrote them.
REGISTRATION_1 = (
    '{"id":"r","endpoint":"d100","version":"1.1","lifetime":300,"binding":"U","queue_mode":false,"root":"/",'
    '"objects":{"3":"1.0"},"instances":["/3/0"],"links":[["/3/0",[["ver","1.0"]]]],"formats":[112],'
    '"sms":null,"attributes":{"x":"y"},"registered_at":1.0,"unread":["/3/0"],"warnings":["w"]}'
)
OBSERVATION_1 = (
    '{"token":"AP8=","endpoint":"d100","registration":"r","paths":["/3/0/9"],"composite":false,"accept":112,'
    '"began_at":2.0,"origin":"7"}'
)


def test_a_ledger_of_version_1_is_read_on(path):
    schema.prepare(path, steps=schema.STEPS[:1])
    with sqlite3.connect(path) as old:
        old.execute(
            "INSERT INTO device (node, tenant, name, endpoint, registration)"
            " VALUES (100, 'main', 'n', 'd100', ?)",
            (REGISTRATION_1,),
        )
        old.execute("INSERT INTO liveness VALUES (100, 'h', 1, 'coap', NULL, 5.0, 6.0, 5.0)")
        old.execute("INSERT INTO observation VALUES (?, 100, ?)", (b"\x00\xff", OBSERVATION_1))
    old.close()
    ledger = SqliteLedger(path)
    device = ledger.reader.device(NODE)
    assert device.updated_at == 5.0
    assert device.registration == attrs.evolve(
        registration("d100"),
        instances=(Path("/3/0"),),
        links=(Link("/3/0", (("ver", "1.0"),)),),
        formats=(112,),
        attributes={"x": "y"},
        unread=(Path("/3/0"),),
        warnings=("w",),
    )
    assert list(ledger.reader.observations(NODE)) == [
        Observation(b"\x00\xff", "d100", "r", (Path("/3/0/9"),), False, 112, 2.0, "7")
    ]
    ledger.run(lambda tx: tx.renew(NODE, 7.0, 8.0))
    assert ledger.reader.device(NODE).updated_at == 7.0
    ledger.close()
    assert path.with_name("ledger.v1.db").exists()
