"""What devices told: lines, the journal, and what is found of it after a failure or a restart."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import Path as LwPath
from lwm2m_engine.values import ObjLink
from lwm2m_server.settings import TelemetrySettings
from lwm2m_server.store import values as journal
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource
from lwm2m_server.store.reports import SECOND, Omitted, Untyped, read_report, report, update
from lwm2m_server.store.series import POINTS, chunks, pack, unpack
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.telemetry.keeping import Keeper

NOW = 1_800_000_000.0
TEMPERATURE = LwPath("/3303/0/5700")

numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(), st.booleans(), st.floats(width=32), st.integers(0, 200)
)
odd = st.one_of(
    st.text(),
    st.binary(),
    st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535)),
    st.builds(Untyped, st.just(11542), st.binary()),
    st.builds(Untyped, st.just(0), st.text()),
)
values = st.one_of(numbers, odd)


def _same(one: object, other: object) -> bool:
    """The same kind, and the same bits."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one.__class__ is other.__class__ and repr(one) == repr(other)


@given(st.lists(st.tuples(st.integers(0, 3), values, st.none() | st.floats(1.5e9, NOW)), min_size=1))
def test_a_line_holds_every_value_exactly(told: list):
    entries = [Entry(LwPath((3303, id, 5700)), value, at) for id, value, at in told]
    found = read_report(report(NOW, "notify", entries))
    assert found.source == "notify"
    assert found.came == NOW * SECOND
    for entry, (place, at, value) in zip(entries, found.values, strict=True):
        assert place == entry.path.key
        assert at == (found.came if entry.time is None else round(entry.time * SECOND))
        assert _same(value, entry.value)


def test_half_a_character_and_what_is_too_large_leave_a_trace():
    path = TEMPERATURE
    line = report(NOW, "send", [Entry(path, "\ud800"), Entry(path, b"x" * 70_000), Entry(path, "y" * 70_000)])
    assert [value for _, _, value in read_report(line).values] == ["?", Omitted(70_000), Omitted(70_000)]


def test_a_clock_that_is_not_set_or_a_day_ahead_does_not_count():
    line = report(NOW, "send", [Entry(TEMPERATURE, 1.0, at) for at in (12.0, NOW + 90_000, NOW - 5.25)])
    assert [at / SECOND for _, at, _ in read_report(line).values] == [NOW, NOW, NOW - 5.25]


alike = st.sampled_from(
    [
        st.integers(0, 200),
        st.integers(-9, 9),
        st.booleans(),
        st.floats(width=32),
        st.floats(),
        st.integers(0, 2**64 - 1),
        st.integers(-(2**63), 2**63 - 1),
        values,
    ]
)


@given(st.data(), alike)
def test_a_chunk_holds_every_point_exactly(data, kind):
    found = data.draw(st.dictionaries(st.integers(-(2**50), 2**55), kind, min_size=1, max_size=40))
    points = sorted(found.items())
    again = unpack(pack(points))
    assert [at for at, _ in again] == [at for at, _ in points]
    assert all(_same(one, other) for (_, one), (_, other) in zip(points, again, strict=True))


def test_a_chunk_of_numbers_is_small_and_many_points_are_several_chunks():
    points = [(int(NOW + 60 * n) * SECOND, 20.5 + n % 8) for n in range(1440)]
    assert len(pack(points[:POINTS])) < POINTS * 9
    assert [len(one) for one in chunks(points)] == [512, 512, 416]
    assert [len(one) for one in chunks([(n, "x" * 40_000) for n in range(5)])] == [2, 2, 1]


def test_the_latest_is_by_time_but_a_clock_ahead_shuts_nothing_out():
    def told(at: float, value: float, time: float | None) -> bytes:
        return report(at, "send", [Entry(TEMPERATURE, value, time)])

    latest = {}
    update(latest, [told(NOW, 1.0, NOW - 5), told(NOW + 1, 2.0, NOW - 60)])
    assert latest["3303/0/5700"].value == 1.0
    update(latest, [told(NOW + 2, 3.0, NOW + 3600), told(NOW + 3, 4.0, None)])
    assert latest["3303/0/5700"].value == 4.0


def test_instances_that_a_complete_answer_leaves_out_are_gone():
    both = [Entry(LwPath("/3/0/6/0"), 1), Entry(LwPath("/3/0/6/1"), 5), Entry(LwPath("/3/0/9"), 50)]
    latest = {}
    update(latest, [report(NOW, "read", both, is_complete=True)])
    update(latest, [report(NOW + 1, "read", both[:1], is_complete=True)])
    assert sorted(latest) == ["3/0/6/0", "3/0/9"]
    update(latest, [report(NOW + 2, "delete", [Entry(LwPath("/3/0"), True)])])
    assert not latest


# --- in the ledger ------------------------------------------------------------------------------------


def _add_node(name: str):
    ids = NodeIds(int(name[1:]) * NodeIds.COUNT + 1_000_000)
    node = Resource(ids.node, "main", 1, name, 14, "m2m:nod", {"ni": name}, 0)
    return ids.node, lambda transaction: transaction.put(node)


def _tell(node: int, at: float, *values: float):
    line = report(at, "notify", [Entry(LwPath((3303, n, 5700)), value) for n, value in enumerate(values)])
    return lambda transaction: transaction.add_values(node, line)


def _points(ledger: SqliteLedger, node: int, place: str = "3303/0/5700", **more) -> list:
    return [point for chunk in ledger.reader.points(node, place, **more) for point in chunk]


@pytest.mark.parametrize("power_safe", [False, True])
def test_what_was_told_is_there_at_once_and_after_a_restart(tmp_path: Path, power_safe: bool):
    ledger = SqliteLedger(tmp_path / "ledger.db", power_safe=power_safe)
    node, add = _add_node("d1")
    ledger.run(add)
    ledger.run(_tell(node, NOW, 20.5, 21.5))
    ledger.run(_tell(node, NOW + 1, 22.5))
    for again in range(2):
        latest = ledger.reader.latest_values(node)
        assert {place: told.value for place, told in latest.items()} == {
            "3303/0/5700": 22.5,
            "3303/1/5700": 21.5,
        }
        assert _points(ledger, node) == [(int(NOW) * SECOND, 20.5), (int(NOW + 1) * SECOND, 22.5)]
        assert _points(ledger, node, newest_first=True, until=int(NOW + 1) * SECOND) == [
            (int(NOW) * SECOND, 20.5)
        ]
        ledger.close()
        if not again:
            ledger = SqliteLedger(tmp_path / "ledger.db", power_safe=power_safe)


def _fold_all(ledger: SqliteLedger) -> None:
    _, last = ledger.run(lambda transaction: transaction.fold_values(7))
    for _ in range(1000):
        if ledger.run(lambda transaction: transaction.fold_values(7))[0] >= last:
            return
    raise AssertionError("it never ends")


def test_the_journal_is_folded_by_device_and_begins_anew(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(journal, "LONG", 3_000)
    ledger = SqliteLedger(tmp_path / "ledger.db")
    nodes = []
    for number in range(20):
        node, add = _add_node(f"d{number}")
        ledger.run(add)
        nodes.append(node)
    for turn in range(30):
        for node in nodes:
            ledger.run(_tell(node, NOW + turn, float(turn)))
    execute = ledger._reading.execute
    rows = execute("SELECT count(*), sum(length(lines)) FROM told").fetchone()
    assert 0 < rows[0] < 200
    assert execute("SELECT count(*) FROM report").fetchone()[0] < 20 * 30 / 2
    assert all(len(_points(ledger, node)) == 30 for node in nodes)
    _fold_all(ledger)
    assert not ledger._transactions.values.waiting
    ledger.close()
    ledger = SqliteLedger(tmp_path / "ledger.db")
    assert all([value for _, value in _points(ledger, node)] == list(range(30)) for node in nodes)
    ledger.close()


async def test_what_a_failed_operation_told_was_never_told(tmp_path: Path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    node, add = _add_node("d1")
    await ledger.commit(add)

    def fail(transaction: Transaction) -> None:
        _tell(node, NOW, 1.0)(transaction)
        raise ValueError("on purpose")

    first, second, third = (
        ledger.commit(one) for one in (_tell(node, NOW + 1, 2.0), fail, _tell(node, NOW + 2, 3.0))
    )
    await first
    with pytest.raises(ValueError, match="on purpose"):
        await second
    await third
    assert [value for _, value in _points(ledger, node)] == [2.0, 3.0]
    ledger.close()


def test_with_a_node_goes_what_it_told_also_what_is_still_to_be_folded(tmp_path: Path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    (one, add_one), (other, add_other) = _add_node("d1"), _add_node("d2")
    ledger.run(lambda transaction: (add_one(transaction), add_other(transaction)))
    for node in (one, other):
        ledger.run(_tell(node, NOW, 1.0))
    _fold_all(ledger)
    ledger.run(_tell(one, NOW + 1, 2.0))
    ledger.run(lambda transaction: transaction.remove(one))
    _fold_all(ledger)
    assert not ledger.reader.latest_values(one)
    assert len(ledger.reader.latest_values(other)) == 1
    ledger.close()


# --- history ------------------------------------------------------------------------------------------


async def _settled(ledger: SqliteLedger, node: int, **limits) -> Keeper:
    keeper = Keeper(ledger, TelemetrySettings(**limits), clock=lambda: NOW + 86_400)
    await keeper.settle(node)
    return keeper


async def test_a_day_of_minutes_is_three_chunks_and_the_oldest_go_beyond_the_limit(tmp_path: Path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    node, add = _add_node("d1")
    await ledger.commit(add)
    for minute in range(1440):
        ledger.commit(_tell(node, NOW + 60 * minute, 20.0 + minute % 7))
    await _settled(ledger, node)
    assert [span.count for span in ledger.reader.spans(node, "3303/0/5700")] == [512, 512, 416]
    ledger.commit(_tell(node, NOW + 86_400, 1.0))
    await _settled(ledger, node, keep=900)
    assert len(_points(ledger, node)) == 1441 - 512
    ledger.close()


async def test_of_too_many_resources_those_not_told_of_for_longest_go(tmp_path: Path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    node, add = _add_node("d1")
    await ledger.commit(add)
    await ledger.commit(_tell(node, NOW, *map(float, range(6))))
    await _settled(ledger, node)
    await ledger.commit(_tell(node, NOW + 1, *map(float, range(3))))
    await _settled(ledger, node, series=4)
    assert sorted(ledger.reader.latest_values(node)) == [f"3303/{n}/5700" for n in (0, 1, 2, 5)]
    assert not ledger.reader.spans(node, "3303/3/5700")
    ledger.close()


async def test_what_is_old_and_what_was_told_by_nodes_that_are_gone_ends_in_turns(tmp_path: Path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    (one, add_one), (other, add_other) = _add_node("d1"), _add_node("d2")
    await ledger.commit(lambda transaction: (add_one(transaction), add_other(transaction)))
    for node in (one, other):
        ledger.commit(_tell(node, NOW, 1.0))
    for node in (one, other):
        await _settled(ledger, node)
    await ledger.commit(lambda transaction: transaction.remove(one))
    keeper = Keeper(ledger, TelemetrySettings(), clock=lambda: NOW + 31 * 86_400)
    assert await keeper._turn()
    while await keeper._turn():
        pass
    assert ledger.reader.telemetry_figures() == {"chunks": 0, "values": 0, "undecoded": 0}
    assert ledger.reader.latest_values(other)["3303/0/5700"].value == 1.0
    ledger.close()


def test_one_device_that_tells_very_much_is_folded_a_share_at_a_time(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(journal, "LONG", 20_000)
    monkeypatch.setattr(journal, "SIZE", 1_000)
    ledger = SqliteLedger(tmp_path / "ledger.db")
    node, add = _add_node("d1")
    ledger.run(add)
    for turn in range(1_000):
        ledger.run(_tell(node, NOW + turn, float(turn)))
    sizes = ledger._reading.execute("SELECT length(lines) FROM report").fetchall()
    assert 0 < max(size for (size,) in sizes) < 1_200
    _fold_all(ledger)
    assert [value for _, value in _points(ledger, node)] == list(range(1_000))
    ledger.close()
