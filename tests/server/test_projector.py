"""Engine events become rows of the real ledger."""

import itertools
import json

import attrs
import pytest

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.engine.events import (
    Asleep,
    Awake,
    Deregistered,
    Expired,
    Failed,
    Held,
    InputsChanged,
    ManagedChanged,
    ObservationEnded,
    Observed,
    Queued,
    Received,
    Registered,
    RegistrationChanged,
    Sent,
    Started,
    Updated,
    Warned,
)
from lwm2m_engine.engine.records import Liveness, Observation, Registration, Waiting
from lwm2m_engine.entries import Entry
from lwm2m_engine.mapping.managed import ManagedChange
from lwm2m_engine.messages import Read
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink
from lwm2m_server.onem2m.behaviours.nodes import provision_node, put_node
from lwm2m_server.onem2m.behaviours.roots import below, put_roots
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.security.opening import open_credentials
from lwm2m_server.settings import DeviceSettings, MessageSettings, Settings
from lwm2m_server.store.errors import Gone
from lwm2m_server.store.ids import Ids, NodeIds, ResourceIds, uuid_name
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import DeviceRef, Message, Tenant

AT = 1752761134.124
ENDPOINT = "urn:dev:1"
PEER = Peer("127.0.0.1", 40000)
REGISTRATION = Registration(
    id="r1", endpoint=ENDPOINT, version="1.1", lifetime=300, binding="U", queue_mode=True, root="/",
    objects={1: "1.1", 3: "1.1"}, instances=(Path("/1/0"), Path("/3/0")), links=(), formats=(), sms=None,
    attributes={}, registered_at=AT,
)  # fmt: skip
OBSERVATION = Observation(b"12345678", ENDPOINT, "r1", (Path("/3/0/9"),), False, 112, AT)


@attrs.define
class World:
    """One device in a ledger, and the projector that writes about it."""

    ledger: SqliteLedger
    projector: Projector
    ids: Ids
    resource_ids: ResourceIds
    device: DeviceRef
    catalog: object

    @property
    def own(self):
        return NodeIds(self.device.node)

    @property
    def row(self):
        return self.ledger.reader.device(self.device.node)

    def tell(self, *events):
        for event in events:
            write = self.projector.plan(event, self.device, lambda endpoint: self.catalog)
            assert write is not None
            self.ledger.run(write)

    def wait(self, text="GET /3\n"):
        """A message in ``outgoing-msg``."""
        id = self.ids.next()
        message = Message(id, self.own.outgoing, None, "CTestApp", 0, text, None, len(text))
        return message.tagged(self.ledger.run(lambda write: write.add_message(message)))

    def messages(self, container):
        return self.ledger.reader.messages(container)

    def bodies(self, container):
        return [json.loads(message.content) for message in self.messages(container)]

    def lines(self):
        return [(line["event"], line.get("text", "")) for line in self.bodies(self.own.logs)]

    def child(self, name):
        return self.ledger.reader.child(self.device.node, name)


@pytest.fixture
def world(tmp_path, catalog):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ids = Ids(itertools.count(1_700_000_000).__next__)
    tenant = Tenant(ids.next(), "main")
    ledger.run(lambda write: put_roots(write, ids, tenant))
    root = below(ledger.reader, tenant, "device-communication")
    own = NodeIds(ids.next(NodeIds.COUNT))
    rows = provision_node(own, tenant, root.id, "device001", ENDPOINT, (), MessageSettings())
    ledger.run(lambda write: put_node(write, rows))
    resource_ids = ResourceIds(ledger.installation)
    settings = Settings(data=tmp_path)
    inventory = TinyInventory(tmp_path / "inventory.json")
    notices = open_notices(ledger, inventory, settings, open_credentials(settings, ledger))
    projector = Projector(ids, resource_ids, settings, notices)
    yield World(
        ledger, projector, ids, resource_ids, DeviceRef(own.node, "main", "device001", ENDPOINT), catalog
    )
    ledger.close()


def liveness(at):
    return Liveness(PEER, at, at + 300)


def registered(at=AT):
    return Registered(ENDPOINT, at, REGISTRATION, liveness(at))


def test_a_register_is_stored_and_logged(world):
    world.tell(registered())
    row = world.row
    assert (row.registration, row.liveness, row.endpoint) == (REGISTRATION, liveness(AT), ENDPOINT)
    assert (row.registered_at, row.updated_at, row.deregistered_at, row.expired_at) == (AT, None, None, None)
    assert world.lines() == [("registered", "LwM2M 1.1, lifetime 300 s, queue mode, objects 1 3")]


def test_an_update_touches_the_narrow_columns(world):
    world.tell(registered(), Updated(ENDPOINT, AT + 9, REGISTRATION, liveness(AT + 9), changed=False))
    row = world.row
    assert (row.updated_at, row.registered_at, row.liveness) == (AT + 9, AT, liveness(AT + 9))
    assert world.lines()[-1] == ("updated", "")


def updated(at, *, changed=False, moved=False, peer=PEER):
    return Updated(ENDPOINT, at, REGISTRATION, Liveness(peer, at, at + 300), changed=changed, moved=moved)


def test_an_update_from_elsewhere_stores_the_new_address(world):
    peer = Peer("192.0.2.77", 1)
    world.tell(registered(), updated(AT + 9, moved=True, peer=peer), updated(AT + 18, peer=peer))
    assert world.row.liveness == Liveness(peer, AT + 18, AT + 318)


def test_updates_that_change_nothing_leave_a_line_once_in_a_while(world):
    hour = 3600
    world.tell(registered(), *[updated(AT + minute * 60) for minute in range(1, 122)])
    assert [line["time"] for line in world.bodies(world.own.logs)] == [
        round((AT + seconds) * 1000) for seconds in (0, 60, 60 + hour, 60 + 2 * hour)
    ]
    assert world.row.updated_at == AT + 121 * 60


def test_the_first_update_after_another_line_of_life_leaves_one(world):
    world.tell(registered(), updated(AT + 1), Asleep(ENDPOINT, AT + 2), Awake(ENDPOINT, AT + 3))
    world.tell(updated(AT + 4), updated(AT + 5), Warned(ENDPOINT, AT + 6, "odd"), updated(AT + 7))
    world.tell(updated(AT + 8, changed=True), updated(AT + 9), updated(AT + 10))
    names = [name for name, _ in world.lines()]
    assert names == ["registered", "updated", "sleeping", "awake", "updated", "warning", "updated", "updated"]


def test_every_update_leaves_a_line_if_that_is_wanted(world):
    settings = Settings(devices=DeviceSettings(log_updates_every=0.0))
    world.projector = Projector(world.ids, world.resource_ids, settings, world.projector._notices)
    world.tell(registered(), *[updated(AT + second) for second in range(3)])
    assert [name for name, _ in world.lines()] == ["registered", "updated", "updated", "updated"]


def test_an_update_that_changes_the_registration_stores_it(world):
    changed = attrs.evolve(REGISTRATION, lifetime=60)
    world.tell(registered(), Updated(ENDPOINT, AT + 9, changed, liveness(AT + 9), changed=True))
    assert world.row.registration == changed
    assert world.lines()[-1] == ("updated", "LwM2M 1.1, lifetime 60 s, queue mode, objects 1 3")


def test_what_the_engine_learns_is_stored_without_a_line(world):
    changed = attrs.evolve(REGISTRATION, unread=(Path("/3"),))
    world.tell(registered(), RegistrationChanged(ENDPOINT, AT, changed))
    assert world.row.registration == changed
    assert len(world.lines()) == 1


@pytest.mark.parametrize(
    ("event", "moment", "line"),
    [(Deregistered, "deregistered_at", "deregistered"), (Expired, "expired_at", "expired")],
)
def test_the_end_of_a_registration(world, event, moment, line):
    world.tell(registered(), Observed(ENDPOINT, AT, OBSERVATION), event(ENDPOINT, AT + 5, REGISTRATION))
    row = world.row
    assert row.registration is None
    assert getattr(row, moment) == AT + 5
    assert row.registered_at == AT
    assert world.lines()[-1] == (line, "")


def test_presence_and_warnings_are_lines(world):
    world.tell(Awake(ENDPOINT, AT), Asleep(ENDPOINT, AT), Warned(ENDPOINT, AT, "ver in quotes \ud800"))
    assert world.lines() == [("awake", ""), ("sleeping", ""), ("warning", "ver in quotes ?")]


def test_an_answer_lands_in_received_msg(world):
    waiting = world.wait()
    entries = (Entry(Path("/3/0/13"), 1752761133),)
    world.tell(Received(ENDPOINT, AT, "response", Path("/3"), Code.CONTENT, entries, "read", waiting.id))
    (message,) = world.messages(world.own.received)
    assert (message.creator, message.content_info) == ("CDevice-Provisioning", "application/json:0")
    assert (message.name, message.size) == (uuid_name(message.id), len(message.content))
    found = json.loads(message.content)
    assert found["dataValue"] == {"3/0/13": 1752761133000}
    assert found["requestID"] == world.resource_ids.ri(waiting.id, 4)
    assert not world.messages(world.own.errors)


def test_what_cannot_be_decoded_is_an_error_too(world):
    waiting = world.wait()
    world.tell(
        Received(
            ENDPOINT,
            AT,
            "response",
            Path("/3"),
            Code.CONTENT,
            (),
            "read",
            waiting.id,
            11542,
            b"\xff",
            "truncated",
        )
    )
    assert world.bodies(world.own.received)[0]["rawPayload"] == "/w=="
    (error,) = world.bodies(world.own.errors)
    assert (error["reason"], error["detail"]) == ("decode", "truncated")
    assert error["requestID"] == world.resource_ids.ri(waiting.id, 4)


@pytest.mark.parametrize(
    ("operation", "path", "words"),
    [
        ("read", "/3/0/9", "the right R (bit 1 of /2/x/2) on /3/0;"),
        ("observe", "/3", "the right R (bit 1 of /2/x/2) on /3;"),
        ("write", "/3/0/14", "the right W (bit 2 of /2/x/2) on /3/0;"),
        ("execute", "/3/0/4", "the right E (bit 4 of /2/x/2) on /3/0;"),
        ("delete", "/3303/1", "the right D (bit 8 of /2/x/2) on /3303/1;"),
        ("create", "/3303", "the right C (bit 16 of /2/x/2) on /3303;"),
        ("read-composite", "/", "on what was asked for;"),
        ("discover", "/3/0", "a right on /3/0;"),
    ],
)
def test_a_right_that_is_missing_is_explained(world, operation, path, words):
    waiting = world.wait()
    world.tell(Received(ENDPOINT, AT, "response", Path(path), Code.UNAUTHORIZED, (), operation, waiting.id))
    assert world.bodies(world.own.received)[0]["responseCode"] == "4.01"
    (error,) = world.bodies(world.own.errors)
    assert (error["reason"], error["operation"]) == ("unauthorized", operation)
    assert words in error["detail"]
    assert "Access Control Object (/2)" in error["detail"]


def test_what_nobody_asked_for_is_not_explained(world):
    world.tell(Received(ENDPOINT, AT, "response", Path("/3"), Code.UNAUTHORIZED, (), "read"))
    assert not world.messages(world.own.errors)


def test_an_undecodable_notification_is_nobodys_failed_request(world):
    world.tell(Received(ENDPOINT, AT, "notification", Path("/3"), Code.CONTENT, error="odd", payload=b"x"))
    assert not world.messages(world.own.errors)


def test_a_message_is_marked_before_it_leaves_and_unmarked_when_held(world):
    waiting = world.wait()
    for event, marked in ((Started, True), (Held, False)):
        world.tell(event(ENDPOINT, AT, waiting.id))
        assert world.messages(world.own.outgoing)[0].in_flight is marked


def test_a_message_that_starts_at_once_is_stored_so(world):
    started = Started(ENDPOINT, AT, world.wait().id, at_once=True)
    assert world.projector.plan(started, world.device, lambda endpoint: world.catalog) is None


def test_a_message_that_was_sent_moves(world):
    waiting = world.wait()
    world.tell(Started(ENDPOINT, AT, waiting.id), Sent(ENDPOINT, AT, waiting.id))
    assert not world.messages(world.own.outgoing)
    (sent,) = world.messages(world.own.sent)
    assert (sent.content, sent.creator) == (waiting.content, "CTestApp")
    assert sent.id != waiting.id
    assert sent.name != waiting.name
    assert (sent.state_tag, sent.in_flight) == (1, False)


def test_a_failed_message_ends_in_error_msg(world):
    waiting = world.wait()
    world.tell(Failed(ENDPOINT, AT, waiting.id, "read", Path("/3"), "expired"))
    assert not world.messages(world.own.outgoing)
    (error,) = world.bodies(world.own.errors)
    assert (error["reason"], error["operation"], error["resourcePath"]) == ("expired", "read", "3")
    assert error["requestID"] == world.resource_ids.ri(waiting.id, 4)


def test_observations_come_and_go(world):
    world.tell(registered(), Observed(ENDPOINT, AT, OBSERVATION))
    assert list(world.ledger.reader.observations(world.device.node)) == [OBSERVATION]
    ended = ObservationEnded(ENDPOINT, AT, OBSERVATION, "registration")
    assert world.projector.plan(ended, world.device, lambda endpoint: world.catalog) is None
    assert list(world.ledger.reader.observations(world.device.node)) == [OBSERVATION]
    suspended = attrs.evolve(OBSERVATION, registration="")
    world.tell(ObservationEnded(ENDPOINT, AT, suspended, "suspended"))
    assert list(world.ledger.reader.observations(world.device.node)) == [suspended]
    world.tell(ObservationEnded(ENDPOINT, AT, OBSERVATION, "cancelled"))
    assert not world.ledger.reader.observations(world.device.node)


def change(kind, name, changed, rest=None):
    return ManagedChanged(ENDPOINT, AT, ManagedChange(kind, name, changed, {**(rest or {}), **changed}))


def test_device_info_changes(world):
    world.tell(
        change("m2m:deviceInfo", "device-info", {"deviceName": "My Demo Device"}, {"deviceLabel": "x"})
    )
    info = world.child("device-info")
    assert (info.id, info.key) == (world.own.device_info, "m2m:dvi")
    assert dict(info.attributes) == {"mgd": 1007, "dlb": "device001", "dvnm": "My Demo Device"}
    assert info.modified == int(AT * 1_000_000)


def test_what_is_the_same_is_not_written_again(world):
    told = change("m2m:deviceInfo", "device-info", {"deviceName": "My Demo Device"})
    world.tell(told)
    before = world.child("device-info")
    world.tell(attrs.evolve(told, at=AT + 60))
    assert world.child("device-info") == before


def test_inputs_of_mappings_are_kept(world):
    inputs = ((Path("/3/0/0"), "My Demo Device"), (Path("/6/0/0"), 52.5))
    world.tell(InputsChanged(ENDPOINT, AT, inputs))
    assert dict(world.row.inputs) == dict(inputs)


def test_another_management_object_is_created_beside_it(world):
    world.tell(change("m2m:battery", "battery", {"batteryLevel": 72}, {"batteryStatus": 1}))
    world.tell(change("m2m:battery", "battery", {"batteryLevel": 71}))
    battery = world.child("battery")
    assert (battery.key, battery.type, battery.tenant) == ("m2m:bat", 13, "main")
    assert dict(battery.attributes) == {"mgd": 1006, "btl": 71, "bts": 1}


def test_a_device_info_that_a_client_deleted_comes_back(world):
    world.ledger.run(lambda write: write.remove(world.own.device_info))
    world.tell(change("m2m:deviceInfo", "device-info", {"fwVersion": "2"}, {"deviceName": "x"}))
    assert dict(world.child("device-info").attributes) == {"mgd": 1007, "dvnm": "x", "fwv": "2"}


def test_a_kind_of_a_plugins_own_keeps_its_names(world):
    world.tell(
        change("acme:valve", "valve", {"opening": 0.5, "tag": b"\x01", "of": ObjLink(3, 0), "t": "\ud800"})
    )
    valve = world.child("valve")
    assert valve.key == "acme:valve"
    assert dict(valve.attributes) == {"mgd": 0, "opening": 0.5, "tag": "AQ==", "of": "3:0", "t": "?"}


def test_a_kind_that_does_not_exist_is_a_line(world):
    world.tell(change("m2m:batery", "battery", {"batteryLevel": 72}))
    assert world.child("battery") is None
    ((event, text),) = world.lines()
    assert event == "warning"
    assert "m2m:battery" in text


def test_a_name_that_is_something_else_is_left_alone(world):
    before = world.child("credentials")
    world.tell(change("m2m:battery", "credentials", {"batteryLevel": 72}))
    assert world.child("credentials") == before
    assert world.lines()[0][0] == "warning"


def limit(world, container, **limits):
    row = world.ledger.reader.resource(container)
    world.ledger.run(lambda write: write.change(container, {**row.attributes, **limits}, row.modified))


def test_what_does_not_fit_a_container_leaves_a_line(world):
    limit(world, world.own.received, mbs=10)
    limit(world, world.own.sent, mni=0)
    waiting = world.wait()
    world.tell(
        Sent(ENDPOINT, AT, waiting.id),
        Received(ENDPOINT, AT, "response", Path("/3"), Code.CONTENT, (), "read", waiting.id),
    )
    assert not world.messages(world.own.outgoing)
    assert [text.partition(" ")[0] for _, text in world.lines()] == ["sent-msg", "received-msg"]


def test_a_log_without_room_stops_nothing(world):
    limit(world, world.own.logs, mbs=1)
    world.tell(registered())
    assert world.row.registration == REGISTRATION
    assert not world.lines()


def test_containers_evict_the_oldest(world):
    limit(world, world.own.logs, mni=2)
    world.tell(Awake(ENDPOINT, AT), Asleep(ENDPOINT, AT), Awake(ENDPOINT, AT + 1))
    assert [event for event, _ in world.lines()] == ["sleeping", "awake"]
    # The new limit counts, too.
    assert world.ledger.reader.counters(world.own.logs).state_tag == 4


def test_a_queued_message_is_stored_by_whoever_submits_it(world):
    event = Queued(ENDPOINT, AT, Waiting(5, Read(Path("/3")), AT, None))
    assert world.projector.plan(event, world.device, lambda endpoint: world.catalog) is None


def test_facts_about_a_node_that_is_gone_are_refused(world):
    write = world.projector.plan(registered(), world.device, lambda endpoint: world.catalog)
    world.ledger.run(lambda transaction: transaction.remove(world.device.node))
    with pytest.raises(Gone):
        world.ledger.run(write)


def test_what_a_new_node_is_born_with_is_not_written_again(world):
    """Only in the moment it is made: later somebody may have changed it."""

    def labelled(text, at=AT):
        change = ManagedChange("m2m:deviceInfo", "device-info", {"deviceLabel": text}, {"deviceLabel": text})
        event = ManagedChanged(ENDPOINT, at, change)
        return world.projector.plan(event, world.device, lambda endpoint: world.models)

    assert labelled("device001") is not None
    world.projector.admitted(world.device)
    assert labelled("device001") is not None
    world.projector.plan(registered(), world.device, lambda endpoint: world.models)
    assert labelled("device001") is None
    assert labelled("x") is not None
    assert labelled("device001", AT + 1) is not None


def test_values_without_a_model_are_told_of(world):
    heard = []
    world.projector.on_strange = lambda device, paths, at: heard.append((device, list(paths), at))
    known, strange = Entry(Path("/3/0/9"), 5), Entry(Path("/3/0/9999"), 5)
    for kind, prefix in (("response", ""), ("send", ""), ("notification", ""), ("response", "dev1/")):
        event = Received(ENDPOINT, AT, kind, Path("/3/0"), Code.CONTENT, (known, strange), prefix=prefix)
        world.tell(event)
    assert heard == [(world.device, [Path("/3/0/9999")], AT)] * 2


def test_a_management_object_without_a_place_is_told_of(world):
    heard = []
    world.projector.on_unmapped = lambda device, name, why, at: heard.append((name, at))
    change = ManagedChange("m2m:nothing", "battery", {"level": 1}, {"level": 1})
    world.tell(ManagedChanged(ENDPOINT, AT, change))
    assert heard == [("battery", AT)]
