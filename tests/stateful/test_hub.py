"""The hub over the real ledger, with commits that fail at random.

Whatever happens: what was acknowledged is in the ledger, what failed is not, nothing leaves for a
device before its mark is durable, and the engine agrees with the ledger when all is quiet.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_engine import Catalog, Engine
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import events as facts
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages import parse
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.bus import Bus
from lwm2m_server.hub import Hub
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.projection import Nodes
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.security.admission import Admission
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.settings import Settings
from lwm2m_server.sinks.outlets import open_outlets
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ids import Ids, NodeIds, ResourceIds
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Message, Tenant
from lwm2m_server.uplink import Uplink
from lwm2m_server.wishes import Wishes

CATALOG = Catalog.bundled()
PLUGINS = PluginManager.default()
TABLE = PLUGINS.table(CATALOG)
ENDPOINTS = ("one", "two")
endpoints = st.sampled_from(ENDPOINTS)
PEERS = {endpoint: Peer("10.0.0.1", 40000 + number) for number, endpoint in enumerate(ENDPOINTS)}


class Brittle(sqlite3.Connection):
    """A connection to a disk that may be full."""

    full = False

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Brittle.full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *arguments)


def connect(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Brittle)


class Wire:
    """The transport: keeps what it is to send, and checks that it may."""

    def __init__(self, machine):
        self.machine = machine
        self.waiting = {}

    def perform(self, effect):
        job_is_marked = self.machine.in_flight_is_durable(effect.endpoint)
        assert job_is_marked, "sent before the mark was durable"
        self.waiting[effect.exchange] = effect

    def abort(self, exchange):
        self.waiting.pop(exchange, None)


class HubMachine(RuleBasedStateMachine):
    @initialize(power_safe=st.booleans())
    def start(self, power_safe):
        self.power_safe = power_safe
        Brittle.full = False
        self.directory = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.now = 1_700_000_000.0
        self.locations = {}
        self.acknowledged = {}
        self.refused = set()
        self.published = []
        self.run(self.boot())

    async def boot(self):
        self.ledger = SqliteLedger(self.directory / "ledger.db", power_safe=self.power_safe, connect=connect)
        self.inventory = TinyInventory(self.directory / "inventory.json")
        floor = max(self.ledger.highest_id, self.inventory.highest_id)
        self.ids = Ids(lambda: self.now, floor)
        if self.inventory.tenant("main") is None:
            await self.inventory.add_tenant(Tenant(self.ids.next(), "main"))
        configuration = Settings()
        credentials = Credentials(self.ledger, Vault(bytes(32)), CertificateNames())
        notices = open_notices(self.ledger, self.inventory, configuration, credentials)
        resource_ids = ResourceIds(self.ledger.installation)
        projector = Projector(self.ids, resource_ids, configuration, notices)
        reader = self.ledger.reader
        nodes = Nodes(projector, self.inventory, reader, self.ids, configuration.messages)
        bus = Bus()
        bus.subscribe(lambda tenant, event: self.published.append(event))
        admission = Admission(credentials.identities("management"))
        self.hub = Hub(self.ledger, nodes, bus, clock=lambda: self.now)
        self.uplink = Uplink(self.hub, reader, admission, "main")
        self.wishes = Wishes(self.hub, nodes, "main")
        self.engine = Engine(CATALOG, PLUGINS, table=TABLE)
        self.hub.add_tenant("main", self.engine)
        self.wire = Wire(self)
        self.hub.add_transport("coap", self.wire)
        outlets = open_outlets(self.ledger, self.inventory, configuration.deliveries)
        platform = Onem2m(
            self.inventory, self.ledger, self.wishes, self.ids, configuration, credentials, notices, outlets
        )
        await platform.prepare()
        self.hub.resume(self.hub.restore())

    def run(self, coroutine):
        """Run until nothing is under way any more."""

        async def settle():
            result = await asyncio.gather(coroutine, return_exceptions=True)
            for _ in range(4):
                await self.hub.commits.drain()
                await asyncio.sleep(0)
            return result[0]

        result = self.loop.run_until_complete(settle())
        if isinstance(result, BaseException):
            raise result
        return result

    def hear(self, happens):
        """What the hub tells, at once or when it has committed."""

        async def heard():
            told = asyncio.get_running_loop().create_future()
            happens(told.set_result)
            return await told

        return self.run(heard())

    def device(self, endpoint):
        return self.ledger.reader.device_of_endpoint(endpoint)

    def in_flight_is_durable(self, endpoint):
        device = self.device(endpoint)
        if device is None or device.registration is None:
            return False
        if device.registration.unread:
            return True
        waiting = self.ledger.reader.messages(NodeIds(device.node).outgoing)
        return bool(waiting) and waiting[0].in_flight

    def refuses(self, endpoint):
        """Whether a commit about this device must fail: no room, or it is still being put back."""
        return Brittle.full or endpoint in self.hub.commits._broken

    # --- devices ----------------------------------------------------------------------------------

    def say(self, endpoint, code, path, query=(), payload=b""):
        request = CoapRequest(code, path, query, payload)
        return self.hear(lambda tell: self.uplink.receive(request, PEERS[endpoint], tell))

    @rule(endpoint=endpoints)
    def register(self, endpoint):
        query = (f"ep={endpoint}", "lt=600", "lwm2m=1.1")
        refuses = self.refuses(endpoint)
        reply = self.say(endpoint, Code.POST, ("rd",), query, b"</1/0>,</3/0>")
        assert reply.code == (Code.SERVICE_UNAVAILABLE if refuses else Code.CREATED), reply
        if reply.code == Code.CREATED:
            self.locations[endpoint] = reply.location[1]

    @precondition(lambda self: self.locations)
    @rule(data=st.data())
    def update(self, data):
        endpoint = data.draw(st.sampled_from(sorted(self.locations)))
        refuses = self.refuses(endpoint)
        reply = self.say(endpoint, Code.POST, ("rd", self.locations[endpoint]), ("lt=700",))
        assert reply.code == (Code.SERVICE_UNAVAILABLE if refuses else Code.CHANGED), reply

    @precondition(lambda self: self.locations)
    @rule(data=st.data())
    def deregister(self, data):
        endpoint = data.draw(st.sampled_from(sorted(self.locations)))
        refuses = self.refuses(endpoint)
        reply = self.say(endpoint, Code.DELETE, ("rd", self.locations[endpoint]))
        assert reply.code == (Code.SERVICE_UNAVAILABLE if refuses else Code.DELETED), reply
        if reply.code == Code.DELETED:
            del self.locations[endpoint]

    @precondition(lambda self: self.wire.waiting)
    @rule(code=st.sampled_from([Code.CONTENT, Code.CHANGED, Code.NOT_FOUND]))
    def answer(self, code):
        exchange, _ = self.wire.waiting.popitem()
        self.hear(lambda tell: self.uplink.answered(exchange, CoapReply(code, b"", ContentFormat.TLV), tell))

    @precondition(lambda self: self.wire.waiting)
    @rule()
    def lose(self):
        exchange, _ = self.wire.waiting.popitem()
        self.hear(lambda tell: tell(self.uplink.failed(exchange, "timeout")))

    # --- applications -----------------------------------------------------------------------------

    @rule(endpoint=endpoints, text=st.sampled_from(["GET /3/0/9", "PUT /3/0/14 +01", "POST /3/0/4"]))
    def wish(self, endpoint, text):
        device = self.device(endpoint)
        if device is None:
            return
        self.now += 0.001
        id = self.ids.next()
        container = NodeIds(device.node).outgoing
        message = Message(id, container, None, "CApp", 0, text, None, len(text))
        request = parse(text, self.wishes.models(device))
        work = self.wishes.submit(
            device,
            request,
            id=id,
            expires_at=None,
            store=lambda transaction, starts: transaction.add_message(message, started=starts),
        )
        refuses = self.refuses(endpoint)
        try:
            self.run(work)
        except CommitFailed:
            assert refuses
            self.refused.add(id)
        else:
            assert not refuses
            self.acknowledged[id] = endpoint

    @rule(endpoint=endpoints)
    def forget(self, endpoint):
        """Its node is deleted."""
        device = self.device(endpoint)
        if device is None:
            return

        def remove(transaction):
            transaction.remove(device.node)
            transaction.remove(NodeIds(device.node).communication)

        refuses = self.refuses(endpoint)
        work = self.wishes.forget(device, remove)
        waiting = [id for id, owner in self.acknowledged.items() if owner == endpoint]
        try:
            self.run(work)
        except CommitFailed:
            assert refuses
        else:
            assert not refuses
            assert self.device(endpoint) is None
            self.locations.pop(endpoint, None)
            for id in waiting:
                del self.acknowledged[id]

    # --- disaster ---------------------------------------------------------------------------------

    @rule(full=st.booleans())
    def disk(self, full):
        Brittle.full = full

    @rule()
    def crash(self):
        """The process dies and comes back; the disk has room again, and time has passed: ids come from the
        clock, and what was refused has left no trace of its own."""
        Brittle.full = False
        self.now += 1.0
        self.ledger.close()
        self.run(self.boot())

    # --- always true ------------------------------------------------------------------------------

    @invariant()
    def the_engine_agrees_with_the_ledger(self):
        for endpoint in ENDPOINTS if hasattr(self, "hub") else ():
            device = self.device(endpoint)
            if device is None or self.hub.commits._broken:
                continue
            assert self.engine.registration(endpoint) == device.registration
            if endpoint in self.engine.endpoints():
                kept = self.ledger.reader.messages(NodeIds(device.node).outgoing)
                assert self.engine.presence(endpoint).waiting == len(kept)

    @invariant()
    def acknowledged_messages_are_somewhere_and_refused_ones_nowhere(self):
        if not hasattr(self, "hub"):
            return
        reader = self.ledger.reader
        ended = {event.message for event in self.published if isinstance(event, (facts.Sent, facts.Failed))}
        for id in self.acknowledged:
            assert id in ended or reader.message(id) is not None, "an acknowledged message is lost"
        for id in self.refused:
            assert reader.message(id) is None

    def teardown(self):
        if hasattr(self, "hub"):
            Brittle.full = False
            self.run(self.hub.close())
            self.ledger.close()
            self.loop.close()
            shutil.rmtree(self.directory)


HubMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHub = HubMachine.TestCase
