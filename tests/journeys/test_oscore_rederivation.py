"""RFC 8613, Appendix B.2, over real sockets: a device on aiocoap's contexts, and who loses one."""

from __future__ import annotations

import asyncio
import os
from itertools import count

import aiocoap
import cbor2
import pytest
from aiocoap import oscore
from aiocoap.message import Direction

pytestmark = pytest.mark.native_stack("OSCORE is a layer of the server's own message layer")

SECRET, SALT = b"1234567890", b"0987654321"
DEVICE, SERVER = b"\xfe\xdc\xba", b"secret"
LIMIT = 10.0


class Side(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """The device's end of a context that nobody has used."""

    alg_aead = oscore.algorithms[oscore.DEFAULT_ALGORITHM]
    hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
    echo_recovery = None
    sender_sequence_number = 0

    def __init__(self, id_context):
        self.sender_id, self.recipient_id, self.id_context = DEVICE, SERVER, id_context
        self.derive_keys(SALT, SECRET)
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()

    def post_seqnoincrease(self):
        pass


class Device(asyncio.DatagramProtocol):
    """Datagrams out, and what comes back for each token; requests of the server wait in ``asked``."""

    @classmethod
    async def reaching(cls, server):
        loop = asyncio.get_running_loop()
        _, device = await loop.create_datagram_endpoint(cls, remote_addr=server.coap)
        return device

    def __init__(self):
        self.answers, self.replies, self.numbers = {}, {}, count(1)
        self.asked = asyncio.Queue()
        self.location = ()
        self.recover()

    def connection_made(self, transport):
        self.transport = transport

    def recover(self, id_context=None):
        """What is left of its context: the keys."""
        self.side = Side(id_context)

    def datagram_received(self, data, address):
        message = aiocoap.Message.decode(data)
        message.direction = Direction.INCOMING
        if message.code.is_request():
            if data in self.replies:
                # Repeated: there is an answer, or will be.
                if self.replies[data] is not None:
                    self.transport.sendto(self.replies[data])
                return
            self.replies[data], message.datagram = None, data
            self.asked.put_nowait(message)
        elif message.token in self.answers:
            self.answers[message.token].put_nowait(message)

    def error_received(self, problem):
        """The server is away."""

    # --- as a client ---

    def protect(self, path=("rd",), named=None, **options):
        """The datagram of a request, and what its answer is bound to. ``named`` is an ID Context of B.2."""
        message = aiocoap.Message(code=aiocoap.POST, uri_path=path, **options)
        message.direction = Direction.OUTGOING
        kid_context = True if named is None else cbor2.dumps(named)
        outer, request_id = self.side.protect(message, kid_context=kid_context)
        outer.mtype, outer.mid = aiocoap.CON, next(self.numbers)
        outer.token = os.urandom(4)
        return outer, request_id

    async def say(self, outer):
        """Repeated until there is an answer, as it may be lost while the server starts."""
        waiting = self.answers.setdefault(outer.token, asyncio.Queue())
        for _ in range(int(LIMIT)):
            self.transport.sendto(outer.encode())
            try:
                return await asyncio.wait_for(waiting.get(), 1)
            except TimeoutError:
                continue
        raise AssertionError("no answer")

    async def refused(self, outer, request_id, id_context):
        """R2 of an answer that is a response #1 to this ID Context."""
        answer = await self.say(outer)
        nonce = cbor2.loads(oscore.verify_start(answer)[oscore.COSE_KID_CONTEXT])
        answer.opt.oscore = b""
        inner, _ = Side(nonce + id_context).unprotect(answer, request_id)
        assert inner.code == aiocoap.UNAUTHORIZED
        return nonce

    async def begin(self, id_context):
        self.recover(id_context)
        return await self.refused(*self.register(id_context), id_context)

    def register(self, named=None):
        query = ["ep=osc", "lt=300", "lwm2m=1.1", "b=U"]
        return self.protect(named=named, uri_query=query, content_format=40, payload=b"</1/0>,</3/0>")

    async def opened(self, outer, request_id):
        inner, _ = self.side.unprotect(await self.say(outer), request_id)
        if inner.opt.location_path:
            self.location = inner.opt.location_path
        return inner

    async def complete(self, id_context):
        """Request #2."""
        self.recover(id_context)
        return (await self.opened(*self.register(id_context))).code

    async def update(self):
        """With an Echo, where one is wanted."""
        inner = await self.opened(*self.protect(self.location))
        if inner.opt.echo is not None:
            inner = await self.opened(*self.protect(self.location, echo=inner.opt.echo))
        return inner.code

    # --- as a server ---

    async def asked_for(self, path):
        """A request for this path; what else the server wants is not there."""
        while True:
            request = await asyncio.wait_for(self.asked.get(), LIMIT)
            named = oscore.verify_start(request)
            # Which context it is, is known here.
            piv = named[oscore.COSE_PIV]
            request.opt.oscore = bytes((0x08 | len(piv), *piv)) + SERVER
            inner, request_id = self.side.unprotect(request)
            request.request_id, request.named = request_id, named[oscore.COSE_KID_CONTEXT]
            if inner.opt.uri_path == path:
                return request
            self.reply(request, code=aiocoap.NOT_FOUND)

    def reply(self, request, *, by=None, nonce=None, **answer):
        message = aiocoap.Message(**answer)
        message.direction = Direction.OUTGOING
        outer, _ = (by or self.side).protect(message, request.request_id)
        if nonce is not None:
            named = cbor2.dumps(nonce)
            outer.opt.oscore = bytes((0x10, len(named))) + named
        outer.mtype, outer.mid, outer.token = aiocoap.ACK, request.mid, request.token
        self.replies[request.datagram] = outer.encode()
        self.transport.sendto(self.replies[request.datagram])


@pytest.fixture
async def osc(server, api):
    await api.post("", 14, {"m2m:nod": {"rn": "osc", "ni": "urn:dev:osc"}})
    context = {
        "mode": "oscore",
        "recipientId": DEVICE.hex(),
        "senderId": SERVER.hex(),
        "masterSecret": SECRET.hex(),
        "masterSalt": SALT.hex(),
    }
    assert (await api.put("/api/v1/devices/osc/credentials/management", context)).is_success
    device = await Device.reaching(server)
    yield device
    device.transport.close()


PATH = ("3", "0", "0")
VALUE = {"code": aiocoap.CONTENT, "payload": b"maker", "content_format": 0}


async def is_read(osc, api):
    """The server asks with the context that both have now."""
    wish = asyncio.ensure_future(api.ask("osc", "GET /3/0/0"))
    request = await osc.asked_for(PATH)
    assert request.named == osc.side.id_context
    osc.reply(request, **VALUE)
    return (await wish)["dataValue"] == {"3/0/0": "maker"}


async def test_osc_5_a_device_that_lost_its_context_begins_anew(osc, api):
    nonce = await osc.begin(b"device-1")
    assert await osc.complete(nonce + b"device-3") == aiocoap.CREATED
    assert await osc.update() == aiocoap.CHANGED
    assert await is_read(osc, api)
    # Once more, as after the next boot.
    newer = await osc.begin(b"device-4")
    assert await osc.complete(newer + b"device-5") == aiocoap.CREATED
    assert await is_read(osc, api)


async def test_a_derived_context_outlives_the_server(osc, api, server):
    nonce = await osc.begin(b"device-1")
    assert await osc.complete(nonce + b"device-3") == aiocoap.CREATED
    server.kill()
    server.restart()
    assert await osc.update() == aiocoap.CHANGED
    assert await is_read(osc, api)


async def test_the_server_restarts_in_the_middle(osc, api, server):
    nonce = await osc.begin(b"device-1")
    server.kill()
    server.restart()
    agreed = nonce + b"device-3"
    osc.recover(agreed)
    newer = await osc.refused(*osc.register(agreed), agreed)
    assert await osc.complete(newer + b"device-5") == aiocoap.CREATED
    assert await is_read(osc, api)


async def test_a_replayed_first_message_and_a_wrong_number_change_nothing(osc, api):
    osc.recover(b"device-1")
    first, request_id = osc.register(b"device-1")
    nonce = await osc.refused(first, request_id, b"device-1")
    for wrong in (bytes(16) + b"device-3", nonce[:8] + bytes(8) + b"device-3"):
        osc.recover(wrong)
        await osc.refused(*osc.register(wrong), wrong)
    assert not (await api.get("/api/v1/devices/osc")).json()["registered"]
    assert await osc.complete(nonce + b"device-3") == aiocoap.CREATED
    first.mid, first.token = next(osc.numbers), b"replay"
    assert await osc.refused(first, request_id, b"device-1") != nonce
    stale, side = nonce + b"device-4", osc.side
    osc.recover(stale)
    await osc.refused(*osc.register(stale), stale)
    osc.side = side
    assert await osc.update() == aiocoap.CHANGED
    assert await is_read(osc, api)


async def test_a_device_loses_its_context_and_is_asked_before_it_says_so(osc, api):
    nonce = await osc.begin(b"device-1")
    assert await osc.complete(nonce + b"device-3") == aiocoap.CREATED
    lost = osc.side.id_context
    wish = asyncio.ensure_future(api.ask("osc", "GET /3/0/0"))
    request = await osc.asked_for(PATH)
    number = os.urandom(16)
    osc.reply(request, by=Side(number + lost), nonce=number, code=aiocoap.UNAUTHORIZED)
    again = await asyncio.wait_for(osc.asked.get(), LIMIT)
    agreed = cbor2.loads(oscore.verify_start(again)[oscore.COSE_KID_CONTEXT])
    assert agreed.startswith(number)
    assert len(agreed) == 24
    osc.recover(agreed)
    osc.asked.put_nowait(again)
    osc.reply(await osc.asked_for(PATH), **VALUE)
    assert (await wish)["dataValue"] == {"3/0/0": "maker"}
    assert await osc.update() == aiocoap.CHANGED
    assert await is_read(osc, api)
