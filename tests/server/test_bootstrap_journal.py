"""What was said in the last sessions, bounded."""

from __future__ import annotations

from lwm2m_engine.bootstrap import BootstrapConfig
from lwm2m_engine.bootstrap import events as facts
from lwm2m_engine.bootstrap.discovery import Found, Inventory
from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.messages.bootstrap import BootstrapRequest
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.bootstrap import journal as module
from lwm2m_server.bootstrap.journal import Journal

PEER = Peer("10.0.0.1", 1, "coap-bs")


def tenant_of(endpoint):
    return "other" if endpoint.startswith("other") else "main"


def began(endpoint, session, at=1.0):
    request = BootstrapRequest(endpoint, None, {"imei": "1"})
    return facts.Began(endpoint, at, session, PEER, request, BootstrapConfig(()))


def test_a_session_from_beginning_to_end():
    journal = Journal(tenant_of)
    journal.note(began("dev1", 1))
    journal.note(facts.Asked("dev1", 1.0, 1, "discover", ROOT))
    found = Inventory("1.1", {Path("/0/0"): Found()})
    journal.note(facts.Replied("dev1", 2.0, 1, "discover", ROOT, Code.CONTENT, inventory=found))
    journal.note(facts.Asked("dev1", 2.0, 1, "write", Path("/1/0"), 112, 20))
    journal.note(facts.Unanswered("dev1", 3.0, 1, "write", Path("/1/0"), "timeout"))
    (record,) = journal.of("main", "dev1")
    assert record.outcome == "under way"
    journal.note(facts.Finished("dev1", 4.0, 1, refused=2))
    assert (record.outcome, record.refused, record.ended) == ("finished", 2, 4.0)
    assert (record.peer, record.attributes) == ("coap-bs://10.0.0.1:1", {"imei": "1"})
    discover, write = record.lines
    assert (discover.code, discover.instances, discover.answered) == ("2.05", ("/0/0",), 2.0)
    assert (write.operation, write.path, write.content_format, write.size) == ("write", "/1/0", 112, 20)
    assert (write.code, write.failure) == (None, "timeout")


def test_failures_packs_and_refusals():
    journal = Journal(tenant_of)
    journal.note(began("dev1", 1))
    journal.note(facts.Failed("dev1", 2.0, 1, "replaced", "why"))
    journal.note(facts.Packed("dev2", 3.0, PEER, 112, 99))
    journal.note(facts.Refused("who", 4.0, PEER, Code.BAD_REQUEST, "nobody"))
    assert [(record.endpoint, record.outcome) for record in journal.latest("main")] == [
        ("dev2", "packed"),
        ("dev1", "replaced"),
    ]
    assert [refusal.endpoint for refusal in journal.refusals("main")] == ["who"]
    assert journal.of("main", "who") == []


def test_each_tenant_has_its_own():
    journal = Journal(tenant_of)
    for session, endpoint in enumerate(("dev1", "other1", "other2")):
        journal.note(began(endpoint, session))
        journal.note(facts.Refused(endpoint, 4.0, PEER, Code.BAD_REQUEST, "nobody"))
    assert [record.endpoint for record in journal.latest("other")] == ["other2", "other1"]
    assert [refusal.endpoint for refusal in journal.refusals("other")] == ["other2", "other1"]
    assert [record.endpoint for record in journal.latest("main")] == ["dev1"]
    assert journal.of("main", "other1") == []
    assert journal.of("other", "other1")[0].session == 1


def test_it_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "CLIENTS", 3)
    journal = Journal(tenant_of)
    for number in range(10):
        for session in range(10):
            journal.note(began(f"dev{number}", number * 10 + session))
            journal.note(facts.Failed(f"dev{number}", 1.0, number * 10 + session, "replaced"))
    assert [record.endpoint for record in journal.latest("main")] == ["dev9", "dev8", "dev7"]
    assert [record.session for record in journal.of("main", "dev9")] == [99, 98, 97]
    assert not journal._open
