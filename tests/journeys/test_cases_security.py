"""Pre-shared keys, case by case (PSK-1 to PSK-11, SOS-1), on a whole server over CoAPS."""

from __future__ import annotations

from base64 import b64encode
from contextlib import asynccontextmanager

import pytest

from lwm2m_engine.coap import Code
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.settings import Address
from lwm2m_server.simulator.dtls import DtlsClient, DtlsContext, PreSharedKey, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

KEYS = {"one": b"k" * 16, "two": b"l" * 16}
QUIET = b"</1/0>,</3303/0>"


@pytest.fixture
async def coaps(serve, connect):
    """A server that knows two devices: where it is, and its API."""
    server = serve("--coaps", "127.0.0.1:0")
    api = connect(server)
    for name, key in KEYS.items():
        await api.post("", 14, {"m2m:nod": {"rn": name, "ni": f"urn:dev:{name}"}})
        await trust(api, name, key)
    return tuple(Address.parse(server.addresses["coaps"])), api


async def trust(api, name, key):
    body = {"mode": "psk", "identity": f"id-{name}", "key": b64encode(key).decode()}
    assert (await api.put(f"/api/v1/devices/{name}/credentials/management", body)).is_success


@asynccontextmanager
async def session(where, identity, key):
    device = ScriptedDevice()
    client = DtlsClient(DtlsContext(PreSharedKey(identity.encode(), key)))
    await connect(lambda: device, where, client)
    try:
        yield device
    finally:
        device.close()


async def register(device, query):
    answer = await device.send(Code.POST, "/rd", f"{query}lt=300&lwm2m=1.1&b=U", 40, QUIET)
    location = "/" + "/".join(value.decode() for option, value in answer.options if option == LOCATION_PATH)
    return answer.code, location


async def test_psk_1_to_4_with_its_name_and_without_it_comes_goes_and_comes_again(coaps):
    where, _ = coaps
    async with session(where, "id-one", KEYS["one"]) as device:
        for query in ("ep=one&", ""):
            code, location = await register(device, query)
            assert code == Code.CREATED
            assert (await device.send(Code.POST, location)).code == Code.CHANGED
            assert (await device.send(Code.DELETE, location)).code == Code.DELETED
        for _ in range(2):
            code, location = await register(device, "ep=one&")
            assert code == Code.CREATED
            assert (await device.send(Code.POST, location)).code == Code.CHANGED


async def test_psk_5_and_6_a_device_without_a_session_is_not_reached_until_it_has_one(coaps):
    """Sessions are the devices' to open: a server that opened one would have to be let in by every NAT."""
    where, api = coaps
    async with session(where, "id-one", KEYS["one"]) as device:
        _, location = await register(device, "")
    # It has said goodbye, and is awake as far as anybody knows.
    wish = await api.wish("one", "GET /3303/0/5700")
    assert (await api.answer_to("one", wish))["reason"] == "timeout"
    async with session(where, "id-one", KEYS["one"]) as device:
        assert (await device.send(Code.POST, location)).code == Code.CHANGED
        wish = await api.wish("one", "GET /3303/0/5700")
        device.reply(await device.expect(Code.GET, "/3303/0/5700"), Code.CONTENT, 0, b"1.5")
        assert (await api.answer_to("one", wish))["dataValue"] == {"3303/0/5700": 1.5}


async def test_psk_7_in_queue_mode_it_gets_the_message_in_its_next_session(coaps):
    where, api = coaps
    async with session(where, "id-one", KEYS["one"]) as device:
        answer = await device.send(Code.POST, "/rd", "lt=300&lwm2m=1.1&b=U&Q", 40, QUIET)
        location = "/" + "/".join(
            value.decode() for option, value in answer.options if option == LOCATION_PATH
        )
    wish = await api.wish("one", "GET /3303/0/5700")
    async with session(where, "id-one", KEYS["one"]) as device:
        assert (await device.send(Code.POST, location)).code == Code.CHANGED
        device.reply(await device.expect(Code.GET, "/3303/0/5700"), Code.CONTENT, 0, b"2.5")
        assert (await api.answer_to("one", wish))["dataValue"] == {"3303/0/5700": 2.5}


async def test_psk_8_and_10_another_identity_or_name(coaps):
    """Another key, PSK-9: ``test_who_has_another_key_gets_nowhere``."""
    where, _ = coaps
    with pytest.raises(ConnectionError, match="unknown psk identity"):
        async with session(where, "id-nobody", KEYS["one"]):
            pass
    async with session(where, "id-one", KEYS["one"]) as device:
        assert (await register(device, "ep=two&"))[0] == Code.FORBIDDEN
        assert (await register(device, "ep=one&"))[0] == Code.CREATED


async def test_psk_11_and_sos_1_what_rests_on_older_credentials_is_over(coaps):
    where, api = coaps
    async with session(where, "id-one", KEYS["one"]) as device:
        _, location = await register(device, "")
        await trust(api, "one", b"n" * 16)
        with pytest.raises(TimeoutError):
            await device.send(Code.POST, location)
    assert not (await api.get("/api/v1/devices/one")).json()["registered"]
    async with session(where, "id-one", b"n" * 16) as device:
        assert (await device.send(Code.POST, location)).code == Code.NOT_FOUND
        assert (await register(device, ""))[0] == Code.CREATED
    # Another device in the place of the first is sent nothing that is for it.
    async with session(where, "id-two", KEYS["two"]) as other:
        wish = await api.wish("one", "GET /3303/0/5700")
        assert (await api.answer_to("one", wish))["reason"] == "timeout"
        await other.silent(0.1)
