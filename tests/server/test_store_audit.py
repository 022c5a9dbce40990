"""The audit log in the ledger: newest first, tenants apart, bounded by count and age."""

import sqlite3

import pytest

from lwm2m_server.store import schema
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import AuditEntry


@pytest.fixture
def ledger(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def entry(at, tenant="main", **facts):
    return AuditEntry(at, tenant, "app", "CApp", "create", f"/{at}", 201, facts)


def times(found):
    return [one.at for one in found]


def test_newest_first_page_by_page(ledger):
    ledger.run(lambda write: write.add_audit(entry(at, ty=at) for at in range(5)))
    first = ledger.reader.audit(None, limit=2)
    assert times(first) == [4, 3]
    assert first[0] == AuditEntry(4, "main", "app", "CApp", "create", "/4", 201, {"ty": 4}, 5)
    assert times(ledger.reader.audit(None, limit=9, before=first[-1].number)) == [2, 1, 0]


def test_tenants_are_apart(ledger):
    ledger.run(lambda write: write.add_audit(entry(at, t) for at, t in enumerate(["a", "b", None, "a"])))
    assert times(ledger.reader.audit(["a"], limit=9)) == [3, 0]
    assert times(ledger.reader.audit([None], limit=9)) == [2]
    assert times(ledger.reader.audit(["b", None], limit=9)) == [2, 1]


def test_filters(ledger):
    done = AuditEntry(1, "main", "boss", None, "delete", "/api/v1/Groups/x", 204)
    refused = AuditEntry(2, "main", "app", None, "update", "/api/v1/groups/y", 403)
    ledger.run(lambda write: write.add_audit([done, refused]))
    assert times(ledger.reader.audit(None, limit=9, client="boss")) == [1]
    assert times(ledger.reader.audit(None, limit=9, action="update")) == [2]
    assert times(ledger.reader.audit(None, limit=9, text="GROUPS/")) == [2, 1]
    assert times(ledger.reader.audit(None, limit=9, text="groups/x", refused=True)) == []
    assert times(ledger.reader.audit(["main"], limit=9, refused=True)) == [2]


def test_it_is_bounded_by_count_and_age(ledger):
    ledger.run(lambda write: write.add_audit(map(entry, range(10))))
    ledger.run(lambda write: write.prune_audit(keep=6, since=0))
    assert times(ledger.reader.audit(None, limit=99)) == [9, 8, 7, 6, 5, 4]
    ledger.run(lambda write: write.prune_audit(keep=6, since=8))
    assert times(ledger.reader.audit(None, limit=99)) == [9, 8]
    ledger.run(lambda write: write.prune_audit(keep=6, since=99))
    assert ledger.reader.audit(None, limit=99) == []


def test_a_ledger_of_before_gets_the_table(tmp_path):
    path = tmp_path / "ledger.db"
    schema.prepare(path, steps=schema.STEPS[:6])
    SqliteLedger(path).close()
    assert sqlite3.connect(path).execute("SELECT count(*) FROM audit").fetchone() == (0,)
