"""What engines report, as problems: each kind, what makes two of them one, and what is none."""

import asyncio

import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.engine.events import Failed, Received, Warned
from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import Path
from lwm2m_server.bus import Bus
from lwm2m_server.problems.book import PAYLOAD, Problems
from lwm2m_server.problems.events import Watch
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.problems import ProblemFilter
from lwm2m_server.store.records import DeviceRef

DEVICE = DeviceRef(7, "main", "dev-1", "urn:1")
ON = Path("/3/0/9")


@pytest.fixture
def tell(tmp_path):
    """Publishes events; returns the problems there are then, the newest first."""
    ledger, bus, catalog = SqliteLedger(tmp_path / "ledger.db"), Bus(), Catalog.bundled()
    problems = Problems(ledger, lambda: 100.0)
    watch = Watch(problems, {"urn:1": DEVICE}.get, lambda tenant, endpoint: catalog)
    watch.listen(bus)

    async def publish(events, then):
        for event in events:
            bus.publish("main", event)
        then(watch)
        await problems.flush()

    def tell(*events, then=lambda watch: None):
        asyncio.run(publish(events, then))
        return [row.problem for row in ledger.reader.problems(ProblemFilter(), limit=99)]

    yield tell
    ledger.close()


def answer(**more):
    return Received("urn:1", 5.0, "response", ON, **{"code": 0x45, "operation": "read", "message": 9, **more})


def test_a_payload(tell):
    raw = b"\xff" * (PAYLOAD + 1)
    found = tell(*[answer(error=why, payload=raw, content_format=11542) for why in ("first", "second")])
    (one,) = found
    assert (one.kind, one.node, one.device, one.count, one.last) == ("undecodable", 7, "dev-1", 2, 5_000)
    assert one.text == "the answer of /3/0/9 could not be decoded: second"
    assert one.facts["payload"] == "ff" * PAYLOAD
    assert (one.facts["size"], one.facts["format"], one.facts["path"]) == (PAYLOAD + 1, "tlv", "/3/0/9")


@pytest.mark.parametrize("number", [None, 11542, 9999])
def test_any_content_format(tell, number):
    (one,) = tell(answer(error="odd", payload=b"x", content_format=number))
    assert one.facts.get("contentFormat") == number


def test_keys_are_not_shown(tell):
    (one,) = tell(Received("urn:1", 5.0, "response", Path("/0/0/5"), 0x45, error="odd", payload=b"secret"))
    assert "payload" not in one.facts
    assert one.facts["size"] == 6


def test_messages(tell):
    failed = Failed("urn:1", 5.0, 9, "read", ON, "timeout", "nothing came")
    found = tell(answer(code=0x85, payload=b"\xffno"), failed, failed)
    assert [(one.kind, one.text, one.count) for one in found] == [
        ("message", "read of /3/0/9: timeout: nothing came", 2),
        ("message", "read of /3/0/9: the device answered 4.05", 1),
    ]
    assert found[0].facts["reason"] == "timeout"
    assert (found[1].facts["code"], found[1].facts["diagnostic"]) == ("4.05", "\ufffdno")


@pytest.mark.parametrize(
    "event",
    [
        answer(entries=(Entry(ON, 5),)),
        answer(code=0x84, message=None),
        answer(code=0x84, message=-3),
        Failed("urn:1", 5.0, 9, "read", ON, "cancelled"),
        Failed("urn:1", 5.0, -9, "read", ON, "timeout"),
    ],
)
def test_what_is_no_problem(tell, event):
    assert tell(event) == []


def test_mappings_profiles_and_the_rest(tell):
    rule = ("plug", "battery", "level")
    found = tell(
        *[Warned("urn:1", 5.0, f"plugin plug: battery: {n}", "mapping", rule) for n in range(3)],
        Warned("urn:1", 5.0, "device profile: no observe of /3/0/9", "profile", ("/3/0/9",)),
        Warned("urn:2", 5.0, "odd"),
    )
    assert [(one.kind, one.count, one.node) for one in found] == [
        ("warning", 1, 0),
        ("profile", 1, 7),
        ("mapping", 3, 7),
    ]
    assert found[2].text == "plugin plug: battery: 2"
    assert (found[2].facts["plugin"], found[2].facts["resource"], found[2].facts["rule"]) == rule
    assert found[1].facts["path"] == "/3/0/9"


def test_values_without_a_model_are_told_once_for_all(tell):
    paths = [Path("/3/0/9999"), Path("/3/1/9999"), Path("/33333/0/1"), Path("/33333/0/2")]
    found = tell(then=lambda watch: watch.strange(DEVICE, paths, 5.0))
    assert sorted(one.text for one in found) == [
        "the Resource 3/*/9999 is not in the model of the Object 3 (Device) in version 1.2",
        "there is no model of the Object 33333, version 1.0",
    ]
    assert {one.node for one in found} == {0}


def test_values_that_go_on_coming_are_noted_once_a_minute_of_each_device(tell):
    other = DeviceRef(8, "main", "dev-2", "urn:2")

    def come(watch):
        for second in range(120):
            watch.strange(DEVICE, [Path("/33333/0/1")], 1_000.0 + second)
        watch.strange(other, [Path("/33333/0/2")], 1_119.0)

    (one,) = tell(then=come)
    assert (one.kind, one.count, one.last, one.facts["example"]) == ("unknown-model", 3, 1_119_000, "dev-2")
