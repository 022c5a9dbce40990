"""OSCORE (RFC 8613) with a device that speaks aiocoap's, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets

import aiocoap
import pytest
from aiocoap import oscore, resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

from lwm2m_engine import Catalog, Path, decode

pytestmark = pytest.mark.native_stack("OSCORE is a layer of the server's own message layer")

CATALOG = Catalog.bundled()
SECRET, SALT = b"1234567890", b"0987654321"
RECIPIENT, SENDER = b"\xfe\xdc\xba", b"secret"
"""OSC: as the server sees it."""


class Name(resource.Resource):
    """/3/0/0"""

    async def render_get(self, request):
        return aiocoap.Message(payload=b"maker", content_format=0)


class Level(resource.ObservableResource):
    """/3/0/9"""

    value = 72

    def set(self, value):
        self.value = value
        self.updated_state()

    async def render_get(self, request):
        return aiocoap.Message(payload=str(self.value).encode(), content_format=0)


class Firmware(resource.Resource):
    """/5/0/0, and /5/0/1 as long as it is"""

    payload = b""

    async def render_put(self, request):
        self.payload = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


class OscoreDevice:
    """Client and server in one endpoint, as a LwM2M client is."""

    def __init__(self, folder, server, keys=None):
        """``keys`` are the Resources of an instance of Object 21."""
        keys = keys or {0: SECRET, 1: RECIPIENT, 2: SENDER, 5: SALT}
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(
            json.dumps(
                {
                    "algorithm": "AES-CCM-16-64-128",
                    "sender-id_hex": keys[1].hex(),
                    "recipient-id_hex": keys[2].hex(),
                    "secret_hex": keys[0].hex(),
                    "salt_hex": keys[5].hex(),
                }
            )
        )
        self.uri = f"coap://{server[0]}:{server[1]}"
        self.level, self.firmware = Level(), Firmware()
        self.everything = None
        """In place of the rest."""

    async def start(self):
        self.security = oscore.FilesystemSecurityContext(str(self.folder))
        credentials = CredentialsMap()
        credentials[":server"] = self.security
        site = resource.Site()
        site.add_resource(("3", "0", "0"), Name())
        site.add_resource(("3", "0", "9"), self.level)
        site.add_resource(("5", "0", "0"), self.firmware)
        if self.everything is not None:
            site = self.everything
        self.context = await aiocoap.Context.create_server_context(
            OscoreSiteWrapper(site, credentials), bind=("127.0.0.1", 0), transports=["oscore", "udp6"]
        )
        self.context.client_credentials[f"{self.uri}/*"] = self.security

    async def stop(self):
        await self.context.shutdown()
        self.security._destroy()

    async def ask(self, method, path, payload=b"", *, protected=True, **options):
        message = aiocoap.Message(code=method, uri=self.uri + path, payload=payload, **options)
        if not protected:
            credentials, self.context.client_credentials = self.context.client_credentials, CredentialsMap()
        try:
            return await asyncio.wait_for(self.context.request(message).response, 5)
        except oscore.NotAProtectedMessage as refusal:
            return refusal.plain_message
        finally:
            if not protected:
                self.context.client_credentials = credentials

    async def register(self, query="ep=osc&", objects=b"</1/0>,</3/0>,</5/0>", **more):
        answer = await self.ask(
            aiocoap.POST,
            f"/rd?{query}lt=300&lwm2m=1.1&b=U",
            objects,
            content_format=40,
            **more,
        )
        if answer.code == aiocoap.CREATED:
            self.location = "/" + "/".join(answer.opt.location_path)
        return answer

    async def update(self, **more):
        return (await self.ask(aiocoap.POST, self.location, **more)).code


@pytest.fixture
async def osc(server, api, tmp_path):
    await api.post("", 14, {"m2m:nod": {"rn": "osc", "ni": "urn:dev:osc"}})
    await set_context(api)
    device = OscoreDevice(tmp_path / "device", server.coap)
    await device.start()
    yield device
    await device.stop()


async def set_context(api, secret=SECRET, side="management"):
    body = {
        "mode": "oscore",
        "recipientId": RECIPIENT.hex(),
        "senderId": SENDER.hex(),
        "masterSecret": secret.hex(),
        "masterSalt": SALT.hex(),
    }
    answer = await api.put(f"/api/v1/devices/osc/credentials/{side}", body)
    assert answer.status_code == 200, answer.text


async def test_osc_1_register_read_write_observe_and_send(osc, api, eventually):
    answer = await osc.register()
    assert answer.code == aiocoap.CREATED
    assert (await api.ask("osc", "GET /3/0/0"))["dataValue"] == {"3/0/0": "maker"}
    assert (await api.ask("osc", "OBSERVE /3/0/9"))["dataValue"] == {"3/0/9": 72}
    for value in (41, 40, 39):
        osc.level.set(value)

        async def notified(value=value):
            contents = await api.messages("osc")
            return any(one["dataValue"] == {"3/0/9": value} for one in contents)

        await eventually(notified)
    payload = json.dumps([{"n": "/3/0/9", "v": 5}]).encode()
    sent = await osc.ask(aiocoap.POST, "/dp", payload, content_format=110)
    assert sent.code == aiocoap.CHANGED
    assert await osc.update() == aiocoap.CHANGED
    # Longer than a datagram: each block is protected by itself.
    image = secrets.token_bytes(5000)
    wish = await api.ask("osc", "PUT /5/0/0 " + base64.b64encode(image).decode())
    assert wish["responseCode"] == "2.04"
    assert osc.firmware.payload.endswith(image)
    assert (await osc.ask(aiocoap.DELETE, osc.location)).code == aiocoap.DELETED


async def test_osc_2_the_endpoint_name_may_come_from_the_context(osc, api):
    assert (await osc.register(query="")).code == aiocoap.CREATED
    found = (await api.get("/api/v1/devices/osc")).json()
    assert (found["registered"], found["endpoint"], found["security"]) == (True, "osc", "oscore")


async def test_osc_3_and_4_nothing_goes_on_when_the_context_is_taken_away(osc, api):
    await osc.register()
    assert (
        await api.client.delete(f"{api.server.http}/api/v1/devices/osc/credentials/management")
    ).is_success
    answer = await osc.ask(aiocoap.POST, osc.location)
    assert answer.code in (aiocoap.UNAUTHORIZED, aiocoap.BAD_OPTION)
    assert not (await api.get("/api/v1/devices/osc")).json()["registered"]


async def test_osc_another_key_is_no_key(osc, api):
    await set_context(api, b"another secret")
    assert (await osc.register()).code == aiocoap.BAD_REQUEST
    (found,) = (await api.get("/api/v1/problems?kind=handshake")).json()["problems"]
    assert found["text"].endswith(" cannot be opened: Decryption failed")
    assert "OSCORE credentials" in found["advice"]


async def test_osc_without_protection_and_under_another_name(osc, api):
    assert (await osc.register(protected=False)).code == aiocoap.FORBIDDEN
    assert (await osc.register(query="ep=somebody&")).code == aiocoap.FORBIDDEN
    await osc.register()
    assert await osc.update(protected=False) == aiocoap.BAD_REQUEST
    assert (await osc.register(protected=False)).code == aiocoap.FORBIDDEN
    assert await osc.update() == aiocoap.CHANGED


async def test_osc_the_server_restarts(osc, api, server, eventually):
    """Echo for what the device says, persisted numbers for what it is asked and what it notifies."""
    await osc.register()
    await api.ask("osc", "OBSERVE /3/0/9")
    server.kill()
    server.restart()
    assert await osc.update() == aiocoap.CHANGED
    osc.level.set(33)

    async def notified():
        contents = await api.messages("osc")
        return [one for one in contents if one["messageType"] == "notification"]

    assert (await eventually(notified))[-1]["dataValue"] == {"3/0/9": 33}
    assert (await api.ask("osc", "GET /3/0/0"))["dataValue"] == {"3/0/0": "maker"}
    assert await osc.update() == aiocoap.CHANGED


async def test_osc_5_the_device_restarts(osc, api, server):
    """It does not know which of our numbers it has seen, and asks for an Echo itself."""
    await osc.register()
    await osc.stop()
    await osc.start()
    osc.security.recipient_replay_window._index = None
    await osc.register()
    assert (await api.ask("osc", "GET /3/0/0"))["dataValue"] == {"3/0/0": "maker"}
    await osc.register()
    assert (await api.ask("osc", "GET /3/0/0"))["dataValue"] == {"3/0/0": "maker"}


async def test_osc_where_there_is_no_oscore_it_is_refused_and_told(serve, connect, tmp_path):
    server = serve("--coap-stack", "aiocoap", "--coap-tcp", "127.0.0.1:0")
    api = connect(server)
    await api.post("", 14, {"m2m:nod": {"rn": "osc", "ni": "urn:dev:osc"}})
    await set_context(api)
    device = OscoreDevice(tmp_path / "device", server.coap)
    await device.start()
    try:
        assert (await device.register()).code == aiocoap.BAD_OPTION
    finally:
        await device.stop()
    reader, writer = await asyncio.open_connection(*server.addresses["coap_tcp"].rsplit(":", 1))
    # A CSM, and POST with an empty OSCORE option and a payload.
    writer.write(b"\x00\xe1" + b"\x50\x02\x90\xff\x01\x02\x03")
    assert await asyncio.wait_for(reader.readuntil(b"option 9 is critical and not understood"), 5)
    writer.close()
    server.kill()
    server.restart()
    assert "devices with OSCORE credentials cannot register" in server.errors()


class Bootstrapped(resource.Resource, resource.PathCapable):
    """Takes what a bootstrap server writes, and remembers what it was."""

    def __init__(self):
        super().__init__()
        self.asked, self.written = [], {}

    async def needs_blockwise_assembly(self, request):
        return True

    async def render(self, request):
        self.asked.append((str(request.code), "/".join(request.opt.uri_path)))
        if request.code == aiocoap.PUT:
            at = Path("/" + "/".join(request.opt.uri_path))
            entries = decode(request.payload, request.opt.content_format, at=at, types=CATALOG.types)
            self.written |= {str(entry.path): entry.value for entry in entries}
        if request.code == aiocoap.GET:
            return aiocoap.Message(code=aiocoap.CONTENT, payload=b"</>;lwm2m=1.1,</0/0>", content_format=40)
        return aiocoap.Message(code=aiocoap.DELETED if request.code == aiocoap.DELETE else aiocoap.CHANGED)


@pytest.fixture
async def factory(serve, connect, tmp_path, eventually):
    """Bootstraps, with a context or without, and is what it was told to be."""
    server = serve("--unknown-devices", "create", LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")
    factory = Factory(server, connect(server), tmp_path, eventually)
    await factory.api.post("", 14, {"m2m:nod": {"rn": "osc", "ni": "urn:dev:osc"}})
    yield factory
    await factory.stop()
    server.close()


class Factory:
    def __init__(self, server, api, folder, eventually):
        self.server, self.api, self.folder, self.eventually = server, api, folder, eventually
        self.running = None

    async def device(self, place, keys=None):
        """In place of the one before: all of them have the port of CoAP. It remembers the numbers it has used
        there."""
        await self.stop()
        device = OscoreDevice(self.folder / f"device-{place[1]}", place, keys)
        device.everything = Bootstrapped()
        await device.start()
        self.running = device
        return device

    async def stop(self):
        if self.running is not None:
            await self.running.stop()
            self.running = None

    async def configure(self, **oscore):
        host, port = self.server.coap
        account = {"0": f"coap://{host}:{port}", "1": False, "2": 3, "10": 123}
        write = {"/0/1": account | ({"17": "21:0"} if oscore else {})}
        if oscore:
            write["/21/0"] = {number[1:]: {"hex": value.hex()} for number, value in oscore.items()}
        document = {"noSec": True, "endpoints": ["*"], "write": write}
        configs = f"{self.server.http}/api/v1/bootstrap/configs/all"
        assert (await self.api.client.put(configs, json=document)).is_success

    async def bootstrap(self, query="?ep=osc", *, protected):
        """A device that is as it was told to be."""
        host, _, port = self.server.addresses["bootstrap_coap"].rpartition(":")
        device = await self.device((host, int(port)))
        answer = await device.ask(aiocoap.POST, f"/bs{query}", protected=protected)
        assert answer.code == aiocoap.CHANGED

        async def finished():
            return device.everything.asked[-1:] == [("POST", "bs")]

        await self.eventually(finished)
        written = device.everything.written
        assert written["/0/1/0"] == "coap://{}:{}".format(*self.server.coap)
        keys = {number: written.get(f"/21/0/{number}") for number in (0, 1, 2, 5)}
        return await self.device(self.server.coap, keys if keys[0] is not None else None)


QUIET = b"</1/0>,</3303/0>"
"""Nothing of that is read at the Register."""
MANAGED = {"_0": b"another secret", "_1": b"\x0a\x0b", "_2": b"\x0c", "_5": b"salt"}
"""What is written to /21/0, as the device has to use it."""


async def manage_with_oscore(api):
    body = {
        "mode": "oscore",
        "recipientId": MANAGED["_1"].hex(),
        "senderId": MANAGED["_2"].hex(),
        "masterSecret": MANAGED["_0"].hex(),
        "masterSalt": MANAGED["_5"].hex(),
    }
    assert (await api.put("/api/v1/devices/osc/credentials/management", body)).is_success


async def test_osb_1_bootstrapped_in_clear_to_an_oscore_server(factory):
    await factory.configure(**MANAGED)
    await manage_with_oscore(factory.api)
    device = await factory.bootstrap(protected=False)
    assert (await device.register(objects=QUIET, protected=False)).code == aiocoap.FORBIDDEN
    assert (await device.register(objects=QUIET)).code == aiocoap.CREATED


async def test_osb_2_bootstrapped_with_oscore_to_an_oscore_server(factory):
    await factory.configure(**MANAGED)
    await manage_with_oscore(factory.api)
    await set_context(factory.api, side="bootstrap")
    device = await factory.bootstrap(protected=True)
    assert (await device.register(objects=QUIET)).code == aiocoap.CREATED
    # The configuration may be had in clear, but not in place of a device that has credentials.
    host, _, port = factory.server.addresses["bootstrap_coap"].rpartition(":")
    stranger = await factory.device((host, int(port)))
    plain = await stranger.ask(aiocoap.POST, "/bs?ep=osc", protected=False)
    assert plain.code == aiocoap.BAD_REQUEST


async def test_osb_3_and_4_bootstrapped_with_oscore_to_a_plain_server(factory):
    await factory.configure()
    await set_context(factory.api, side="bootstrap")
    for query in ("?ep=osc", ""):
        device = await factory.bootstrap(query, protected=True)
        assert (await device.register(objects=QUIET, protected=False)).code == aiocoap.CREATED
        await device.ask(aiocoap.DELETE, device.location, protected=False)
