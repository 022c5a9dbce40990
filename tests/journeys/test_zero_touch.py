"""Devices nobody has added: they come into being when they register or bootstrap, if a rule lets them."""

from __future__ import annotations

import asyncio
import hmac
from contextlib import asynccontextmanager

import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.coap import Code
from lwm2m_server.settings import Address
from lwm2m_server.simulator import dtls
from lwm2m_server.simulator.bootstrapping import FactoryDevice, over_dtls
from lwm2m_server.simulator.dtls import Certificate, DtlsClient, DtlsContext, PreSharedKey, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

CATALOG = Catalog.bundled()
QUIET = b"</1/0>,</3303/0>"
REGISTER = "lt=300&lwm2m=1.1&b=U"
MASTER = bytes(range(32))
SERVER = {"0": 123, "1": 300, "6": True, "7": "U"}


@pytest.fixture
def server(serve, authority):
    certificate, key = authority.issue("localhost")
    return serve(
        "--coaps",
        "127.0.0.1:0",
        LWM2M_BOOTSTRAP_COAPS="127.0.0.1:0",
        LWM2M_DTLS_CERTIFICATE=str(certificate),
        LWM2M_DTLS_CERTIFICATE_KEY_FILE=str(key),
        LWM2M_DTLS_TRUST=str(authority.trust),
    )


@pytest.fixture
def rule(api):
    async def rule(name, **document):
        answer = await api.put(f"/api/v1/enrolments/{name}", document)
        assert answer.is_success, answer.text
        return answer.json()

    return rule


async def ask(api, method, path, body=None):
    return await api.client.request(method, f"{api.server.http}/api/v1{path}", json=body)


@asynccontextmanager
async def session(server, proof, listener="coaps"):
    device, client = ScriptedDevice(), DtlsClient(DtlsContext(proof))
    await connect(lambda: device, tuple(Address.parse(server.addresses[listener])), client)
    try:
        yield device
    finally:
        device.close()


async def comes(server, proof, query=REGISTER):
    """What the Register of a new session is answered."""
    async with session(server, proof) as device:
        return (await device.send(Code.POST, "/rd", query, 40, QUIET)).code


def derived(identity):
    """As the page on it says; written without the code under test."""
    extracted = hmac.digest(bytes(32), MASTER, "sha256")
    return hmac.digest(extracted, b"lwm2m-psk:" + identity.encode() + b"\1", "sha256")[:16]


async def shown(api, name):
    answer = await api.get(f"/api/v1/devices/{name}/credentials?form=lwm2m")
    return answer.json()["credentialsValue"] if answer.is_success else None


async def test_a_key_of_a_batch_lets_one_device_in(server, api, rule, tmp_path):
    await rule("meters", by="keys", labels=["batch:7"], approval="auto")
    keys = [
        {"identity": "id-1", "endpoint": "meter-1", "key": "a5" * 16},
        {"identity": "meter-2", "key": "c3" * 32},
    ]
    answer = await ask(api, "POST", "/enrolments/meters/keys", {"keys": keys})
    assert answer.json() == {"stored": 2, "keysWaiting": 2}
    with pytest.raises(ConnectionError):
        await comes(server, PreSharedKey(b"id-2", b"k" * 16))
    async with session(server, PreSharedKey(b"id-1", b"\xa5" * 16)) as device:
        # Under the name of another it is nobody.
        assert (
            await device.send(Code.POST, "/rd", f"ep=meter-2&{REGISTER}", 40, QUIET)
        ).code == Code.FORBIDDEN
        assert (await device.send(Code.POST, "/rd", REGISTER, 40, QUIET)).code == Code.CREATED
    details = (await api.get("/api/v1/devices/meter-1")).json()
    assert (details["registered"], details["security"], details["identity"]) == (True, "psk", "id-1")
    assert "batch:7" in details["labels"]
    assert (await api.get("/api/v1/enrolments/meters")).json()["keysWaiting"] == 1
    # Its key is its own now: a restart changes nothing, other credentials shut the first out.
    server.kill()
    server.restart()
    assert await comes(server, PreSharedKey(b"id-1", b"\xa5" * 16)) == Code.CREATED
    assert await comes(server, PreSharedKey(b"meter-2", b"\xc3" * 32)) == Code.CREATED
    body = {"mode": "psk", "identity": "other", "key": "b25lIGtleSBvZiAxNiBi"}
    assert (await api.put("/api/v1/devices/meter-1/credentials/management", body)).is_success
    with pytest.raises(ConnectionError):
        await comes(server, PreSharedKey(b"id-1", b"\xa5" * 16))
    server.stop()
    found = (
        b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()) + server.errors().encode()
    )
    for secret in (b"\xa5" * 16, b"\xc3" * 32):
        assert secret not in found
        assert secret.hex().encode() not in found


async def test_a_master_key_gives_each_device_its_own(server, api, rule, tmp_path, monkeypatch):
    found = await rule(
        "cameras",
        by="masterKey",
        masterKey=MASTER.hex(),
        identity="psk.{endpoint}",
        endpoints=["cam-*"],
        approval="auto",
    )
    assert (found["masterKeySet"], MASTER.hex() in str(found)) == (True, False)
    assert await comes(server, PreSharedKey(b"psk.cam-1", derived("psk.cam-1"))) == Code.CREATED
    with pytest.raises(ConnectionError):
        await comes(server, PreSharedKey(b"psk.door-1", derived("psk.door-1")))
    with monkeypatch.context() as impatient:
        impatient.setattr(dtls, "PATIENCE", 1.5)
        with pytest.raises(TimeoutError):
            await comes(server, PreSharedKey(b"psk.cam-2", derived("psk.cam-1")))
    assert (await api.get("/api/v1/devices/cam-2")).status_code == 404
    # Written anew without it, the key stays.
    await rule("cameras", by="masterKey", identity="psk.{endpoint}", endpoints=["cam-*"], rejected=["cam-3"])
    assert await comes(server, PreSharedKey(b"psk.cam-3", derived("psk.cam-3"))) == Code.FORBIDDEN
    # With other credentials of its own a device does not come back with those of the rule.
    path = "/devices/cam-1/credentials/management/generate"
    made = (await ask(api, "POST", path, {"identity": "own"})).json()
    with pytest.raises(ConnectionError):
        await comes(server, PreSharedKey(b"psk.cam-1", derived("psk.cam-1")))
    assert await comes(server, PreSharedKey(b"own", bytes.fromhex(made["key"]))) == Code.CREATED
    server.stop()
    files = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert MASTER not in files
    assert MASTER.hex().encode() not in files


async def test_a_certificate_of_the_right_authority_waits_for_approval(server, api, rule, authority):
    await rule("gateways", by="certificate", certificate={"issuer": "CN=Test CA"}, endpoints=["gw-*"])
    proofs = {
        name: Certificate(*authority.issue(name), authority.trust) for name in ("gw-1", "gw-2", "other")
    }
    with pytest.raises(ConnectionError):
        await comes(server, proofs["other"])
    async with session(server, proofs["gw-1"]) as device:
        for _ in range(2):
            assert (await device.send(Code.POST, "/rd", REGISTER, 40, QUIET)).code == Code.FORBIDDEN
        (waiting,) = (await api.get("/api/v1/enrolments/pending")).json()["pending"]
        assert (waiting["endpoint"], waiting["rule"], waiting["attempts"]) == ("gw-1", "gateways", 2)
        assert (await api.get("/api/v1/devices/gw-1")).status_code == 404
        answer = await ask(api, "POST", "/enrolments/pending/gw-1/approve")
        assert answer.json() == {"device": "gw-1", "endpoint": "gw-1"}
        # What it proved is what it has: the session goes on.
        assert (await device.send(Code.POST, "/rd", REGISTER, 40, QUIET)).code == Code.CREATED
    assert await comes(server, proofs["gw-2"]) == Code.FORBIDDEN
    assert (await ask(api, "POST", "/enrolments/pending/gw-2/reject")).status_code == 204
    assert await comes(server, proofs["gw-2"]) == Code.FORBIDDEN
    assert (await api.get("/api/v1/enrolments/pending")).json()["pending"] == []
    assert (await api.get("/api/v1/enrolments/gateways")).json()["rejected"] == ["gw-2"]
    assert (await ask(api, "POST", "/enrolments/pending/gw-2/approve")).status_code == 404
    client = (await shown(api, "gw-1"))["client"]
    assert (client["securityConfigClientMode"], client["cert"]) == ("X509", None)


async def test_what_a_newcomer_proved_is_void_once_somebody_else_has_the_name(server, api, rule):
    await rule("meters", by="keys")
    await ask(api, "POST", "/enrolments/meters/keys", {"keys": [{"identity": "m-1", "key": "a5" * 16}]})
    async with session(server, PreSharedKey(b"m-1", b"\xa5" * 16)) as device:
        assert (await device.send(Code.POST, "/rd", REGISTER, 40, QUIET)).code == Code.FORBIDDEN
        client = {"endpoint": "m-1", "securityConfigClientMode": "PSK", "identity": "x", "key": "b6" * 16}
        body = {"name": "mine", "credentials": {"credentialsValue": {"client": client}}}
        assert (await ask(api, "POST", "/devices", body)).status_code == 201
        with pytest.raises(TimeoutError):
            await device.send(Code.POST, "/rd", REGISTER, 40, QUIET)
    assert await comes(server, PreSharedKey(b"x", b"\xb6" * 16)) == Code.CREATED


async def test_a_name_alone_is_enough_where_a_rule_says_so(server, api, rule, device):
    await rule("lab", by="endpoint", noSec=True, endpoints=["lab-*"], approval="auto")
    one = await device(server, "lab-1")
    assert (await api.get("/api/v1/devices/lab-1")).json()["registered"] is True
    assert one is not None
    async with session_plain(server) as plain:
        answer = await plain.send(Code.POST, "/rd", f"ep=else&{REGISTER}", 40, QUIET)
        assert answer.code == Code.FORBIDDEN
        codes = [
            (await plain.send(Code.POST, "/rd", f"ep=lab-flood-{n}&{REGISTER}", 40, QUIET)).code
            for n in range(30)
        ]
    # An address cannot fill the store.
    assert codes[0] == Code.CREATED
    assert codes[-1] == Code.TOO_MANY_REQUESTS


@asynccontextmanager
async def session_plain(server):
    loop = asyncio.get_running_loop()
    transport, device = await loop.create_datagram_endpoint(ScriptedDevice, remote_addr=server.coap)
    try:
        yield device
    finally:
        transport.close()


async def test_at_bootstrap_too_and_then_with_a_key_of_its_own(server, api, rule, monkeypatch):
    """The factory's key is for bootstrap; what bootstrap makes is for management, and differs."""
    await rule("factory", by="masterKey", masterKey=MASTER.hex(), endpoints=["dev-*"], approval="auto")
    account = {
        "0": f"coaps://{server.addresses['coaps']}",
        "1": False,
        "2": 0,
        "3": {"text": "{endpoint}"},
        "5": {"key": "management"},
        "10": 123,
    }
    document = {"endpoints": ["*"], "write": {"/0/1": account, "/1/0": SERVER}}
    assert (await api.put("/api/v1/bootstrap/configs/all", document)).is_success
    proof = PreSharedKey(b"dev-1", derived("dev-1"))
    where = tuple(Address.parse(server.addresses["bootstrap_coaps"]))
    one = FactoryDevice("dev-1", where, CATALOG.types, factory=over_dtls(proof))
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 20)
    finally:
        await one.stop()
    found = await shown(api, "dev-1")
    assert found["client"]["securityConfigClientMode"] == "PSK"
    assert found["bootstrap"]["bootstrapServer"]["clientPublicKeyOrId"] == "dev-1"
    # With the key for bootstrap it cannot register.
    monkeypatch.setattr(dtls, "PATIENCE", 1.5)
    with pytest.raises(TimeoutError):
        await comes(server, proof)
