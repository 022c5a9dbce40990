"""The ledger: what is written is read back, limits hold, what fails leaves no trace."""

import asyncio
import itertools
import json
import math
import sqlite3
import threading
import time

import attrs
import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Arranged, Liveness, Observation, PowerSaving, Registration
from lwm2m_engine.errors import SettingsError
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink
from lwm2m_server.store import checkpoints, documents, schema
from lwm2m_server.store.errors import CommitFailed, Conflict, ContainerFull, Gone
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Counters, Message, Resource, SealedCredential

ROOT = 1
BOX = 50


def node(id=100, name="dev1", ni="urn:imei:123456789012345", tenant="main", **attributes):
    attributes |= {} if ni is None else {"ni": ni}
    return Resource(id, tenant, ROOT, name, 14, "m2m:nod", attributes, modified=id)


def container(id=BOX, name="box", parent=ROOT, **attributes):
    return Resource(id, "main", parent, name, 3, "m2m:cnt", attributes, modified=id)


def message(id, box=BOX, content="hello", name=None, **more):
    return Message(
        id=id,
        container=box,
        own_name=name,
        creator="CAdmin",
        state_tag=0,
        content=content,
        content_info=None,
        size=len(content),
        **more,
    )


def registration(endpoint="dev1", **changes):
    record = Registration(
        id="r1",
        endpoint=endpoint,
        version="1.1",
        lifetime=300,
        binding="UQ",
        queue_mode=True,
        root="/",
        objects={1: "1.1", 3: "1.0"},
        instances=(Path("/1/0"), Path("/3/0")),
        links=(Link("/", (("rt", "oma.lwm2m"), ("hb", None))), Link("/3/0")),
        formats=(112, 11542),
        sms=None,
        attributes={"vendor": "ACME"},
        registered_at=1000.5,
        unread=(Path("/6/0"),),
        warnings=("no quotes",),
    )
    return attrs.evolve(record, **changes)


LIVE = Liveness(Peer("192.0.2.1", 5683, "coaps", "psk-1"), seen_at=1000.5, expires_at=1300.5)


def observation(token=b"\x00\xff", **changes):
    record = Observation(token, "dev1", "r1", (Path("/3/0/9"),), False, 112, 1001.0, "7")
    return attrs.evolve(record, **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture(params=[False, True], ids=["inline", "threaded"])
def power_safe(request):
    return request.param


@pytest.fixture
def ledger(path, power_safe):
    opened = SqliteLedger(path, power_safe=power_safe)
    yield opened
    opened.close()


@pytest.fixture
def box(ledger):
    ledger.run(lambda tx: tx.put(container()))
    return ledger


class Breaking(sqlite3.Connection):
    """A connection whose next COMMITs fail as a full disk makes them fail."""

    failures = 0

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Breaking.failures:
            Breaking.failures -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *arguments)


def breaking(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Breaking)


# --- resources ---------------------------------------------------------------------------------------


def test_a_resource_is_read_back_by_id_and_by_name(ledger):
    stored = Resource(7, "main", ROOT, "x", 13, "m2m:dvi", {"man": "ACME", "n": 2**63, "l": [1.5, None]}, 8)
    ledger.run(lambda tx: tx.put(stored))
    assert ledger.reader.resource(7) == stored
    assert ledger.reader.child(ROOT, "x") == stored
    assert ledger.reader.resource(8) is None
    assert ledger.reader.child(2, "x") is None


def test_children_are_sorted_by_type_then_age_and_paged(ledger):
    def fill(tx):
        for id, type in [(10, 14), (11, 3), (12, 14), (13, 13)]:
            tx.put(Resource(id, "main", ROOT, f"r{id}", type, "k", {}, id))

    ledger.run(fill)
    read = ledger.reader
    assert [child.id for child in read.children(ROOT)] == [11, 13, 10, 12]
    assert [child.id for child in read.children(ROOT, types=[14])] == [10, 12]
    assert [child.id for child in read.children(ROOT, types=[13, 14], limit=2, offset=1)] == [10, 12]


def test_a_taken_name_is_a_conflict(ledger):
    ledger.run(lambda tx: tx.put(container()))
    with pytest.raises(Conflict, match="box"):
        ledger.run(lambda tx: tx.put(container(id=51)))
    ledger.run(lambda tx: tx.put(container(id=52, parent=2)))


def test_change_replaces_attributes(ledger):
    ledger.run(lambda tx: tx.put(node(lbl=["a"])))
    changed = ledger.run(lambda tx: tx.change(100, {"lbl": ["b"]}, 999))
    assert changed == ledger.reader.resource(100)
    assert (changed.attributes, changed.modified) == ({"lbl": ["b"]}, 999)
    assert ledger.run(lambda tx: tx.change(101, {}, 1)) is None


def test_remove_takes_all_below_along(box):
    def fill(tx):
        tx.put(container(id=60, name="inner", parent=BOX))
        tx.add_message(message(61, 60))
        tx.put(node())
        tx.put_registration(100, registration(), LIVE, 1.0)
        tx.put_observation(100, observation())
        tx.set_inputs(100, {Path("/3/0/9"): 1})

    box.run(fill)
    box.run(lambda tx: [tx.remove(BOX), tx.remove(100)])
    read = box.reader
    assert (read.resource(60), read.message(61), read.device(100)) == (None, None, None)
    assert not read.observations(100)
    box.run(lambda tx: [tx.put(container()), tx.put(node())])
    assert read.counters(BOX) == Counters()
    assert read.device(100).inputs == {}


# --- containers --------------------------------------------------------------------------------------


def test_messages_are_in_order_and_found_by_every_key(box):
    for id in (70, 71):
        box.run(lambda tx, id=id: tx.add_message(message(id, labels=("a", "b"), expires=5, deadline=9.5)))
    tag = box.run(lambda tx: tx.add_message(message(72, name="mine")))
    read = box.reader
    assert [found.id for found in read.messages(BOX)] == [70, 71, 72]
    assert [found.id for found in read.messages(BOX, limit=1, offset=1)] == [71]
    assert (read.oldest(BOX).id, read.latest(BOX).id) == (70, 72)
    assert read.message_named(BOX, uuid_name(71)) == read.message(71)
    assert read.message_named(BOX, "mine") == message(72, name="mine").tagged(tag) == read.message(72)
    assert read.message_named(BOX + 1, "mine") is read.message_named(BOX, "other") is None
    whole = attrs.evolve(message(70, labels=("a", "b"), expires=5, deadline=9.5), state_tag=1)
    assert read.message(70) == whole


def test_a_clients_name_may_look_generated(box):
    name = uuid_name(12345)
    box.run(lambda tx: tx.add_message(message(70, name=name)))
    assert box.reader.message_named(BOX, name).id == 70


def test_a_taken_message_name_is_a_conflict(box):
    box.run(lambda tx: tx.add_message(message(70, name="mine")))
    with pytest.raises(Conflict):
        box.run(lambda tx: tx.add_message(message(71, name="mine")))
    assert box.reader.counters(BOX) == Counters(1, 1, 5)


def test_state_tag_counts_inserts_and_survives_removal_and_restart(path):
    first = SqliteLedger(path)
    first.run(lambda tx: tx.put(container()))
    assert [first.run(lambda tx, id=id: tx.add_message(message(id))) for id in (70, 71)] == [1, 2]
    first.run(lambda tx: tx.remove_message(71))
    assert first.reader.counters(BOX) == Counters(state_tag=2, instances=1, bytes=5)
    first.close()
    second = SqliteLedger(path)
    assert second.run(lambda tx: tx.add_message(message(72))) == 3
    second.close()


def test_a_full_container_drops_the_oldest_by_number(ledger):
    ledger.run(lambda tx: tx.put(container(mni=2)))
    ledger.run(lambda tx: [tx.add_message(message(id)) for id in (70, 71, 72)])
    assert [found.id for found in ledger.reader.messages(BOX)] == [71, 72]
    assert ledger.reader.counters(BOX) == Counters(3, 2, 10)


def test_a_full_container_drops_the_oldest_by_size(ledger):
    ledger.run(lambda tx: tx.put(container(mbs=10)))
    ledger.run(lambda tx: [tx.add_message(message(id, content="xxx")) for id in (70, 71, 72)])
    ledger.run(lambda tx: tx.add_message(message(73, content="x" * 5)))
    assert [found.id for found in ledger.reader.messages(BOX)] == [72, 73]
    assert ledger.reader.counters(BOX) == Counters(4, 2, 8)


def test_default_limits_are_100_and_a_million_bytes(box):
    box.run(lambda tx: [tx.add_message(message(id)) for id in range(70, 171)])
    assert box.reader.counters(BOX) == Counters(101, 100, 500)
    box.run(lambda tx: tx.add_message(message(200, content="x" * 999_999)))
    assert [found.id for found in box.reader.messages(BOX)] == [200]
    with pytest.raises(ContainerFull, match="1000001 bytes"):
        box.run(lambda tx: tx.add_message(message(201, content="x" * 1_000_001)))


def test_a_container_that_does_not_evict_refuses(ledger):
    ledger.run(lambda tx: tx.put(container(mni=1), evict=False))
    ledger.run(lambda tx: tx.add_message(message(70)))
    with pytest.raises(ContainerFull):
        ledger.run(lambda tx: tx.add_message(message(71)))
    ledger.run(lambda tx: tx.remove_message(70))
    assert ledger.run(lambda tx: tx.add_message(message(71))) == 2


def test_smaller_limits_evict_at_once(box):
    box.run(lambda tx: [tx.add_message(message(id)) for id in (70, 71, 72)])
    box.run(lambda tx: tx.change(BOX, {"mni": 1}, 99))
    assert [found.id for found in box.reader.messages(BOX)] == [72]


def test_a_message_moves_with_content_creator_and_labels(box):
    def move(tx):
        tx.put(container(id=51, name="sent"))
        tx.add_message(message(70, name="mine", labels=("a",), deadline=9.0), started=True)
        return tx.move_message(70, BOX, 51, 71)

    assert box.run(move) is True
    moved = box.reader.message(71)
    assert moved == message(71, 51, labels=("a",)).tagged(1)
    assert box.reader.message_named(51, uuid_name(71)) == box.reader.latest(51) == moved
    assert box.reader.message(70) is None
    assert (box.reader.counters(BOX), box.reader.counters(51)) == (Counters(1, 0, 0), Counters(1, 1, 5))
    assert box.run(lambda tx: tx.move_message(70, BOX, 51, 72)) is False
    assert box.run(lambda tx: tx.move_message(71, 999, 51, 72)) is False


def test_a_message_that_cannot_move_is_in_neither_container(box):
    def move(tx):
        tx.put(container(id=51, name="sent", mbs=4))
        tx.add_message(message(70))
        with pytest.raises(ContainerFull):
            tx.move_message(70, BOX, 51, 71)

    box.run(move)
    assert box.reader.message(70) is box.reader.message(71) is None
    assert (box.reader.counters(BOX), box.reader.counters(51)) == (Counters(1, 0, 0), Counters())


def test_a_queue_is_known_by_its_messages_after_a_restart_too(path):
    first = SqliteLedger(path)
    first.run(lambda tx: [tx.put(container(), evict=False), tx.put(container(id=51, name="sent"))])
    first.run(lambda tx: [tx.add_message(message(id)) for id in (70, 71, 72)])
    assert (first.reader.queues(), first.reader.counters(BOX)) == ({BOX}, Counters(3, 3, 15))
    first.close()
    second = SqliteLedger(path)
    second.run(lambda tx: tx.move_message(72, BOX, 51, 73))
    assert (second.reader.queues(), second.reader.counters(BOX)) == ({BOX}, Counters(3, 2, 10))
    second.close()
    third = SqliteLedger(path)
    third.run(lambda tx: [tx.remove_message(70), tx.remove_message(71)])
    assert (third.reader.queues(), third.reader.counters(BOX)) == (set(), Counters(3, 0, 0))
    assert third.run(lambda tx: tx.add_message(message(74))) == 4
    third.close()


def test_the_in_flight_mark_and_messages_gone(box):
    box.run(lambda tx: [tx.add_message(message(70)), tx.mark_in_flight(70, True)])
    assert box.reader.message(70).in_flight is True
    box.run(lambda tx: tx.mark_in_flight(70, False))
    assert box.reader.message(70).in_flight is False
    box.run(lambda tx: tx.remove_message(71))
    with pytest.raises(Gone):
        box.run(lambda tx: tx.add_message(message(71, box=999)))


# --- devices -----------------------------------------------------------------------------------------


@pytest.fixture
def device(ledger):
    ledger.run(lambda tx: tx.put(node()))
    return ledger


def test_a_new_node_has_a_device_row(device):
    found = device.reader.device(100)
    assert (found.node, found.tenant, found.name, found.node_id) == (
        100,
        "main",
        "dev1",
        "urn:imei:123456789012345",
    )
    assert (found.endpoint, found.registration, found.liveness) == (None,) * 3
    assert found == device.reader.device_named("main", "dev1")
    assert device.reader.device_named("other", "dev1") is None


def test_a_node_id_is_unique_in_both_spellings(device):
    for same in ("urn:imei:123456789012345", "urn:gsma:imei:123456789012345"):
        with pytest.raises(Conflict):
            device.run(lambda tx, same=same: tx.put(node(200, "dev2", same, tenant="other")))
    assert device.reader.resource(200) is None
    device.run(lambda tx: tx.put(node(200, "dev2", None)))
    with pytest.raises(Conflict):
        device.run(lambda tx: tx.change(200, {"ni": "urn:imei:123456789012345"}, 1))
    device.run(lambda tx: tx.change(200, {"ni": "urn:dev:2"}, 1))
    assert device.reader.device_of_endpoint("urn:dev:2").node == 200


def test_an_operation_that_catches_a_conflict_goes_on(device):
    def with_suffix(tx):
        try:
            tx.put(node(200, "dev1", "urn:dev:9"))
        except Conflict:
            tx.put(node(200, "dev1-2", "urn:dev:9"))

    device.run(with_suffix)
    assert device.reader.device_of_endpoint("urn:dev:9").name == "dev1-2"


def test_an_endpoint_belongs_to_binding_then_credentials_then_name_then_node_id(device):
    def fill(tx):
        tx.put(node(200, "dev2", "urn:gsma:imei:2"))
        tx.put(node(300, "dev3", "dev2"))
        tx.put(node(400, "dev4", None))
        tx.put_credential(credential(400, endpoint="urn:dev:own"))

    device.run(fill)
    resolve = device.reader.device_of_endpoint
    assert resolve("dev2").node == 200, "a name goes before a node id"
    assert resolve("urn:imei:2").node == resolve("urn:gsma:imei:2").node == 200
    assert resolve("urn:dev:own").node == 400
    assert resolve("anything") is None
    device.run(lambda tx: tx.bind_endpoint(400, "dev2"))
    assert resolve("dev2").node == 400, "a binding goes before a name"
    device.run(lambda tx: tx.put_credential(credential(300, b"psk-3", "dev1")))
    assert resolve("dev1").node == 300, "what credentials are for goes before a name"


def test_a_name_in_two_tenants_belongs_to_the_older(device):
    device.run(lambda tx: tx.put(Resource(90, "other", 2, "dev1", 14, "m2m:nod", {}, 90)))
    assert device.reader.device_of_endpoint("dev1").node == 90


def test_an_endpoint_is_bound_once(device):
    device.run(lambda tx: tx.put(node(200, "dev2", None)))
    device.run(lambda tx: tx.bind_endpoint(100, "ep"))
    with pytest.raises(Conflict):
        device.run(lambda tx: tx.bind_endpoint(200, "ep"))


def credential(node, identity=b"psk", endpoint="own", side="management", mode="psk"):
    return SealedCredential(node, side, mode, endpoint, identity, {"a": 1}, b"sealed")


def test_credentials_of_a_side_belong_to_one_device(device):
    first = credential(100)
    device.run(lambda tx: [tx.put(node(200, "dev2", None)), tx.bind_endpoint(200, "bound")])
    device.run(lambda tx: tx.put_credential(first))
    for clash, what in [
        (credential(200, endpoint="other"), "security identity"),
        (credential(200, b"other"), "endpoint name"),
        (credential(200, b"other", mode="oscore"), "endpoint name"),
        (credential(100, endpoint="bound"), "endpoint name"),
    ]:
        with pytest.raises(Conflict, match=f"the {what} is taken"):
            device.run(lambda tx, clash=clash: tx.put_credential(clash))
    others = [
        credential(200, side="bootstrap"),
        credential(200, endpoint="second", mode="rpk"),
        credential(100, b"changed"),
    ]
    device.run(lambda tx: [tx.put_credential(other) for other in others])
    assert list(device.reader.credentials()) == [others[2], others[0], others[1]]
    assert device.reader.credential(200, "bootstrap") == others[0]
    assert device.reader.credential(100, "bootstrap") is None
    device.run(lambda tx: tx.remove_credential(200, "bootstrap"))
    assert device.reader.credentials_of(200) == [others[1]]
    # What one had before is free.
    device.run(lambda tx: tx.put_credential(credential(200, endpoint="third")))
    device.run(lambda tx: tx.remove(200))
    assert device.reader.credentials_of(200) == []


def test_what_credentials_are_free_does_not_depend_on_other_columns(device):
    device.run(lambda tx: tx.put(node(200, "dev2", None)))
    device.run(lambda tx: [tx.put_credential(credential(id, None, None, mode="none")) for id in (100, 200)])
    assert [row.endpoint for row in device.reader.credentials()] == [None, None]


def test_a_registration_survives_a_restart(path):
    first = SqliteLedger(path)
    first.run(lambda tx: [tx.put(node()), tx.put_registration(100, registration(), LIVE, 1000.5)])
    first.close()
    second = SqliteLedger(path)
    found = second.reader.device(100)
    second.close()
    assert (found.registration, found.liveness, found.endpoint) == (registration(), LIVE, "dev1")
    assert (found.registered_at, found.updated_at) == (1000.5, None)


def test_the_life_of_a_registration(device):
    read = device.reader
    device.run(lambda tx: tx.put_registration(100, registration(), LIVE, 1.0))
    moved = Liveness(Peer("2001:db8::1", 40000), 2.0, None)
    device.run(lambda tx: tx.touch(100, moved, 2.0))
    assert (read.device(100).liveness, read.device(100).updated_at) == (moved, 2.0)
    device.run(lambda tx: tx.change_registration(100, registration(unread=())))
    assert (read.device(100).registration.unread, read.device(100).liveness) == ((), moved)
    device.run(lambda tx: tx.put_observation(100, observation()))
    device.run(lambda tx: tx.end_registration(100, 3.0, expired=False))
    ended = read.device(100)
    assert (ended.registration, ended.liveness, ended.endpoint) == (None, None, "dev1")
    assert (ended.registered_at, ended.updated_at, ended.deregistered_at) == (1.0, 2.0, 3.0)
    assert read.observations(100) == [observation()]
    device.run(lambda tx: tx.put_registration(100, registration(id="r2"), LIVE, 4.0))
    device.run(lambda tx: tx.end_registration(100, 5.0, expired=True))
    ended = read.device(100)
    assert (ended.registered_at, ended.updated_at) == (4.0, 2.0)
    assert (ended.deregistered_at, ended.expired_at) == (3.0, 5.0)


def test_observations_are_kept_by_token(device):
    composite = observation(b"\x02", paths=(Path("/3"), Path("/6")), composite=True, accept=None, origin="")
    device.run(lambda tx: [tx.put_observation(100, observation()), tx.put_observation(100, composite)])
    assert device.reader.observations(100) == [observation(), composite]
    device.run(lambda tx: tx.remove_observation(b"\x00\xff"))
    assert device.reader.observations(100) == [composite]


@pytest.mark.parametrize(
    "power", [PowerSaving(), PowerSaving(20.0, psm=True, tau=600.0), PowerSaving(edrx_cycle=40.96)]
)
def test_when_a_device_listens_is_kept_through_registrations(device, path, power):
    device.run(lambda tx: tx.set_power(100, power))
    device.run(lambda tx: tx.put_registration(100, registration(), LIVE, 1000.5))
    device.run(lambda tx: tx.end_registration(100, 1001.0, expired=True))
    device.close()
    again = SqliteLedger(path)
    assert again.reader.device(100).power == power
    again.run(lambda tx: tx.set_power(100, None))
    assert again.reader.device(100).power is None
    again.run(lambda tx: tx.remove(100))
    with pytest.raises(Gone):
        again.run(lambda tx: tx.set_power(100, power))
    again.close()


def test_inputs_of_every_type_add_up(device):
    values = {
        Path("/3/0/0"): "x",
        Path("/3/0/9"): -(2**63),
        Path("/3/0/10"): 2**64 - 1,
        Path("/3/0/11"): 1.0,
        Path("/3/0/12"): math.inf,
        Path("/3/0/13"): True,
        Path("/3/0/14"): b"\x00\xff",
        Path("/3/0/15/1"): ObjLink(3, 0),
    }
    device.run(lambda tx: tx.set_inputs(100, {Path("/3/0/0"): "old", Path("/6/0/0"): 1.5}))
    device.run(lambda tx: tx.set_inputs(100, values))
    found = device.reader.device(100).inputs
    assert found == {**values, Path("/6/0/0"): 1.5}
    assert {path: type(value) for path, value in found.items() if path in values} == {
        path: type(value) for path, value in values.items()
    }
    device.run(lambda tx: tx.set_inputs(100, {Path("/3/0/0"): math.nan}))
    assert math.isnan(device.reader.device(100).inputs[Path("/3/0/0")])


def test_what_devices_announce_alike_is_stored_and_loaded_once(ledger, path):
    for id, endpoint in ((100, "dev1"), (200, "dev2"), (300, "dev3")):
        ledger.run(lambda tx, id=id, endpoint=endpoint: tx.put(node(id, endpoint, None)))
        other = {"root": "/other"} if id == 300 else {}
        record = registration(endpoint, **other)
        ledger.run(lambda tx, id=id, record=record: tx.put_registration(id, record, LIVE, 1.0))
    one, two, three = (device.registration for device in ledger.reader.devices())
    assert (one, two) == (registration("dev1"), registration("dev2"))
    assert three == registration("dev3", root="/other")
    assert all(getattr(one, name) is getattr(two, name) for name in ("objects", "instances", "links"))
    assert announcements(path) == 2
    ledger.run(lambda tx: tx.end_registration(300, 2.0, expired=True))
    ledger.close()
    SqliteLedger(path).close()
    assert announcements(path) == 1


def announcements(path):
    with sqlite3.connect(path) as connection:
        (count,) = connection.execute("SELECT count(*) FROM announcement").fetchone()
    connection.close()
    return count


def test_everything_is_read_with_its_observations(device):
    device.run(lambda tx: [tx.put(node(id, f"d{id}", None)) for id in range(1000, 2200)])
    for token, id in ((b"1", 100), (b"2", 100), (b"3", 1900)):
        device.run(lambda tx, token=token, id=id: tx.put_observation(id, observation(token)))
    found = {
        row.node: [one.token for one in observations] for row, observations in device.reader.everything()
    }
    assert len(found) == 1201
    assert {node: tokens for node, tokens in found.items() if tokens} == {100: [b"1", b"2"], 1900: [b"3"]}


def test_queues_are_containers_that_never_evict_and_are_not_empty(box):
    box.run(lambda tx: [tx.put(container(id=id, name=f"q{id}"), evict=False) for id in (60, 61)])
    box.run(lambda tx: [tx.add_message(message(id, at)) for id, at in ((900, BOX), (901, 60))])
    assert box.reader.queues() == {60}


@pytest.mark.parametrize("record", [registration("all"), observation()])
def test_every_member_of_a_record_is_kept(record):
    """Also those that the engine gets later: a member that is forgotten here has its default again."""
    unusual = {
        field.name: UNUSUAL.get(field.name, UNUSUAL.get(field.type))
        for field in attrs.fields(type(record))
        if field.default is not attrs.NOTHING
    }
    assert None not in unusual.values(), "give the new member a value in UNUSUAL"
    changed = attrs.evolve(record, **unusual)
    if isinstance(record, Registration):
        announced = documents.announcement_from_json(documents.announcement_to_json(changed))
        read = documents.registration_from_json(documents.registration_to_json(changed), announced)
    else:
        read = documents.observation_from_json(changed.token, documents.observation_to_json(changed))
    assert read == changed
    assert [type(getattr(read, name)) for name in unusual] == [type(value) for value in unusual.values()]


UNUSUAL = {
    "arranged": Arranged("unusual", True, 7, ((Path("/77/0"), (("pmin", "7"),)),), True),
    "str": "unusual",
    "int": 77,
    "float": 7.5,
    "bool": True,
    "unread": (Path("/77/0"),),
    "warnings": ("unusual",),
    "attributes": (("pmin", "7"), ("pmax", None)),
}


@pytest.mark.parametrize(
    "write",
    [
        lambda tx: tx.bind_endpoint(999, "x"),
        lambda tx: tx.put_credential(credential(999)),
        lambda tx: tx.put_registration(999, registration(), LIVE, 1.0),
        lambda tx: tx.change_registration(999, registration()),
        lambda tx: tx.touch(999, LIVE, 1.0),
        lambda tx: tx.put_observation(999, observation()),
        lambda tx: tx.set_inputs(999, {}),
    ],
)
def test_facts_about_a_removed_node_are_refused(device, write):
    with pytest.raises(Gone):
        device.run(write)


def test_devices_are_iterated_across_chunks_while_they_change(ledger):
    ledger.run(lambda tx: [tx.put(node(id, f"d{id}", None, "ab"[id % 2])) for id in range(100, 1300)])
    assert [found.node for found in ledger.reader.devices()] == list(range(100, 1300))
    assert [found.node for found in ledger.reader.devices("a")] == list(range(100, 1300, 2))
    walk = ledger.reader.devices()
    next(walk)
    ledger.run(lambda tx: tx.remove(1299))
    assert len(list(walk)) == 1198


# --- transactions ------------------------------------------------------------------------------------


def test_a_transaction_reads_its_own_writes_and_the_loop_does_not(ledger):
    def write(tx):
        tx.put(node())
        return tx.device(100) is not None, ledger.reader.device(100) is None

    assert ledger.run(write) == (True, True)


def test_a_failing_operation_undoes_only_itself(ledger):
    class Oops(Exception):
        pass

    def oops(tx):
        tx.put(container(id=60, name="half"))
        raise Oops

    async def main():
        good, bad, after = (
            ledger.commit(lambda tx: tx.put(container())),
            ledger.commit(oops),
            ledger.commit(lambda tx: tx.put(container(id=61, name="after"))),
        )
        with pytest.raises(Oops):
            await bad
        await asyncio.gather(good, after)

    asyncio.run(main())
    assert [child.id for child in ledger.reader.children(ROOT)] == [BOX, 61]


def test_commits_run_in_order_and_share_transactions(path, power_safe):
    begun = []

    class Counting(sqlite3.Connection):
        def execute(self, sql, *arguments):
            begun.append(sql) if sql.startswith("BEGIN") else None
            return super().execute(sql, *arguments)

    ledger = SqliteLedger(
        path,
        power_safe=power_safe,
        connect=lambda file: sqlite3.connect(
            file, isolation_level=None, check_same_thread=False, factory=Counting
        ),
    )
    order = []

    async def main():
        await asyncio.gather(*[ledger.commit(lambda tx, n=n: order.append(n)) for n in range(2000)])

    asyncio.run(main())
    ledger.close()
    assert order == list(range(2000))
    assert len(begun) < 200


def test_a_failed_commit_fails_all_that_was_built_on_it_and_nothing_later(path, power_safe):
    ledger, told = SqliteLedger(path, power_safe=power_safe, connect=breaking), []
    ledger.run(lambda tx: tx.put(container()))

    async def main():
        Breaking.failures = 1
        futures = [ledger.commit(lambda tx, id=id: tx.add_message(message(id))) for id in range(1000, 3000)]
        ledger.on_failure = lambda: told.append(not any(future.done() for future in futures[-100:]))
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(outcome, CommitFailed) for outcome in outcomes)
        assert told == [True], "the hub hears of it once, before the futures do"
        assert ledger.reader.counters(BOX) == Counters()
        assert await ledger.commit(lambda tx: tx.add_message(message(70))) == 1

    asyncio.run(main())
    ledger.close()


def test_a_commit_made_when_told_of_the_failure_counts(path, power_safe):
    ledger = SqliteLedger(path, power_safe=power_safe, connect=breaking)

    async def main():
        again = []
        ledger.on_failure = lambda: again.append(ledger.commit(lambda tx: tx.put(container())))
        Breaking.failures = 1
        with pytest.raises(CommitFailed, match="disk is full"):
            await ledger.commit(lambda tx: tx.put(container()))
        await again[0]

    asyncio.run(main())
    assert ledger.reader.resource(BOX) is not None
    ledger.close()


class Faulty(Breaking):
    """Raises at a COMMIT what only a fault of this program could."""

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Faulty.faults:
            Faulty.faults -= 1
            raise AttributeError("no such thing")
        return super().execute(sql, *arguments)

    faults = 0


def test_a_fault_of_our_own_leaves_nobody_waiting_and_the_next_commit_counts(path, power_safe):
    def connect(file):
        return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Faulty)

    ledger = SqliteLedger(path, power_safe=power_safe, connect=connect)

    async def main():
        Faulty.faults = 1
        with pytest.raises(CommitFailed, match="no such thing"):
            await asyncio.wait_for(ledger.commit(lambda tx: tx.put(container())), 5)
        await asyncio.wait_for(ledger.commit(lambda tx: tx.put(container())), 5)

    asyncio.run(main())
    assert ledger.reader.resource(BOX) is not None
    ledger.close()


def test_without_a_loop_a_failed_commit_fails_alone(path, power_safe):
    ledger = SqliteLedger(path, power_safe=power_safe, connect=breaking)
    Breaking.failures = 1
    with pytest.raises(CommitFailed):
        ledger.run(lambda tx: tx.put(container()))
    ledger.run(lambda tx: tx.put(container()))
    ledger.close()


def test_a_truly_full_database_fails_and_recovers(path, power_safe):
    limit = 0

    def limited(file):
        connection = schema.connect(file)
        if limit:
            connection.execute(f"PRAGMA max_page_count = {limit}")
        return connection

    SqliteLedger(path, connect=limited).close()
    limit = 60
    ledger = SqliteLedger(path, power_safe=power_safe, connect=limited)
    ledger.run(lambda tx: tx.put(container()))
    with pytest.raises(CommitFailed, match="full"):
        ledger.run(lambda tx: tx.add_message(message(70, content="x" * 900_000)))
    limit = 0
    ledger.run(lambda tx: tx.add_message(message(70)))
    assert ledger.reader.counters(BOX) == Counters(1, 1, 5)
    ledger.close()


def test_an_operation_that_is_refused_in_a_failed_transaction_fails_with_it(path, power_safe):
    ledger = SqliteLedger(path, power_safe=power_safe, connect=breaking)

    async def main():
        Breaking.failures = 1
        with pytest.raises(CommitFailed):
            await ledger.commit(lambda tx: tx.touch(999, LIVE, 1.0))

    asyncio.run(main())
    ledger.close()


def test_close_commits_what_waits_and_then_refuses(path, power_safe):
    ledger = SqliteLedger(path, power_safe=power_safe)

    async def main():
        futures = [ledger.commit(lambda tx, id=id: tx.put(node(id, f"d{id}", None))) for id in range(50)]
        ledger.close()
        await asyncio.gather(*futures)
        with pytest.raises(CommitFailed, match="closed"):
            ledger.commit(lambda tx: None)

    asyncio.run(main())
    again = SqliteLedger(path)
    assert len(list(again.reader.devices())) == 50
    again.close()


def test_a_loop_that_ended_does_not_stop_the_writer(ledger, caplog):
    async def leave():
        for id in range(100, 200):
            ledger.commit(lambda tx, id=id: tx.put(node(id, f"d{id}", None)))

    asyncio.run(leave())
    ledger.run(lambda tx: None)
    assert len(list(ledger.reader.devices())) == 100


def test_who_submits_hears_in_order_and_on_the_loop(ledger):
    heard = []

    def refuse(tx):
        raise Conflict("no")

    async def main():
        done = asyncio.Event()
        here = threading.get_ident()
        for number in range(1500):
            operation = refuse if number == 700 else lambda tx, number=number: number
            ledger.submit(operation, lambda *outcome: heard.append((*outcome, threading.get_ident() == here)))
        ledger.submit(lambda tx: None, lambda result, error: done.set())
        await done.wait()

    asyncio.run(main())
    assert [result for result, _, _ in heard] == [*range(700), None, *range(701, 1500)]
    assert [type(error) for _, error, _ in heard if error] == [Conflict]
    assert all(on_loop for _, _, on_loop in heard)


def test_what_one_listener_raises_keeps_no_other_from_hearing(ledger):
    heard, problems = [], []

    def stumble(result, error):
        raise ValueError("a bug")

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        ledger.submit(lambda tx: 1, lambda result, error: heard.append(result))
        ledger.submit(lambda tx: 2, stumble)
        ledger.submit(lambda tx: 3, lambda result, error: heard.append(result))
        await ledger.commit(lambda tx: None)

    asyncio.run(main())
    assert heard == [1, 3]
    assert [type(problem["exception"]) for problem in problems] == [ValueError]


def test_an_operation_runs_again_only_after_its_writes_were_undone(ledger):
    seen = []

    def add(tx):
        seen.append(tx.resource(BOX))
        tx.put(container())

    def refuse(tx):
        raise Conflict("no")

    async def main():
        return await asyncio.gather(ledger.commit(add), ledger.commit(refuse), return_exceptions=True)

    added, refused = asyncio.run(main())
    assert added is None
    assert isinstance(refused, Conflict)
    assert set(seen) == {None}
    assert ledger.reader.resource(BOX) == container()


def test_a_long_backlog_leaves_the_loop_its_turns(path):
    ledger, turns = SqliteLedger(path), []

    async def main():
        loop = asyncio.get_running_loop()
        commits = [ledger.commit(lambda tx: time.sleep(0.001)) for _ in range(100)]
        commits[-1].add_done_callback(lambda _: turns.append(None))

        def turn():
            if not turns or turns[-1] is not None:
                turns.append(sum(commit.done() for commit in commits))
                loop.call_soon(turn)

        turn()
        await asyncio.gather(*commits)

    asyncio.run(main())
    ledger.close()
    counts = [count for count in turns if count is not None]
    assert max(after - before for before, after in itertools.pairwise(counts)) <= 20


@pytest.mark.parametrize(("limit", "value"), [("CHANGES", 100), ("WAL_SIZE", 1_000_000)])
def test_the_write_ahead_log_stays_short_while_writing_goes_on(path, power_safe, monkeypatch, limit, value):
    monkeypatch.setattr(checkpoints, limit, value)
    ledger, sizes = SqliteLedger(path, power_safe=power_safe), []
    log = path.with_name("ledger.db-wal")

    async def main():
        await ledger.commit(lambda tx: tx.put(container()))
        for id in range(1000, 1800):
            await ledger.commit(lambda tx, id=id: tx.add_message(message(id, content="x" * 20_000)))
            sizes.append(log.stat().st_size)

    asyncio.run(main())
    ledger.close()
    assert max(sizes) < 24_000_000, "48 MB were written"
    assert not log.exists()
    again = SqliteLedger(path)
    assert [kept.id for kept in again.reader.messages(BOX)] == list(range(1750, 1800))
    again.close()


# --- the file ----------------------------------------------------------------------------------------


def test_the_installation_tag_is_drawn_once(path, tmp_path):
    first = SqliteLedger(path)
    tag = first.installation
    first.close()
    again, other = SqliteLedger(path), SqliteLedger(tmp_path / "other.db")
    assert again.installation == tag != other.installation
    assert len(bytes.fromhex(tag)) == 5
    again.close()
    other.close()


def test_the_highest_id_is_a_resource_or_a_message(ledger):
    assert ledger.highest_id == 0
    ledger.run(lambda tx: tx.put(container()))
    assert ledger.highest_id == BOX
    ledger.run(lambda tx: tx.add_message(message(70)))
    assert ledger.highest_id == 70


def test_files_are_readable_by_their_owner_only(ledger, path):
    ledger.run(lambda tx: tx.put(node()))
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)


def test_durability_by_the_setting(ledger, power_safe):
    def synchronous(tx):
        return tx._execute("PRAGMA synchronous").fetchone()[0]

    assert ledger.run(synchronous) == (2 if power_safe else 1)


def test_an_older_ledger_is_copied_and_migrated(path):
    old = SqliteLedger(path)
    old.run(lambda tx: tx.put(node()))
    old.close()
    now = len(schema.STEPS)
    schema.prepare(path, steps=(*schema.STEPS, "ALTER TABLE device ADD COLUMN owner TEXT DEFAULT 'me'"))
    with sqlite3.connect(path) as new, sqlite3.connect(path.with_name(f"ledger.v{now}.db")) as copy:
        assert new.execute("SELECT owner FROM device").fetchall() == [("me",)]
        assert new.execute("PRAGMA user_version").fetchone() == (now + 1,)
        assert copy.execute("SELECT name FROM device").fetchall() == [("dev1",)]
        assert copy.execute("PRAGMA user_version").fetchone() == (now,)
    new.close()
    copy.close()
    with pytest.raises(
        SettingsError, match=rf"ledger\.db: has schema version {now + 1}, this program knows {now}"
    ):
        SqliteLedger(path)


def test_a_failed_migration_changes_nothing(path):
    SqliteLedger(path).close()
    with pytest.raises(SettingsError, match="nonsense"):
        schema.prepare(path, steps=(*schema.STEPS, "CREATE TABLE extra (x); nonsense"))
    SqliteLedger(path).close()
    with sqlite3.connect(path) as connection:
        assert not connection.execute("SELECT * FROM sqlite_master WHERE name = 'extra'").fetchall()
    connection.close()


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path):
    path.write_text(json.dumps({"not": "sqlite"}) * 100)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"ledger\.db: cannot be used as a ledger"):
        SqliteLedger(path)
    assert path.read_bytes() == before


def test_everything_is_found_by_an_index(ledger):
    """Reads stay O(log n): the planner scans no table and sorts only the nodes of one name."""
    plans = []
    real = ledger._reading.execute

    def explain(sql, arguments=()):
        plans.extend(row[3] for row in real(f"EXPLAIN QUERY PLAN {sql}", arguments))
        return real(sql, arguments)

    read = ledger.reader
    read._execute = explain
    read.resource(1), read.child(1, "x"), read.children(1), read.children(1, types=[3, 14], limit=5)
    read.counters(1), read.message(1), read.message_named(1, "x"), read.latest(1), read.oldest(1)
    (
        read.messages(1),
        read.device(1),
        read.device_named("t", "x"),
        read.device_of_endpoint("x"),
        read.credential(1, "management"),
    )
    read.credentials_of(1), list(read.credentials())
    list(read.devices()), list(read.devices("t")), read.observations(1)
    assert len(plans) > 15
    assert not [plan for plan in plans if plan.startswith("SCAN")]
    assert len([plan for plan in plans if "TEMP B-TREE" in plan]) <= 1


def test_a_write_costs_the_same_however_much_is_stored(ledger):
    """Counted in SQLite's own machine steps, which no other load on the computer changes."""

    def steps(tx, write):
        counted = []
        connection = tx._execute.__self__
        connection.set_progress_handler(lambda: counted.append(None), 1)
        write()
        connection.set_progress_handler(None, 1)
        return len(counted)

    def measure(tx, id):
        insert = steps(tx, lambda: tx.add_message(message(id)))
        return insert, steps(tx, lambda: tx.touch(100, LIVE, 1.0))

    def fill(tx):
        tx.put(container(mni=3))
        tx.put(container(id=60, name="archive", mni=10**9, mbs=10**9))
        tx.put(node())
        tx.put_registration(100, registration(), LIVE, 1.0)
        for id in (1, 2, 3):
            tx.add_message(message(id))

    def more(tx):
        for id in range(1000, 6000):
            tx.add_message(message(id, 60))
            tx.put(node(id * 10, f"d{id}", None))

    ledger.run(fill)
    before = ledger.run(lambda tx: measure(tx, 900))
    ledger.run(more)
    after = ledger.run(lambda tx: measure(tx, 100_000))
    assert before == after
    assert max(before) < 500
