"""Parts of updates by themselves: which Instance, which way, which address, what is told, what stays."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any, cast

import attrs
import orjson
import pytest

from lwm2m_engine import Path
from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Registration
from lwm2m_engine.entries import Entry
from lwm2m_engine.messages.requests import Create, Write
from lwm2m_server.asks import Asks, Refused
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.records import Device
from lwm2m_server.updates.addresses import Addresses
from lwm2m_server.updates.course import Course, Plan
from lwm2m_server.updates.files import PackageFiles
from lwm2m_server.updates.objects import ADVANCED, FIRMWARE, OBJECTS, SOFTWARE, Facts
from lwm2m_server.updates.records import Options, Update, UpdateRefused, from_row, to_row
from lwm2m_server.updates.surveying import by_instance, chosen
from lwm2m_server.updates.telling import announce, tell
from lwm2m_server.updates.ways import ways_of

PACKAGE = Package("main", "fw-2", "2", "firmware", "fw.bin", "ab" * 32, 7, 0, "fw")
PEER = Peer("127.0.0.1", 40000)


def update_of(object: int, kind: str = "firmware", **options: Any) -> Update:
    plan, chosen = Plan(object, "fw", "2"), Options(**options)
    return Update(1, "main", 7, "dev", kind, "fw-2", None, plan, chosen, Course(), 1.0, 2.0, instance=0)


# --- which Instance ----------------------------------------------------------------------------------


def software(*instances: tuple[str, int]) -> dict[int, dict[int, object]]:
    return {number: {0: name, 7: state} for number, (name, state) in enumerate(instances)}


@pytest.mark.parametrize(
    ("found", "instance"),
    [
        (software(("radar", 4), ("camera", 4)), 1),
        (software(("radar", 4), ("", 0)), 1),
        (software(("", 0), ("camera", 0)), 1),
        (software(("radar", 4), ("", 1)), None),
        ({}, None),
    ],
)
def test_software_goes_by_its_name(found: dict[int, dict[int, object]], instance: int | None) -> None:
    assert chosen(OBJECTS[SOFTWARE], found, Options(), "camera") == instance


def test_an_instance_that_was_named() -> None:
    assert chosen(OBJECTS[SOFTWARE], software(("", 0), ("", 0)), Options(instance=1), "x") == 1
    with pytest.raises(UpdateRefused, match="no /9/2"):
        chosen(OBJECTS[SOFTWARE], software(("", 0)), Options(instance=2), "x")


def test_components_have_to_be_named() -> None:
    found: dict[int, dict[int, object]] = {0: {14: "main"}, 3: {14: "radio"}}
    assert chosen(OBJECTS[ADVANCED], found, Options(component="radio"), "x") == 3
    assert chosen(OBJECTS[ADVANCED], {0: {14: "main"}}, Options(), "x") == 0
    with pytest.raises(UpdateRefused, match="main, radio"):
        chosen(OBJECTS[ADVANCED], found, Options(), "x")


def test_values_by_instance() -> None:
    entries = [
        Entry(Path("/5/0/3"), 1),
        Entry(Path("/5/0/8/0"), 0),
        Entry(Path("/5/0/8/1"), 2),
        Entry(Path("/5/0/6"), None),
    ]
    found = by_instance(entries)
    assert found == {0: {3: 1, 8: {0: 0, 1: 2}}}
    assert OBJECTS[FIRMWARE].facts(found[0]).protocols == (0, 2)


# --- which way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "strategy", "delivery", "ways"),
    [
        ("auto", 1, None, ("push", "pull")),
        ("auto", 2, 2, ("pull", "push")),
        ("auto", 1, 0, ("pull",)),
        ("auto", 2, 1, ("push",)),
        ("pull", 1, 1, ("pull",)),
    ],
)
def test_ways(method: str, strategy: int, delivery: int | None, ways: tuple[str, ...]) -> None:
    assert ways_of(PACKAGE, method, strategy, Facts(delivery=delivery)) == ways


def test_what_lies_elsewhere_is_fetched() -> None:
    elsewhere = attrs.evolve(PACKAGE, url="https://files.example/fw")
    assert ways_of(elsewhere, "push", 1, Facts(delivery=2)) == ("pull",)
    with pytest.raises(UpdateRefused):
        ways_of(elsewhere, "auto", 1, Facts(delivery=1))


# --- which address -----------------------------------------------------------------------------------


def addresses(*public: str) -> Addresses:
    found = Addresses(public)
    found.bound = {"coap": ("0.0.0.0:5683", "127.0.0.1:5693"), "coaps": ("[::1]:5684",)}
    found.http = "http://127.0.0.1:8080"
    return found


@pytest.mark.parametrize(
    ("listener", "protocols", "base"),
    [
        ("coap", None, "coap://127.0.0.1:5683"),
        ("coap-2", None, "coap://127.0.0.1:5693"),
        ("coaps", (0, 1), "coaps://[::1]:5684"),
        ("coaps", (0,), "coap://127.0.0.1:5683"),
        ("coap", (2, 3), "http://127.0.0.1:8080"),
    ],
)
def test_where_devices_fetch(listener: str, protocols: tuple[int, ...] | None, base: str) -> None:
    assert addresses().base(PEER._replace(listener=listener), protocols) == base


def test_public_addresses_count_more() -> None:
    found = addresses("https://updates.example/", "coap://lwm2m.example:5683")
    assert found.base(PEER, None) == "coap://lwm2m.example:5683"
    assert found.base(PEER, (2, 3)) == "https://updates.example"
    assert found.base(PEER._replace(listener="coaps"), (1, 3)) == "coaps://[::1]:5684"


def test_a_device_that_speaks_nothing_the_server_does() -> None:
    with pytest.raises(UpdateRefused, match=r"fetches by coaps\+tcp"):
        addresses().base(PEER, (5,))


# --- what is told ------------------------------------------------------------------------------------


class Told:
    """Asks a device that refuses all it is asked."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def ask(self, device: Device, request: Any) -> None:
        self.requests.append(request)
        raise Refused(0x84)


def registered(**more: Any) -> Device:
    registration = cast(Registration, type("Announced", (), more))
    return cast(Device, type("Known", (), {"registration": registration}))


async def test_a_device_is_told_not_to_install_by_itself() -> None:
    told, facts = Told(), Facts(is_automatic=True)
    await tell(cast(Asks, told), registered(), update_of(FIRMWARE, needs_approval=True, severity=1), facts)
    await tell(cast(Asks, told), registered(), update_of(FIRMWARE), facts)
    asked = [(str(one.path), one.entries[0].value) for one in told.requests]
    assert asked == [("/5/0/14", False), ("/5/0/11", 1)]


async def test_object_19_says_what_comes() -> None:
    told = Told()
    place = Path("/19/65533")
    for instances, objects in (((), {19: "1.0"}), ((place,), {19: "1.0"}), ((), {3: "1.0"})):
        device = registered(instances=instances, objects=objects)
        await announce(cast(Asks, told), device, update_of(FIRMWARE), PACKAGE)
    create, write = told.requests
    assert (type(create), type(write), write.path) == (Create, Write, place)
    (entry,) = write.entries
    assert entry.path == Path("/19/65533/0/0")
    assert orjson.loads(entry.value) == {
        "title": "fw",
        "version": "2",
        "checksum": "ab" * 32,
        "dataSize": 7,
        "fileName": "fw.bin",
    }


# --- what is kept ------------------------------------------------------------------------------------


def test_a_row_and_back() -> None:
    update = update_of(ADVANCED, component="radio", attempts=5)
    moved = update.moved(attrs.evolve(Course(), attempts=1, reason="lost"), 3.0)
    assert from_row(attrs.evolve(to_row(moved), id=1)) == moved


def test_a_timeline_is_bounded() -> None:
    update = update_of(FIRMWARE)
    for attempt in range(1, 300):
        update = update.moved(attrs.evolve(Course(), attempts=attempt), float(attempt))
    assert len(update.timeline) == 100
    assert (update.timeline[0].at, update.timeline[-1].at) == (1.0, 299.0)


def test_files_that_no_package_names_are_swept_away(tmp_path: File) -> None:
    files = PackageFiles(tmp_path / "packages")
    files.sweep(())
    for content in (b"one", b"two"):
        draft = files.draft()
        draft.write(content)
        draft.keep(draft.finish())
    (files.folder / "half.new").write_bytes(b"half")
    kept = next(file for file in files.folder.glob("*") if file.read_bytes() == b"one")
    files.sweep({kept.name})
    assert list(files.folder.glob("*")) == [kept]
    assert files.read(kept.name, 1, 10) == b"ne"
    with files.image(kept.name) as first, files.image(kept.name) as second:
        assert first is second
