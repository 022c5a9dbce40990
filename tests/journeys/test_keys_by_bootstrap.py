"""Keys for bootstrap and for management are two, and bootstrap gives a device what it has from then on."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from lwm2m_engine import Catalog
from lwm2m_server.settings import Address
from lwm2m_server.simulator import dtls
from lwm2m_server.simulator.bootstrapping import FactoryDevice, over_dtls
from lwm2m_server.simulator.dtls import DtlsClient, DtlsContext, PreSharedKey, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

CATALOG = Catalog.bundled()
NAME = "meter-7"
FIRST, BOOTSTRAP, SECOND = "a5" * 16, "b6" * 16, "c7" * 32


def psk(identity, key):
    return {"securityMode": "PSK", "clientPublicKeyOrId": identity, "clientSecretKey": key}


@pytest.fixture
def server(serve):
    # A restart finds the same ports.
    return serve("--coaps", f"127.0.0.1:{free_port()}", LWM2M_BOOTSTRAP_COAPS=f"127.0.0.1:{free_port()}")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
async def http(api):
    async def http(method, path, body=None):
        return await api.client.request(method, f"{api.server.http}/api/v1{path}", json=body)

    return http


async def make(http, server):
    """A profile that names this server, and a device with three keys."""
    where = Address.parse(server.addresses["coaps"])
    entry = {
        "shortServerId": 123,
        "bootstrapServerIs": False,
        "host": where.host,
        "port": where.port,
        "lifetime": 300,
        "defaultMinPeriod": 1,
        "notifIfDisabled": True,
        "binding": "U",
        "securityMode": "PSK",
    }
    configuration = {"type": "LWM2M", "observeAttr": {}, "bootstrap": [entry]}
    profile = {"transportType": "LWM2M", "profileData": {"transportConfiguration": configuration}}
    answer = await http("POST", "/profiles", {"name": "meter", **profile})
    assert answer.is_success, answer.text
    value = {
        "client": {
            "endpoint": NAME,
            "securityConfigClientMode": "PSK",
            "identity": "factory",
            "key": FIRST,
        },
        "bootstrap": {"bootstrapServer": psk("bs", BOOTSTRAP), "lwm2mServer": psk("dm", SECOND)},
    }
    device = {"name": NAME, "profile": "meter", "credentials": {"credentialsValue": value}}
    answer = await http("POST", "/devices", device)
    assert answer.status_code == 201, answer.text


async def opens(server, identity, key, listener="coaps"):
    """Whether a key is good for a server."""
    device, client = ScriptedDevice(), DtlsClient(DtlsContext(PreSharedKey(identity, bytes.fromhex(key))))
    try:
        await connect(lambda: device, tuple(Address.parse(server.addresses[listener])), client)
    except (ConnectionError, TimeoutError):
        return False
    device.close()
    return True


async def pending(http):
    found = (await http("GET", f"/devices/{NAME}/credentials?form=lwm2m")).json()["credentialsValue"]
    return found["bootstrap"].get("lwm2mServer", {}).get("pending", False)


async def test_each_server_has_a_key_of_its_own(server, api, http, monkeypatch):
    await make(http, server)
    assert await opens(server, b"factory", FIRST)
    assert await opens(server, b"bs", BOOTSTRAP, "bootstrap_coaps")
    for identity, key, listener in ((b"bs", BOOTSTRAP, "coaps"), (b"factory", FIRST, "bootstrap_coaps")):
        assert not await opens(server, identity, key, listener)
    # Before it was given, it is good for nothing.
    assert not await opens(server, b"dm", SECOND)
    assert await pending(http)
    where = tuple(Address.parse(server.addresses["bootstrap_coaps"]))
    factory = over_dtls(PreSharedKey(b"bs", bytes.fromhex(BOOTSTRAP)))
    async with bootstrapped(where, factory):
        details = (await api.get(f"/api/v1/devices/{NAME}")).json()
        assert (details["registered"], details["identity"]) == (True, "dm")
    # It has another key from then on, and bootstrap goes on with its own.
    assert not await pending(http)
    assert not await opens(server, b"factory", FIRST)
    assert await opens(server, b"dm", SECOND)
    # A new one that nobody sees: given when it bootstraps, and in force from then on.
    path = f"/devices/{NAME}/credentials/management/generate"
    assert "key" not in (await http("POST", path, {"atBootstrap": True})).json()
    assert await pending(http)
    server.kill()
    server.restart()
    assert await opens(server, b"dm", SECOND)
    async with bootstrapped(where, factory):
        assert (await api.get(f"/api/v1/devices/{NAME}")).json()["registered"]
    assert not await pending(http)
    monkeypatch.setattr(dtls, "PATIENCE", 1.5)
    assert not await opens(server, b"dm", SECOND)


@asynccontextmanager
async def bootstrapped(where, factory):
    """The device, once it has registered with what it was given."""
    one = FactoryDevice(NAME, where, CATALOG.types, factory=factory)
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 20)
        yield one
    finally:
        await one.stop()
