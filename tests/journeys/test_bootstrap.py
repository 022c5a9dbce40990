"""A device that comes with nothing but the account of a bootstrap server ends up managed."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import aiocoap
import pytest

from lwm2m_engine import Catalog, Entry, Path, decode
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.simulator.bootstrapping import BootstrapClient, BootstrapRefused, FactoryDevice, over_dtls
from lwm2m_server.simulator.dtls import PreSharedKey

CATALOG = Catalog.bundled()
CONFIGS = "/api/v1/bootstrap/configs"
SESSIONS = "/api/v1/bootstrap/sessions"


@pytest.fixture
def server(serve):
    return serve("--unknown-devices", "create", LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")


@pytest.fixture
def place(server):
    return place_of(server)


def place_of(server):
    host, _, port = server.addresses["bootstrap_coap"].rpartition(":")
    return host, int(port)


async def bootstrapped(endpoint, server):
    """What a device has been given."""
    one = BootstrapClient(endpoint, place_of(server), CATALOG.types)
    await one.open()
    try:
        await asyncio.wait_for(one.bootstrap(), 10)
    finally:
        one.close()
    return one.values


def config(server, **more):
    host, port = server.coap
    account = {"0": f"coap://{host}:{port}", "1": False, "2": 3, "10": 123}
    write = {"/0/1": account, "/1/0": {"0": 123, "1": 60, "6": True, "7": "U"}}
    return {"noSec": True, "endpoints": ["device*"], "write": write, **more}


async def keep(api, document, name="all", tenant="main"):
    answer = await api.client.put(f"{api.server.http}{CONFIGS}/{name}?tenant={tenant}", json=document)
    assert answer.status_code in (200, 201), answer.text
    return answer


@pytest.fixture
async def client(place):
    clients = []

    async def client(endpoint="device001", **options):
        one = BootstrapClient(endpoint, place, CATALOG.types, **options)
        await one.open()
        clients.append(one)
        return one

    yield client
    for one in clients:
        one.close()


async def test_it_bootstraps_registers_and_is_read(server, api, place, eventually):
    await keep(api, config(server))
    one = FactoryDevice("device001", place, CATALOG.types)
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 10)
        assert (await api.ask("device001", "GET /1/0/0"))["dataValue"] == {"1/0/0": 123}
        assert (await api.get("/api/v1/devices/device001")).json()["lifetime"] == 60
    finally:
        await one.stop()


async def test_a_session_step_by_step(server, api, client):
    await keep(api, config(server, read=["/1"]))
    one = await client(query=["imei=2136872368"])
    await one.bootstrap()
    assert one.asked == ["GET /", "DELETE /", "PUT /0/1", "PUT /1/0", "GET /1", "POST /bs"]
    (session,) = (await api.get(f"{SESSIONS}/device001")).json()["sessions"]
    assert (session["outcome"], session["attributes"]) == ("finished", {"imei": "2136872368"})
    steps = [(step["operation"], step["path"], step["code"]) for step in session["steps"]]
    assert steps == [
        ("discover", "/", "2.05"),
        ("delete", "/", "2.02"),
        ("write", "/0/1", "2.04"),
        ("write", "/1/0", "2.04"),
        ("read", "/1", "2.05"),
        ("finish", "/", "2.04"),
    ]


@pytest.mark.parametrize("number", [11542, 110, 112, 11544])
async def test_in_the_format_it_prefers(server, api, client, number):
    await keep(api, config(server))
    one = await client(preferred=number, formats=[number])
    await one.bootstrap()
    assert one.values[Path("/1/0/1")] == 60


async def test_in_another_format_if_it_takes_only_that(server, api, client):
    await keep(api, config(server))
    one = await client(formats=[ContentFormat.SENML_JSON])
    await one.bootstrap()
    assert one.values[Path("/0/1/10")] == 123


async def test_without_discover(server, api, client):
    await keep(api, config(server))
    one = await client(discovers=False)
    await one.bootstrap()
    assert next(one.accounts()).short_id == 123


async def test_the_account_of_the_bootstrap_server_stays_where_it_is(server, api, client):
    write = config(server)["write"] | {"/0/0": {"0": "coap://bs.example.com", "1": True, "2": 3}}
    await keep(api, config(server, write=write))
    one = await client(own=10)
    await one.bootstrap()
    assert one.values[Path("/0/10/0")] == "coap://bs.example.com"
    await keep(api, config(server, write=write, automaticIds=False))
    other = await client("device002", own=10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(other.bootstrap(), 0.5)
    (session,) = (await api.get(f"{SESSIONS}/device002")).json()["sessions"]
    assert session["outcome"] == "finish-failed"


async def test_a_pack(server, api, client):
    await keep(api, config(server))
    one = await client()
    await one.fetch_pack()
    assert next(one.accounts()).lifetime == 60
    (session,) = (await api.get(f"{SESSIONS}/device001")).json()["sessions"]
    assert session["outcome"] == "packed"


async def test_a_large_pack_comes_in_blocks(server, api, place):
    profiles = {f"/11/{number}": {"0": "x" * 200, "4": 3} for number in range(20)}
    await keep(api, config(server, write=config(server)["write"] | profiles))
    context = await aiocoap.Context.create_client_context()
    try:
        uri = f"coap://{place[0]}:{place[1]}/bspack?ep=device001"
        reply = await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response
    finally:
        await context.shutdown()
    entries = decode(reply.payload, int(reply.opt.content_format), types=CATALOG.types)
    assert Entry(Path("/11/19/0"), "x" * 200) in entries


async def test_server_initiated(server, api, place, eventually):
    await keep(api, config(server))
    one = FactoryDevice("device001", place, CATALOG.types, version="1.1")
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 10)
        write = config(server)["write"]
        write["/1/0"] |= {"1": 120}
        await keep(api, config(server, write=write))
        assert (await api.ask("device001", "POST /1/0/9"))["responseCode"] == "2.04"

        async def other_lifetime():
            return (await api.get("/api/v1/devices/device001")).json()["lifetime"] == 120

        await eventually(other_lifetime)
    finally:
        await one.stop()
    sessions = (await api.get(f"{SESSIONS}/device001")).json()["sessions"]
    assert [session["outcome"] for session in sessions] == ["finished", "finished"]
    instances = [step["instances"] for step in sessions[0]["steps"] if step["operation"] == "discover"]
    assert instances == [["/0/0", "/3/0"]]


async def test_who_is_not_let_in(server, api, client):
    await keep(api, config(server, noSec=False))
    for endpoint in ("device001", "stranger"):
        one = await client(endpoint)
        with pytest.raises(BootstrapRefused, match=r"4\.00"):
            await one.bootstrap()
    found = (await api.get(SESSIONS)).json()
    assert [refused["endpoint"] for refused in found["refused"]] == ["stranger", "device001"]
    assert found["sessions"] == []


async def test_who_has_a_key_uses_it_though_others_need_none(server, api, client):
    await keep(api, config(server))
    answer = await api.post("", 14, {"m2m:nod": {"rn": "device001", "ni": "device001"}})
    assert answer.status_code == 201, answer.text
    factory = {"mode": "psk", "identity": "factory-1", "key": b64encode(b"f" * 16).decode()}
    place = f"{server.http}/api/v1/devices/device001/credentials/bootstrap"
    assert (await api.client.put(place, json=factory)).status_code == 200
    with pytest.raises(BootstrapRefused, match=r"4\.00 this device has a pre-shared key"):
        await (await client()).bootstrap()
    await (await client("device002")).bootstrap()


async def test_configurations_survive_a_restart_and_secrets_are_in_no_file(server, api):
    secret = "a secret of sixteen"
    account = {"0": "coaps://dm", "1": False, "2": 0, "3": "aWQ=", "5": {"text": secret}, "10": 9}
    write = config(server)["write"] | {"/0/2": account, "/1/1": {"0": 9, "1": 60, "6": True, "7": "U"}}
    await keep(api, config(server, write=write))
    server.kill()
    files = b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file())
    assert b"device*" in files
    for written in (secret.encode(), b64encode(secret.encode()), secret.encode().hex().encode()):
        assert written not in files
    server.restart()
    shown = (await api.client.get(f"{server.http}{CONFIGS}/all")).json()
    assert (shown["endpoints"], shown["write"]["/0/2"]["5"]) == (["device*"], "***")
    assert (await bootstrapped("device001", server))[Path("/0/2/5")] == secret.encode()


async def test_each_tenant_has_its_own_configurations_and_sessions(serve, connect):
    server = serve("--tenant", "other", "--unknown-devices", "create", LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")
    theirs = connect(server)
    answer = await theirs.post("", 14, {"m2m:nod": {"rn": "device001", "ni": "device001"}})
    assert answer.status_code == 201, answer.text
    await theirs.client.aclose()
    server.stop()
    server.flags = ("--unknown-devices", "create")
    server.restart()
    api = connect(server)
    write = config(server)["write"]
    lifetimes = {"main": 60, "other": 120}
    for tenant, lifetime in lifetimes.items():
        await keep(
            api, config(server, write=write | {"/1/0": write["/1/0"] | {"1": lifetime}}), tenant=tenant
        )
    for endpoint, tenant in (("device001", "other"), ("device002", "main")):
        assert (await bootstrapped(endpoint, server))[Path("/1/0/1")] == lifetimes[tenant]
        found = (await api.client.get(f"{server.http}{SESSIONS}?tenant={tenant}")).json()
        assert [session["endpoint"] for session in found["sessions"]] == [endpoint]
    session = f"{server.http}{SESSIONS}/device001?tenant="
    assert [(await api.client.get(session + tenant)).status_code for tenant in lifetimes] == [404, 200]


async def test_with_keys_from_the_first_datagram_on(serve, connect):
    server = serve(
        "--coaps", "127.0.0.1:0", LWM2M_BOOTSTRAP_COAPS="127.0.0.1:0", LWM2M_DEVICES_AWAKE_WINDOW="1"
    )
    api = connect(server)
    for name in ("device001", "device002"):
        answer = await api.post("", 14, {"m2m:nod": {"rn": name, "ni": name}})
        assert answer.status_code == 201, answer.text
    factory = {"mode": "psk", "identity": "factory-1", "key": b64encode(b"f" * 16).decode()}
    place = f"{server.http}/api/v1/devices/device001/credentials/bootstrap"
    assert (await api.client.put(place, json=factory)).status_code == 200
    account = {"0": f"coaps://{server.addresses['coaps']}", "1": False, "2": 0, "10": 123}
    account |= {"3": {"text": "{endpoint}"}, "5": {"key": "management"}}
    write = {"/0/1": account, "/1/0": {"0": 123, "1": 60, "6": True, "7": "U"}}
    await keep(api, {"endpoints": ["device*"], "write": write})

    def device(endpoint):
        host, _, port = server.addresses["bootstrap_coaps"].rpartition(":")
        factory = over_dtls(PreSharedKey(b"factory-1", b"f" * 16))
        return FactoryDevice(endpoint, (host, int(port)), CATALOG.types, factory=factory)

    with pytest.raises(BootstrapRefused):
        await device("device002").open()
    one = device("device001")
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 10)
        found = (await api.get("/api/v1/devices/device001")).json()
        assert found["address"].startswith("coaps://")
        credentials = await api.client.get(f"{server.http}/api/v1/devices/device001/credentials")
        assert credentials.json()["management"]["mode"] == "psk"
        assert (await api.ask("device001", "GET /1/0/0"))["dataValue"] == {"1/0/0": 123}
    finally:
        await one.stop()
