"""A oneM2M platform on real stores, with devices that only queue."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import attrs
import httpx
import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.presence import Presence
from lwm2m_engine.engine.records import Registration
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.mapping.commands import orders
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_server.access import hashing
from lwm2m_server.access.opening import AccessControl, open_access
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.timing import Timing
from lwm2m_server.enrolment.opening import EnrolmentParts, open_enrolment
from lwm2m_server.http.app import create_http
from lwm2m_server.http.applications import ApplicationApi
from lwm2m_server.http.assignments import profile_routes
from lwm2m_server.http.audit import AuditApi
from lwm2m_server.http.clients import ClientApi
from lwm2m_server.http.credentials import CredentialApi
from lwm2m_server.http.devices import DeviceApi, DeviceFinder
from lwm2m_server.http.door import Door
from lwm2m_server.http.enrolment import EnrolmentApi
from lwm2m_server.http.enrolments import RuleApi
from lwm2m_server.http.faults import FaultApi
from lwm2m_server.http.fleet import FleetApi
from lwm2m_server.http.groups import GroupApi
from lwm2m_server.http.imports import ImportApi
from lwm2m_server.http.profile_previews import ProfilePreviewApi
from lwm2m_server.http.profiles import ProfileApi
from lwm2m_server.http.subscriptions import SubscriptionApi
from lwm2m_server.http.tokens import TokenApi
from lwm2m_server.http.tree import TreeRequests
from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS
from lwm2m_server.onem2m.binding import Binding
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.notify.subscriptions import bundling_of
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.problems.book import Problems
from lwm2m_server.profiles.defaults import defaults_of
from lwm2m_server.profiles.impact import Impact
from lwm2m_server.profiles.opening import ProfileServer, open_profiles
from lwm2m_server.security.opening import open_credentials
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import CredentialSettings, DeliverySettings, Settings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.sinks.kinds import POLLING_CHANNEL, WEBHOOK
from lwm2m_server.sinks.outlets import open_outlets
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import DeviceRef, Tenant

BASE = "/device-management-orchestrator/v3/main"


@pytest.fixture(scope="session")
def catalog():
    return Catalog.bundled()


@attrs.frozen
class Client:
    """As an engine has it."""

    endpoint: str
    registration: Registration
    heard_at: float


class QueueingDevices:
    """Devices that never wake up: a submitted request waits, and that is all."""

    def __init__(self, ledger, catalog):
        self._ledger, self._catalog = ledger, catalog
        self.queues, self.forgotten, self.ended = {}, [], []
        self.table = MappingTable()
        """What mappings there are; a test may give others."""

    def known(self, endpoint):
        """There are no engines."""

    def models(self, device):
        registration = device.registration
        if registration is None:
            return self._catalog
        return self._catalog.view(registration.version, registration.objects)

    def state(self, device):
        waiting = len(self.queues.get(device.name, ()))
        heard_at = device.liveness.seen_at if device.liveness is not None else None
        return Presence(device.registration is not None, None, None, waiting, False, heard_at=heard_at)

    def clients(self, tenant, endpoints=None, *, asleep=None):
        """Those in queue mode sleep."""
        for device in self._ledger.reader.devices(tenant):
            found = device.registration
            if found is None or (endpoints is not None and device.endpoint not in endpoints):
                continue
            if asleep in (None, found.queue_mode):
                yield [Client(device.endpoint, found, device.liveness.seen_at)]

    def refs(self, endpoints):
        found = map(self._ledger.reader.device_of_endpoint, endpoints)
        return [DeviceRef(one.node, one.tenant, one.name, one.endpoint) for one in found]

    def attributes(self, device, name):
        return {attribute: one.is_writable for attribute, one in self.table.own(name).items()}

    def orders(self, device, name, changes):
        command = ManagedCommand(device.name, self.table.kind(name), name, changes)
        return orders(self.table, command, self._catalog)

    async def submit_all(self, device, errands, store, last):
        def run(transaction):
            store(transaction, ())
            return last(transaction)

        stored = await self._ledger.commit(run)
        for errand in errands:
            self.queues.setdefault(device.name, {})[errand.id] = (errand.request, errand.expires_at)
        return stored

    async def submit(self, device, request, *, id, expires_at, store, deferred=False):
        stored = await self._ledger.commit(lambda transaction: store(transaction, False))
        self.queues.setdefault(device.name, {})[id] = (request, expires_at)
        return stored

    async def cancel(self, device, id, store):
        result = await self._ledger.commit(store)
        del self.queues[device.name][id]
        return result

    async def save_power(self, device, power):
        await self._ledger.commit(lambda write: write.set_power(device.node, power))

    async def change(self, store):
        return await self._ledger.commit(store)

    async def end(self, device, store):
        self.ended.append(device.name)
        return await self._ledger.commit(store)

    async def forget(self, device, store):
        result = await self._ledger.commit(store)
        self.queues.pop(device.name, None)
        self.forgotten.append(device.name)
        return result


def editing_routes(inventory, profiles, finder, settings, devices):
    defaults = defaults_of(settings.dtls, {"coap": ("0.0.0.0:5683",)})
    documents = ProfileApi(inventory, profiles.editor, profiles.fleet, finder, defaults, settings.tenant)
    previews = ProfilePreviewApi(documents, Impact(profiles.fleet, devices), finder)
    return [*previews.routes(), *profile_routes(documents, profiles, finder, settings.tenant)]


def device_routes(finder, ledger, devices, profiles):
    shown = DeviceApi(finder, ledger, devices, profiles)
    return [*shown.routes(), *FleetApi(shown, finder, ledger, devices, profiles).routes()]


def application_routes(platform, finder, deliveries):
    context, tree = platform.context, TreeRequests(platform)
    inventory, ledger = context.inventory, platform._ledger
    return [
        *ApplicationApi(tree, finder, inventory, ledger, deliveries).routes(),
        *GroupApi(tree, context, finder, inventory, ledger).routes(),
        *SubscriptionApi(tree, finder, inventory, ledger, context.outlets.targets).routes(),
    ]


@attrs.define
class Api:
    """A oneM2M client of the D2C kind, and the parts behind the API."""

    client: httpx.AsyncClient
    platform: Onem2m
    devices: QueueingDevices
    ledger: SqliteLedger
    inventory: TinyInventory
    credentials: Credentials
    deliveries: Deliveries
    profiles: ProfileServer
    enrolment: EnrolmentParts

    async def get(self, path="", **more):
        return await self.call("GET", path, **more)

    async def post(self, path, ty, body, **more):
        return await self.call("POST", path, ty, body, **more)

    async def put(self, path, body, **more):
        return await self.call("PUT", path, None, body, **more)

    async def delete(self, path, **more):
        return await self.call("DELETE", path, **more)

    async def call(self, method, path, ty=None, body=None, *, headers=None, base=BASE):
        media_type = "application/json" if ty is None else f"application/json;ty={ty}"
        headers = {
            "X-M2M-Origin": "CTestApp",
            "X-M2M-RI": "123",
            "Content-Type": media_type,
            **(headers or {}),
        }
        return await self.client.request(method, base + path, headers=headers, json=body)

    async def add_device(self, name="device001", **attributes):
        body = {"m2m:nod": {"rn": name, "ni": f"urn:dev:{name}", **attributes}}
        answer = await self.post("", 14, body)
        assert answer.status_code == 201, answer.text
        return answer.json()["node"]


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path)


@pytest.fixture
def readable_secrets(settings):
    return attrs.evolve(settings, credentials=CredentialSettings(readable=True))


@pytest.fixture
async def start(tmp_path, catalog):
    """``await start(settings)`` gives an ``Api``."""
    opened = []

    async def start(settings):
        ledger = SqliteLedger(tmp_path / "ledger.db")
        inventory = TinyInventory(tmp_path / "inventory.json")
        ids = Ids(floor=max(ledger.highest_id, inventory.highest_id))
        if inventory.tenant(settings.tenant) is None:
            await inventory.add_tenant(Tenant(ids.next(), settings.tenant))
        devices = QueueingDevices(ledger, catalog)
        credentials = open_credentials(settings, ledger)
        notices = open_notices(ledger, inventory, settings, credentials)
        outlets = open_outlets(ledger, inventory, settings.deliveries)
        platform = Onem2m(inventory, ledger, devices, ids, settings, credentials, notices, outlets)
        await platform.prepare()
        deliveries = Deliveries(
            ledger,
            outlets.targets,
            {WEBHOOK: outlets.webhooks, POLLING_CHANNEL: outlets.channels},
            settings.deliveries,
            lambda subscription: bundling_of(ledger.reader.resource(subscription)),
        )
        outlets.channels.on_poll = deliveries.try_now
        deliveries.start()
        await platform.resume()
        finder = DeviceFinder(inventory, ledger.reader, settings)
        secrets = CredentialApi(finder, ledger.reader, devices, credentials)
        stack = AsyncExitStack()
        profiles = await open_profiles(inventory, ledger, DEVICE_GROUPS, lambda tenant: catalog, stack)
        platform.context.routes.told.extend((profiles.editor.regrouped, profiles.belonging.changed))
        enrolment = open_enrolment(platform.context, profiles.profiles)
        rules, devices_too = RuleApi(enrolment, finder), EnrolmentApi(enrolment, finder)
        editing = editing_routes(inventory, profiles, finder, settings, devices)
        tables = ImportApi(enrolment, finder)
        operators = device_routes(finder, ledger, devices, profiles)
        routes = [*operators, *secrets.routes(), *devices_too.routes(), *rules.routes(), *editing]
        routes += [*tables.routes(), *application_routes(platform, finder, deliveries)]
        transport = httpx.ASGITransport(create_http(api=routes, tree=Binding(platform)))
        client = httpx.AsyncClient(transport=transport, base_url="http://server")
        opened.append((client, platform, deliveries, outlets, ledger, stack))
        return Api(client, platform, devices, ledger, inventory, credentials, deliveries, profiles, enrolment)

    yield start
    for client, platform, deliveries, outlets, ledger, stack in opened:
        await client.aclose()
        await stack.aclose()
        await platform.close()
        await deliveries.close()
        await outlets.close()
        ledger.close()


@pytest.fixture
async def api(start, settings):
    return await start(settings)


@attrs.define
class Guarded:
    """The same behind the door: two tenants, and clients in them."""

    client: httpx.AsyncClient
    control: AccessControl
    ledger: SqliteLedger
    inventory: TinyInventory
    headers: dict[str, dict[str, str]]
    """By client id, with a token."""
    app: Any
    """What the client asks."""

    async def add(self, id, tenant, role, **more):
        """A client, and a token for it in ``headers``."""
        _, secret = await self.control.clients.add(id, tenant, role, **more)
        self.headers[id] = {"Authorization": f"Bearer {await self.token(id, secret)}"}
        return secret

    async def token(self, id, secret):
        form = {"grant_type": "client_credentials"}
        answer = await self.client.post("/auth/token", data=form, auth=(id, secret))
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def call(self, method, path, who=None, *, origin="CAdmin", ty=None, **more):
        """``path`` below the base path of the oneM2M API, unless it begins with a slash."""
        headers = {"X-M2M-Origin": origin, "X-M2M-RI": "1", **self.headers.get(who, {})}
        if origin is None:
            del headers["X-M2M-Origin"]
        if ty is not None:
            headers["Content-Type"] = f"application/json;ty={ty}"
        path = path if path.startswith("/") else f"{BASE.rpartition('/')[0]}/{path}"
        return await self.client.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)


@pytest.fixture
async def guard(start, monkeypatch):
    """``await guard(settings)`` gives a ``Guarded`` without clients."""
    monkeypatch.setattr(hashing, "COST", 2)
    async with AsyncExitStack() as stack:

        async def guard(settings):
            api = await start(settings)
            control = open_access(settings, api.inventory, api.ledger, stack)
            finder = DeviceFinder(api.inventory, api.ledger.reader, settings)
            routes = [
                *device_routes(finder, api.ledger, api.devices, api.profiles),
                *CredentialApi(finder, api.ledger.reader, api.devices, api.credentials).routes(),
                *EnrolmentApi(api.enrolment, finder).routes(),
                *RuleApi(api.enrolment, finder).routes(),
                *ImportApi(api.enrolment, finder).routes(),
                *ClientApi(control.clients, control.keys, control.access, settings.tenant).routes(),
                *AuditApi(api.ledger, settings.tenant).routes(),
                *FaultApi(Problems(api.ledger), api.ledger, settings.tenant).routes(),
                *editing_routes(api.inventory, api.profiles, finder, settings, api.devices),
                *application_routes(api.platform, finder, api.deliveries),
            ]
            app = create_http(
                TokenApi(control.clients, control.attempts, control.tokens, control.access).routes(),
                api=routes,
                tree=Binding(api.platform),
                door=partial(Door, access=control.access, audit=control.audit, settings=settings),
            )
            transport = httpx.ASGITransport(app)
            client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
            await stack.enter_async_context(client)
            await api.inventory.add_tenant(Tenant(Ids(floor=api.inventory.highest_id).next(), "other"))
            await api.platform.prepare()
            return Guarded(client, control, api.ledger, api.inventory, {}, app)

        yield guard


@pytest.fixture
async def guarded(guard, settings):
    """With ``root`` (system), ``boss``, ``app`` and ``eye`` (admin, operate, read of main), and ``stranger``
    (admin of other)."""
    guarded = await guard(settings)
    await guarded.add("root", None, "system")
    await guarded.add("boss", "main", "admin")
    await guarded.add("app", "main", "operate")
    await guarded.add("eye", "main", "read")
    await guarded.add("stranger", "other", "admin")
    return guarded


class Receiver:
    """A webhook that keeps what it is sent, and answers as it is told."""

    def __init__(self, server):
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        self.requests = []
        """Header lines and body of each, as they came."""
        self.answer = lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        """Bytes to send back; may be a coroutine function. ``None`` closes the connection."""
        self.connections = 0
        self.writer = None
        """That of the latest connection."""
        self._news = asyncio.Event()

    @property
    def bodies(self):
        return [body for _, body in self.requests]

    def close(self):
        self._server.close()

    async def serve(self, reader, writer):
        self.connections, self.writer = self.connections + 1, writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")[:-2]
                length = next(int(line[15:]) for line in lines if line.lower().startswith("content-length:"))
                body = json.loads(await reader.readexactly(length))
                self.requests.append((lines, body))
                self._news.set()
                answer = self.answer(body)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def until(self, condition, seconds=20):
        """Wait until ``condition()`` holds after a request."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self._news.wait()
                except TimeoutError:
                    continue

    async def heard(self, count, seconds=20):
        """The bodies, once there are so many."""
        await self.until(lambda: len(self.requests) >= count, seconds)
        return self.bodies


@pytest.fixture
async def listen():
    """``await listen()`` gives a ``Receiver``."""
    servers = []

    async def listen(port=0):
        async def serve(reader, writer):
            await receiver.serve(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", port)
        receiver = Receiver(server)
        servers.append(server)
        return receiver

    yield listen
    for server in servers:
        server.close()


@pytest.fixture
def open_to_loopback(settings):
    deliveries = DeliverySettings(
        allow=("127.0.0.1",), first_retry=0.02, longest_retry=0.1, answer_timeout=2.0
    )
    return attrs.evolve(settings, deliveries=deliveries)


TOKEN = b"12345678"
"""Of the one observation that is asked for."""


@attrs.define
class AskingServer:
    """Accepts every registration and asks what a test wants to know."""

    gateway: Gateway = attrs.field(init=False)
    heard: list[tuple[CoapRequest, Peer]] = attrs.field(factory=list)
    notifications: asyncio.Queue[CoapReply] = attrs.field(factory=asyncio.Queue)
    codes: dict[str, Code] = attrs.field(factory=dict)
    tokens: set[bytes] = attrs.field(factory=set)
    files: dict[str, CoapReply] = attrs.field(factory=dict)
    _numbers: itertools.count = attrs.field(factory=itertools.count)
    _waiting: dict[int, asyncio.Future[CoapReply]] = attrs.field(factory=dict)

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        answer(self._reply(request, peer))

    def _reply(self, request: CoapRequest, peer: Peer) -> CoapReply:
        self.heard.append((request, peer))
        if request.code == Code.GET:
            return self.files.get("/".join(request.path), CoapReply(Code.NOT_FOUND))
        if request.path == ("rd",):
            code = self.codes.pop("register", Code.CREATED)
            return CoapReply(code, location=("rd", f"r{len(self.heard)}") if code == Code.CREATED else ())
        if request.code == Code.DELETE:
            return CoapReply(Code.DELETED)
        return CoapReply(self.codes.pop("update", Code.CHANGED))

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return token in self.tokens

    def observed(self, token: bytes) -> CoapRequest | None:
        return CoapRequest(Code.GET, ("3", "0"), accept=ContentFormat.SENML_CBOR)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        self.notifications.put_nowait(reply)
        settled(True)

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        self._waiting.pop(exchange).set_result(reply)
        if settled is not None:
            settled(True)

    def acknowledged(self, exchange: int) -> None:
        """Nobody is interested."""

    def failed(self, exchange: int, reason: str) -> None:
        self._waiting.pop(exchange).set_exception(ConnectionError(reason))

    def requests(self) -> list[tuple[Code, tuple[str, ...]]]:
        return [(Code(request.code), request.path) for request, _ in self.heard]

    async def ask(
        self,
        device: SimulatedDevice,
        code: Code,
        path: str,
        payload: bytes = b"",
        content_format: int | None = None,
        *,
        query: tuple[str, ...] = (),
        accept: int | None = None,
        observe: int | None = None,
    ) -> CoapReply:
        exchange = next(self._numbers)
        self._waiting[exchange] = asyncio.get_running_loop().create_future()
        segments = tuple(path.strip("/").split("/")) if path != "/" else ()
        request = CoapRequest(code, segments, query, payload, content_format, accept, observe)
        token = TOKEN if observe is not None else None
        if observe == 0:
            self.tokens.add(TOKEN)
        self.gateway.perform(Perform("ep", exchange, Peer(*device.address), request, token))
        async with asyncio.timeout(5):
            return await self._waiting[exchange]

    async def notification(self, seconds: float = 3.0) -> CoapReply:
        async with asyncio.timeout(seconds):
            return await self.notifications.get()


@pytest.fixture
async def asking() -> AsyncIterator[AskingServer]:
    """A gateway without an engine, that a test asks devices with."""
    made = AskingServer()
    made.gateway = await Gateway.start(
        made,
        "127.0.0.1",
        0,
        timing=Timing(ack_timeout=0.05, ack_random_factor=1.0, max_retransmit=3, response_timeout=2.0),
    )
    yield made
    await made.gateway.close()
