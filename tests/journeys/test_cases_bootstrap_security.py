"""Bootstrap through security layers, case by case (BS-15), on a whole server."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lwm2m_engine import Catalog, Path
from lwm2m_engine.coap import Code
from lwm2m_server.settings import Address
from lwm2m_server.simulator.bootstrapping import BootstrapClient, FactoryDevice
from lwm2m_server.simulator.dtls import Certificate, DtlsClient, DtlsContext, PreSharedKey, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

CATALOG = Catalog.bundled()
KEY = b"f" * 16
SERVER = {"0": 123, "1": 300, "6": True, "7": "U"}


@pytest.fixture
def server(serve, authority):
    certificate, key = authority.issue("localhost")
    return serve(
        "--coaps",
        "127.0.0.1:0",
        LWM2M_BOOTSTRAP_COAP="127.0.0.1:0",
        LWM2M_BOOTSTRAP_COAPS="127.0.0.1:0",
        LWM2M_DTLS_CERTIFICATE=str(certificate),
        LWM2M_DTLS_CERTIFICATE_KEY_FILE=str(key),
        LWM2M_DTLS_TRUST=str(authority.trust),
    )


@pytest.fixture
def add(api):
    """A device with these credentials for the bootstrap server."""

    async def add(name, **credentials):
        answer = await api.post("", 14, {"m2m:nod": {"rn": name, "ni": name}})
        assert answer.status_code == 201, answer.text
        answer = await api.put(f"/api/v1/devices/{name}/credentials/bootstrap", credentials)
        assert answer.is_success, answer.text

    return add


async def keep(api, account, **more):
    document = {"endpoints": ["*"], "write": {"/0/1": account, "/1/0": SERVER}, **more}
    answer = await api.put("/api/v1/bootstrap/configs/all", document)
    assert answer.is_success, answer.text


@asynccontextmanager
async def session(server, proof, *, name=None):
    """``name`` is that of the server (SNI)."""
    device, client = ScriptedDevice(), DtlsClient(DtlsContext(proof))
    if name is not None:
        client.connection.set_tlsext_host_name(name)
    await connect(lambda: device, tuple(Address.parse(server.addresses["bootstrap_coaps"])), client)
    try:
        yield device
    finally:
        device.close()


async def begins(device, query):
    """What a Bootstrap-Request is answered, after which it is asked for the first time."""
    answer = await device.send(Code.POST, "/bs", query)
    if answer.code == Code.CHANGED:
        await device.expect(Code.GET, "/")
    return answer.code


async def test_bs_15_who_has_proved_who_it_is_may_leave_its_name_out(server, api, add, authority):
    """With RPK: ``tests/interop/test_dtls_raw_keys.py``."""
    await keep(api, {"0": "coap://dm.example.com", "1": False, "2": 3, "10": 123})
    await add("shared", mode="psk", identity="factory", key=b64encode(KEY).decode())
    await add("certified", mode="x509")
    proofs = {
        "shared": PreSharedKey(b"factory", KEY),
        "certified": Certificate(*authority.issue("certified"), authority.trust),
    }
    for endpoint, proof in proofs.items():
        for query in (f"ep={endpoint}", ""):
            async with session(server, proof) as device:
                assert await begins(device, query) == Code.CHANGED
        async with session(server, proof, name=b"virtual.example.com") as device:
            assert await begins(device, "ep=somebody") == Code.BAD_REQUEST
            assert await begins(device, "") == Code.CHANGED
    strangers = (
        PreSharedKey(b"nobody", KEY),
        Certificate(*authority.issue("uncertified"), authority.trust),
        Certificate(*authority.self_signed("certified"), authority.trust),
    )
    for stranger in strangers:
        with pytest.raises(ConnectionError):
            async with session(server, stranger) as device:
                await begins(device, "")


async def test_bs_15_from_a_plain_bootstrap_server_to_one_with_pre_shared_keys(server, api, add):
    account = {"0": f"coaps://{server.addresses['coaps']}", "1": False, "2": 0, "10": 123}
    await keep(api, account | {"3": {"text": "{endpoint}"}, "5": {"key": "management"}}, noSec=True)
    await add("plain", mode="nosec")
    one = FactoryDevice("plain", Address.parse(server.addresses["bootstrap_coap"]), CATALOG.types)
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 10)
        assert (await api.get("/api/v1/devices/plain")).json()["address"].startswith("coaps://")
    finally:
        await one.stop()


async def test_bs_15_from_a_plain_bootstrap_server_to_one_with_raw_public_keys(server, api, add):
    """What the device has in the end is what it shakes hands with."""
    key, of_server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    publics = [
        one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in (key, of_server)
    ]
    keys = dict(zip(("3", "4", "5"), (b64encode(one).decode() for one in (*publics, secret)), strict=True))
    await keep(api, {"0": "coaps://dm.example.com", "1": False, "2": 1, "10": 123, **keys}, noSec=True)
    await add("plain", mode="nosec")
    one = BootstrapClient("plain", Address.parse(server.addresses["bootstrap_coap"]), CATALOG.types)
    await one.open()
    try:
        await asyncio.wait_for(one.bootstrap(), 10)
    finally:
        one.close()
    assert [one.values[Path(f"/0/1/{number}")] for number in (2, 3, 4, 5)] == [1, *publics, secret]
