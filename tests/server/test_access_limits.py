"""Token buckets; how often a client may call; the audit log of what it did."""

import asyncio

import attrs
import pytest

from lwm2m_server.access.audit import Audit
from lwm2m_server.access.callers import OPEN
from lwm2m_server.access.limits import MAX_BUCKETS, Bucket, Buckets
from lwm2m_server.settings import AccessSettings, AuditSettings
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ledger import SqliteLedger


def test_a_burst_and_then_the_rate():
    bucket = Bucket(rate=2.0, burst=3)
    assert [bucket.take(10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.is_empty(10.4)
    assert not bucket.is_empty(10.5)
    assert bucket.take(10.5) == 0.0
    assert bucket.take(10.5) > 0.0
    # No more than the burst is saved up.
    assert [bucket.take(99.0) > 0.0 for _ in range(4)] == [False, False, False, True]


def test_buckets_are_bounded():
    buckets = Buckets(1.0, 1.0)
    first = buckets.of("first")
    for number in range(MAX_BUCKETS - 1):
        buckets.of(number)
    assert buckets.of("first") is first
    buckets.of("one more")
    assert buckets.of("first") is first
    assert buckets.of(1) is not None
    assert len(buckets._buckets) == MAX_BUCKETS


async def test_each_client_has_its_own_rate(guard, settings):
    guarded = await guard(attrs.evolve(settings, access=AccessSettings(rate=0.001, burst=3)))
    await guarded.add("boss", "main", "admin")
    await guarded.add("other", "main", "admin")
    statuses = [(await guarded.call("GET", "main", "boss")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    answer = await guarded.call("GET", "/api/v1/devices", "boss")
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert (await guarded.call("GET", "main", "other")).status_code == 200


async def test_without_clients_there_is_no_limit(guard, settings):
    guarded = await guard(attrs.evolve(settings, access=AccessSettings(rate=0.001, burst=1)))
    statuses = [(await guarded.call("GET", "main")).status_code for _ in range(5)]
    assert statuses == [200] * 5


# --- the audit log -----------------------------------------------------------------------------------


async def entries(guarded, who="boss", query=""):
    # What is noted is in the commit of the next turn.
    await guarded.ledger.commit(lambda transaction: None)
    await guarded.ledger.commit(lambda transaction: None)
    return (await guarded.call("GET", f"/api/v1/audit{query}", who)).json()


async def test_every_change_through_every_door_is_noted_with_its_outcome(guarded):
    node = {"m2m:nod": {"rn": "device001", "ni": "urn:dev:1"}}
    key = {"mode": "psk", "identity": "a@b", "key": "aHVudGVyMi1odW50ZXIyIQ=="}
    await guarded.call("POST", "main", "boss", ty=14, json=node)
    await guarded.call("PUT", "/api/v1/devices/device001/credentials/management", "boss", json=key)
    await guarded.call("POST", "main", "eye", ty=14, json=node)
    await guarded.call("POST", "/api/v1/clients", "boss", json={"id": "more", "role": "read"})
    await guarded.call("GET", "main", "boss")
    await guarded.call("DELETE", "main/device001", "boss")
    found = (await entries(guarded))["entries"]
    base = "/device-management-orchestrator/v3/main"
    assert [(one["client"], one["action"], one["target"], one["status"]) for one in found] == [
        ("boss", "delete", f"{base}/device001", 200),
        ("boss", "create", "/api/v1/clients", 201),
        ("eye", "create", base, 403),
        ("boss", "update", "/api/v1/devices/device001/credentials/management", 200),
        ("boss", "create", base, 201),
    ]
    assert found[1]["facts"]["created"] == "/api/v1/clients/more"
    assert found[4]["facts"]["created"].startswith("/device-management-orchestrator/v3/~/main/")
    assert {one["tenant"] for one in found} == {"main"}
    assert found[4]["origin"] == "CAdmin"
    text = str(found)
    assert "hunter" not in text
    assert "aHVudGVy" not in text


async def test_pages_and_tenants(guarded):
    for _ in range(3):
        await guarded.call("DELETE", "main/nothing", "boss")
    await guarded.call("DELETE", "other/nothing", "stranger")
    await guarded.call("DELETE", "/api/v1/clients/nobody", "root")
    page = await entries(guarded, query="?limit=2")
    assert len(page["entries"]) == 2
    rest = await entries(guarded, query=f"?limit=2&before={page['next']}")
    assert len(rest["entries"]) == 1
    assert "next" not in rest
    assert (await entries(guarded, query="?client=nobody&action=delete&refused=true&q=x"))["entries"] == []
    assert (
        len((await entries(guarded, query="?client=boss&action=delete&refused=true&q=NOTHING"))["entries"])
        == 3
    )
    for query in ("?action=look", "?refused=maybe"):
        assert (await entries(guarded, query=query))["status"] == 400
    (strange,) = (await entries(guarded, "stranger"))["entries"]
    assert strange["client"] == "stranger"
    (system,) = (await entries(guarded, "root"))["entries"]
    assert (system["client"], system["tenant"]) == ("root", None)


async def test_without_clients_it_says_open_and_whose_it_was(guard, settings):
    guarded = await guard(settings)
    await guarded.call("DELETE", "other/nothing")
    await guarded.call("DELETE", "/~/other/nothing")
    await guarded.call("DELETE", "/api/v1/clients/nobody?tenant=other")
    await guarded.call("DELETE", "main/nothing")
    found = (await entries(guarded))["entries"]
    assert [(one["client"], one["tenant"]) for one in found] == [
        ("open", "main"),
        ("open", "other"),
        ("open", "other"),
        ("open", "other"),
    ]


@pytest.fixture
def ledger(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


async def test_what_was_noted_last_is_kept_at_the_end(ledger):
    audit = Audit(ledger, AuditSettings())
    audit.note(OPEN, "create", "/x" * 1000, 201, tenant="main")
    audit.note(OPEN, "create", "/\ud800/é\x00", 201, tenant="main")
    audit.close()
    strange, long = ledger.reader.audit(None, limit=9)
    assert len(long.target) == 300
    assert strange.target == "/\\ud800/é\x00"


async def test_the_log_is_bounded(ledger, monkeypatch):
    monkeypatch.setattr("lwm2m_server.access.audit.PRUNE_EVERY", 10)
    audit = Audit(ledger, AuditSettings(entries=20, days=1))
    for number in range(100):
        audit.note(OPEN, "create", f"/{number}", 201, tenant="main")
        if number % 5 == 4:
            await asyncio.sleep(0)
            await ledger.commit(lambda transaction: None)
    audit.close()
    kept = ledger.reader.audit(None, limit=1000)
    assert kept[0].target == "/99"
    assert 20 <= len(kept) <= 30


async def test_a_log_that_cannot_be_kept_is_told_and_ends_nothing(ledger, capsys):
    class Full:
        def submit(self, operation, settled):
            settled(None, CommitFailed("disk full"))

    audit = Audit(Full(), AuditSettings())
    audit.note(OPEN, "create", "/x", 201, tenant="main")
    await asyncio.sleep(0.01)
    assert "disk full" in capsys.readouterr().out
