"""oneM2M requests from the ASGI scope to the answer's bytes: API, hub, engine and ledger, without sockets.

``pytest tests/benchmarks/test_http.py --benchmark-only --benchmark-timer=time.process_time``

1,000 devices that never registered, so that messages to them wait. Both threads count.
"""

import asyncio
import json

import pytest

from lwm2m_engine import Catalog, Engine, PluginManager
from lwm2m_server.bus import Bus
from lwm2m_server.http.app import create_http
from lwm2m_server.hub import Hub
from lwm2m_server.onem2m.binding import Binding
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.projection import Nodes
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.settings import MessageSettings, Settings
from lwm2m_server.sinks.outlets import open_outlets
from lwm2m_server.store.ids import Ids, ResourceIds
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Tenant

DEVICES = 1000
REQUESTS = 1000
IN_FLIGHT = 16
TENANT = "/device-management-orchestrator/v3/main"
OUTGOING = f"{TENANT}/device-communication/load-{{}}/outgoing-msg"
HEADERS = [
    (b"host", b"localhost"),
    (b"accept", b"application/json"),
    (b"x-m2m-origin", b"CLoad"),
    (b"x-m2m-ri", b"1"),
]


class Application:
    """The server's HTTP application; ``ask`` is what granian does."""

    def __init__(self, http):
        self._http = http

    async def ask(self, method, path, body=b"", ty=None):
        headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
        if ty is not None:
            headers.append((b"content-type", b"application/json;ty=%d" % ty))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        sent = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        await self._http(scope, receive, send)
        assert sent[0]["status"] in (200, 201), sent[1]["body"]
        return sent[1]["body"]

    async def in_flight(self, method, body=b"", ty=None, below=""):
        numbers = iter(range(REQUESTS))

        async def client():
            for number in numbers:
                await self.ask(method, OUTGOING.format(number % DEVICES) + below, body, ty)

        await asyncio.gather(*[client() for _ in range(IN_FLIGHT)])


async def compose(directory):
    settings = Settings(data=directory, messages=MessageSettings(outgoing_mni=10**9))
    catalog, plugins = Catalog.bundled(), PluginManager.default()
    ledger, inventory, ids = SqliteLedger(directory / "l.db"), TinyInventory(directory / "i.json"), Ids()
    await inventory.add_tenant(Tenant(ids.next(), settings.tenant))
    credentials = Credentials(ledger, Vault(bytes(32)), CertificateNames())
    notices = open_notices(ledger, inventory, settings, credentials)
    projector = Projector(ids, ResourceIds(ledger.installation), settings, notices)
    nodes = Nodes(projector, inventory, ledger.reader, ids, settings.messages)
    hub = Hub(ledger, nodes, Bus())
    hub.add_tenant(settings.tenant, Engine(catalog, plugins, table=plugins.table(catalog)))
    outlets = open_outlets(ledger, inventory, settings.deliveries)
    platform = Onem2m(inventory, ledger, hub, ids, settings, credentials, notices, outlets)
    await platform.prepare()
    application = Application(create_http(tree=Binding(platform)))
    for number in range(DEVICES):
        node = {"m2m:nod": {"rn": f"load-{number}", "ni": f"load-{number}"}}
        await application.ask("POST", TENANT, json.dumps(node).encode(), 14)
    return application, hub, ledger


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture(scope="module")
def application(loop, tmp_path_factory):
    application, hub, ledger = loop.run_until_complete(compose(tmp_path_factory.mktemp("http")))
    yield application
    loop.run_until_complete(hub.close())
    ledger.close()


def measure(benchmark, loop, request):
    benchmark.extra_info["requests"] = REQUESTS
    benchmark.pedantic(lambda: loop.run_until_complete(request()), rounds=10, warmup_rounds=1)


def test_1000_messages_created_16_in_flight(benchmark, loop, application):
    body = json.dumps({"m2m:cin": {"con": "GET /3303/0/5700"}}).encode()
    measure(benchmark, loop, lambda: application.in_flight("POST", body, 4))


def test_1000_times_the_latest_message(benchmark, loop, application):
    body = json.dumps({"m2m:cin": {"con": "GET /3303/0/5700"}}).encode()
    loop.run_until_complete(application.in_flight("POST", body, 4))
    measure(benchmark, loop, lambda: application.in_flight("GET", below="/la"))


def test_1000_nodes(benchmark, loop, application):
    async def nodes():
        for number in range(REQUESTS):
            await application.ask("GET", f"{TENANT}/load-{number}")

    measure(benchmark, loop, nodes)
