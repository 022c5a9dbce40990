"""Problems in the ledger: equal ones once, the newest first, bounded by device, kind and tenant."""

import sqlite3

import attrs
import pytest

from lwm2m_server.store import problems, schema
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.problems import Problem, ProblemFilter

ALL = ProblemFilter()


@pytest.fixture
def ledger(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def put(ledger, *found):
    ledger.run(lambda write: write.put_problems(found))


def one(same, at=1, **more):
    return Problem("mapping", f"text of {same}", at, **{"tenant": "main", "same": same, **more})


def found(ledger, wanted=ALL, **more):
    return [kept.problem for kept in ledger.reader.problems(wanted, limit=99_999, **more)]


def test_equal_ones_are_one_and_come_to_the_front(ledger):
    put(ledger, one("a", 10), one("b", 11))
    put(ledger, one("a", 12, facts={"n": 2}))
    first, second = found(ledger)
    assert (first.same, first.first, first.last, first.count, first.facts) == ("a", 10, 12, 2, {"n": 2})
    assert second == one("b", 11)
    # Another device, tenant or kind has its own.
    put(ledger, one("a", 13, node=5), one("a", 14, tenant="other"), attrs.evolve(one("a", 15), kind="x"))
    assert len(found(ledger)) == 5


def test_a_clock_that_goes_back_hides_nothing(ledger):
    put(ledger, one("a", 10))
    put(ledger, one("b", 5), one("a", 4))
    assert [(kept.same, kept.last) for kept in found(ledger)] == [("a", 10), ("b", 5)]


def test_pages(ledger):
    put(ledger, *(one(str(number), number) for number in range(5)))
    page = ledger.reader.problems(ALL, limit=2)
    rest = ledger.reader.problems(ALL, limit=9, after=page[-1].place)
    assert [kept.problem.same for kept in (*page, *rest)] == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"tenants": ("main",)}, ["c", "a"]),
        ({"tenants": ("main", "")}, ["c", "b", "a"]),
        ({"kinds": ("update", "x")}, ["c"]),
        ({"device": "dev-1"}, ["c"]),
        ({"device": "urn:1"}, ["a"]),
        ({"since": 2}, ["c", "b"]),
        ({"text": "TEXT OF B"}, ["b"]),
        ({"text": "urn:1"}, ["a"]),
        ({"text": "100%_"}, ["c"]),
        ({"text": "'; DROP TABLE problem; --"}, []),
    ],
)
def test_filters(ledger, wanted, expected):
    put(ledger, one("a", 1, facts={"endpoint": "urn:1"}), one("b", 2, tenant=""))
    put(ledger, Problem("update", "100%_", 3, "main", "c", node=7, device="dev-1"))
    wanted = ProblemFilter(**wanted)
    assert [kept.same for kept in found(ledger, wanted)] == expected
    counts = ledger.reader.count_problems(wanted)
    assert sum(count for count, _ in counts.values()) == len(expected)
    if expected:
        assert max(newest for _, newest in counts.values()) == found(ledger, wanted)[0].last


def test_bounds(ledger, monkeypatch):
    for name, bound in (("ROUND", 1), ("KEPT", 12), ("KEPT_OF_DEVICE", 3), ("KEPT_OF_NOBODY", 4)):
        monkeypatch.setattr(problems, name, bound)
    put(ledger, *(one(f"d{number}", node=5) for number in range(9)))
    assert [kept.same for kept in found(ledger)] == ["d8", "d7", "d6"]
    put(ledger, *(one(f"n{number}") for number in range(9)))
    put(ledger, *(attrs.evolve(one(f"x{number}"), kind="x") for number in range(9)))
    assert len(found(ledger)) == 3 + 4 + 4
    put(ledger, one("other's", tenant="other"), *(one("e", node=node) for node in range(6, 16)))
    # The oldest of this tenant have gone, those of the other stay.
    assert len(found(ledger, ProblemFilter(("main",)))) == 12
    assert len(found(ledger)) == 13
    assert not [kept for kept in found(ledger) if kept.node == 5]


def test_what_is_mended_goes(ledger):
    put(ledger, one("a"), one("b"), one("c", node=5))
    known = ledger.run(lambda write: write.settle_problems("main", "mapping", but={"b", "z"}))
    assert known == {"b"}
    assert sorted(kept.same for kept in found(ledger)) == ["b", "c"]
    (kept, *_) = ledger.reader.problems(ALL, limit=1)
    ledger.run(lambda write: write.remove_problem(kept.id))
    assert ledger.reader.problem(kept.id) is None
    ledger.run(lambda write: write.forget_problems("main"))
    assert found(ledger) == []


def test_what_became_readable_is_mended(ledger):
    put(ledger, *(one(path, node=node, facts={"path": path}) for node in (5, 6) for path in ("/3/0/9", "/4")))
    ledger.run(lambda write: write.mend_problems(5, "mapping", {"/3/0/9", "/1"}))
    assert [(kept.node, kept.same) for kept in found(ledger)] == [(6, "/4"), (6, "/3/0/9"), (5, "/4")]


def test_they_survive_a_restart(tmp_path):
    first = SqliteLedger(tmp_path / "ledger.db")
    put(first, one("a", 10, facts={"payload": "c0ff", "x": "ü \u2028"}))
    known = first.reader.problems(ALL, limit=9)
    first.close()
    again = SqliteLedger(tmp_path / "ledger.db")
    assert again.reader.problems(ALL, limit=9) == known
    again.close()


def test_a_ledger_of_before_gets_the_table(tmp_path):
    path = tmp_path / "ledger.db"
    schema.prepare(path, steps=schema.STEPS[:8])
    SqliteLedger(path).close()
    assert sqlite3.connect(path).execute("SELECT count(*) FROM problem").fetchone() == (0,)
