"""Block-wise transfer both ways over real sockets, with devices that answer what a test tells them to."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
from structlog.testing import capture_logs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import MAX_BODY, Block
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.options import (
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    ETAG,
    SIZE1,
    SIZE2,
    number,
    request_of,
    uint,
)
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.transfer import MAX_ANSWER
from lwm2m_server.simulator.scripted import ScriptedDevice

FAST = Timing(ack_timeout=0.1, ack_random_factor=1.0, max_retransmit=4, response_timeout=2.0)
TOKEN = b"observes"


@attrs.define
class Notebook:
    """An uplink that writes everything down."""

    requests: list[CoapRequest] = attrs.field(factory=list)
    outcomes: asyncio.Queue[tuple[object, ...]] = attrs.field(factory=asyncio.Queue)
    notifications: asyncio.Queue[CoapReply] = attrs.field(factory=asyncio.Queue)
    progress: list[tuple[int, int, int]] = attrs.field(factory=list)
    reply: Callable[[CoapRequest], CoapReply] = lambda request: CoapReply(Code.CHANGED)
    delay: float = 0.0

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.append(request)
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, answer, self.reply(request))
        else:
            answer(self.reply(request))

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return token == TOKEN

    def observed(self, token: bytes) -> CoapRequest | None:
        return CoapRequest(Code.GET, ("3",), observe=0)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        self.notifications.put_nowait(reply)
        settled(True)

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        self.outcomes.put_nowait((exchange, reply))

    def acknowledged(self, exchange: int) -> None:
        self.outcomes.put_nowait((exchange, "acknowledged"))

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait((exchange, reason))

    async def outcome(self) -> tuple[object, ...]:
        async with asyncio.timeout(10):
            return await self.outcomes.get()


class LossyDevice(ScriptedDevice):
    """Loses every fifth datagram of each direction, retransmissions included, once it is told to."""

    lossy = False

    def __init__(self) -> None:
        super().__init__()
        self._sent, self._heard = itertools.count(1), itertools.count(3)

    def raw(self, data: bytes) -> None:
        if not (self.lossy and next(self._sent) % 5 == 0):
            super().raw(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not (self.lossy and next(self._heard) % 5 == 0):
            super().datagram_received(data, addr)


@attrs.define
class Scene:
    """A gateway and one device of it."""

    gateway: Gateway
    notebook: Notebook
    device: LossyDevice

    def perform(self, request: CoapRequest, exchange: int = 1, token: bytes | None = None) -> None:
        self.gateway.perform(Perform("ep", exchange, Peer(*self.device.address), request, token))


@asynccontextmanager
async def staged(timing: Timing, *, is_sparing: bool = False) -> AsyncIterator[Scene]:
    notebook = Notebook()
    gateway = await Gateway.start(
        notebook,
        "127.0.0.1",
        0,
        timing=timing,
        progress=lambda *report: notebook.progress.append(report),
        is_sparing=is_sparing,
    )
    async with await LossyDevice.open(gateway.address) as device:
        yield Scene(gateway, notebook, device)
    await gateway.close()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with staged(FAST) as made:
        yield made


def write(payload: bytes, path: str = "5/0/0") -> CoapRequest:
    return CoapRequest(Code.PUT, tuple(path.split("/")), (), payload, 42)


def read(path: str = "3") -> CoapRequest:
    return CoapRequest(Code.GET, tuple(path.split("/")), accept=112)


def block_of(message: wire.Message, option: int) -> Block:
    value = number(message.options, option)
    assert value is not None, f"no block: {message}"
    return Block.unpack(value)


async def take_block(device: ScriptedDevice, exponent: int = 6) -> wire.Message:
    """One block of a Write, acknowledged as one of at most this size."""
    asked = await device.expect(Code.PUT, "/5/0/0")
    accept_block(device, asked, exponent)
    return asked


def accept_block(device: ScriptedDevice, asked: wire.Message, exponent: int = 6, **more: int) -> None:
    block = block_of(asked, BLOCK1)
    taken = block._replace(exponent=min(exponent, block.exponent))
    code = Code.CONTINUE if block.more else Code.CHANGED
    device.reply(asked, code, options=[(BLOCK1, taken.pack())], **more)


async def take_all(device: ScriptedDevice) -> bytes:
    """Every block of a Write, by its place: also those that come again with another message."""
    received = bytearray()
    while True:
        asked = await device.expect(Code.PUT, "/5/0/0", 5)
        block = block_of(asked, BLOCK1)
        start = block.number * block.size
        assert start <= len(received)
        received[start:] = asked.payload
        accept_block(device, asked)
        if not block.more:
            return bytes(received)


async def give(device: ScriptedDevice, payload: bytes, exponent: int, etag: bytes | None = None) -> None:
    """One block of an answer."""
    asked = await device.expect(Code.GET, "/3")
    value = number(asked.options, BLOCK2)
    wanted = Block(0, False, exponent) if value is None else Block.unpack(value)
    start = wanted.number * wanted.size
    block = Block(start // (16 << exponent), start + (16 << exponent) < len(payload), exponent)
    options = [(BLOCK2, block.pack())] + ([] if etag is None else [(ETAG, etag)])
    device.reply(asked, Code.CONTENT, 112, payload[start : start + block.size], options=options)


# --- a long request to a device --------------------------------------------------------------------


async def test_a_megabyte_is_pushed_with_its_size_first_and_progress_after_each_block(scene: Scene) -> None:
    firmware = os.urandom(1 << 20)
    scene.perform(write(firmware))
    first = await take_block(scene.device)
    assert (block_of(first, BLOCK1), number(first.options, SIZE1)) == (Block(0, True, 6), len(firmware))
    second = await take_block(scene.device)
    assert number(second.options, SIZE1) is None
    assert number(second.options, CONTENT_FORMAT) == 42
    rest = [await take_block(scene.device) for _ in range(1022)]
    assert first.payload + second.payload + b"".join(message.payload for message in rest) == firmware
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CHANGED))
    assert scene.notebook.progress == [(1, 1024 * count, 1 << 20) for count in range(1, 1025)]


async def test_a_device_that_wants_smaller_blocks_keeps_what_it_has(scene: Scene) -> None:
    """RFC 7959, 3.2, late negotiation: the block after the first 1,024 bytes is number 16 of 64 bytes."""
    payload = os.urandom(1200)
    scene.perform(write(payload))
    received = (await take_block(scene.device, 2)).payload
    asked = await take_block(scene.device, 2)
    assert block_of(asked, BLOCK1) == Block(16, True, 2)
    received += asked.payload
    while block_of(asked, BLOCK1).more:
        asked = await take_block(scene.device, 2)
        received += asked.payload
    assert received == payload
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CHANGED))


async def test_4_13_with_a_block_size_is_a_wish_and_with_a_length_a_refusal(scene: Scene) -> None:
    too_large = Code.REQUEST_ENTITY_TOO_LARGE
    scene.perform(write(bytes(2000)))
    asked = await scene.device.expect(Code.PUT, "/5/0/0")
    scene.device.reply(asked, too_large, options=[(BLOCK1, Block(0, True, 4).pack())])
    asked = await scene.device.expect(Code.PUT, "/5/0/0")
    assert (block_of(asked, BLOCK1), len(asked.payload)) == (Block(0, True, 4), 256)
    scene.device.reply(asked, too_large, options=[(BLOCK1, Block(0, True, 2).pack()), (SIZE1, uint(1999))])
    assert await scene.notebook.outcome() == (1, CoapReply(too_large))
    assert scene.notebook.progress == []


async def test_a_lost_block_costs_that_block_only(scene: Scene) -> None:
    payload = os.urandom(4096)
    scene.perform(write(payload))
    received = (await take_block(scene.device)).payload + (await take_block(scene.device)).payload
    lost = await scene.device.expect(Code.PUT, "/5/0/0")
    assert await scene.device.receive() == lost, "the same message again"
    assert await scene.device.receive() == lost
    accept_block(scene.device, lost)
    assert received + lost.payload + (await take_block(scene.device)).payload == payload
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CHANGED))


async def test_a_push_survives_the_loss_of_every_fifth_datagram(scene: Scene) -> None:
    scene.device.lossy = True
    payload = os.urandom(12_000)
    scene.perform(write(payload))
    receiving = asyncio.create_task(take_all(scene.device))
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CHANGED))
    receiving.cancel()
    sent = [done for _, done, _ in scene.notebook.progress]
    assert sent == sorted(sent)
    assert sent[-1] == len(payload)


async def test_silence_in_the_middle_is_a_timeout(scene: Scene) -> None:
    scene.perform(write(bytes(3000)))
    await take_block(scene.device)
    with capture_logs() as logs:
        assert await scene.notebook.outcome() == (1, "timeout")
    assert not logs
    assert scene.notebook.progress == [(1, 1024, 3000)]


async def test_the_time_for_a_response_begins_with_each_block() -> None:
    async with staged(Timing(ack_timeout=2.0, response_timeout=0.3)) as scene:
        scene.perform(write(bytes(8 * 1024)))
        began = asyncio.get_running_loop().time()
        for _ in range(8):
            asked = await scene.device.expect(Code.PUT, "/5/0/0")
            scene.device.acknowledge(asked)
            await asyncio.sleep(0.1)
            accept_block(scene.device, asked, type=wire.CON)
            assert (await scene.device.receive()).type == wire.ACK
        assert await scene.notebook.outcome() == (1, "acknowledged"), "with the last block, once"
        assert await scene.notebook.outcome() == (1, CoapReply(Code.CHANGED))
        assert asyncio.get_running_loop().time() - began > 0.6
        scene.perform(write(bytes(8 * 1024)), 2)
        scene.device.acknowledge(await scene.device.expect(Code.PUT, "/5/0/0"))
        assert await scene.notebook.outcome() == (2, "timeout")


async def test_an_aborted_push_stops_and_the_next_request_takes_its_turn(scene: Scene) -> None:
    scene.perform(write(bytes(5000)))
    await take_block(scene.device)
    asked = await scene.device.expect(Code.PUT, "/5/0/0")
    scene.gateway.abort(1)
    accept_block(scene.device, asked)
    await scene.device.silent(0.3)
    scene.perform(read(), 2)
    await give(scene.device, b"x", 6)
    assert await scene.notebook.outcome() == (2, CoapReply(Code.CONTENT, b"x", 112))
    assert scene.notebook.progress == [(1, 1024, 5000)]


async def test_a_device_that_booted_in_the_middle_gets_it_from_the_beginning(scene: Scene) -> None:
    payload = os.urandom(3000)
    scene.perform(write(payload))
    await take_block(scene.device)
    asked = await scene.device.expect(Code.PUT, "/5/0/0")
    scene.device.reply(asked, Code.REQUEST_ENTITY_INCOMPLETE)
    assert await take_all(scene.device) == payload
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CHANGED))
    assert [sent for _, sent, _ in scene.notebook.progress] == [1024, 0, 1024, 2048, 3000]


async def test_a_device_that_takes_the_first_block_for_all_has_not_been_written(scene: Scene) -> None:
    scene.perform(write(bytes(3000)))
    with capture_logs() as logs:
        scene.device.reply(await scene.device.expect(Code.PUT, "/5/0/0"), Code.CHANGED)
        assert await scene.notebook.outcome() == (1, "undecodable")
    assert [line["reason"] for line in logs] == ["the device took the first block for the whole"]


async def test_an_error_in_the_middle_is_the_answer(scene: Scene) -> None:
    scene.perform(write(bytes(3000)))
    await take_block(scene.device)
    scene.device.reply(await scene.device.expect(Code.PUT, "/5/0/0"), Code.INTERNAL_SERVER_ERROR)
    assert await scene.notebook.outcome() == (1, CoapReply(Code.INTERNAL_SERVER_ERROR))


# --- a long answer of a device ---------------------------------------------------------------------


async def test_an_answer_that_changes_in_the_middle_is_read_anew(scene: Scene) -> None:
    old, new = os.urandom(200), os.urandom(170)
    scene.perform(read())
    await give(scene.device, old, 2, b"old")
    await give(scene.device, new, 2, b"new")
    for _ in range(3):
        await give(scene.device, new, 2, b"new")
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CONTENT, new, 112))


async def test_an_answer_survives_the_loss_of_every_fifth_datagram(scene: Scene) -> None:
    scene.device.lossy = True
    payload = os.urandom(6000)
    scene.perform(read())

    async def serve() -> None:
        while True:
            await give(scene.device, payload, 5, b"e")

    serving = asyncio.create_task(serve())
    assert await scene.notebook.outcome() == (1, CoapReply(Code.CONTENT, payload, 112))
    serving.cancel()


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_without_end_is_not_fetched(scene: Scene, announced: bool) -> None:
    scene.perform(read())
    with capture_logs() as logs:
        for count in range(1 if announced else MAX_ANSWER // 1024 + 1):
            asked = await scene.device.expect(Code.GET, "/3")
            options = [(BLOCK2, Block(count, True, 6).pack())]
            options += [(SIZE2, uint(MAX_ANSWER + 1))] if announced else []
            scene.device.reply(asked, Code.CONTENT, 112, bytes(1024), options=options)
        assert await scene.notebook.outcome() == (1, "undecodable")
    assert str(MAX_ANSWER) in logs[0]["reason"]
    await scene.device.silent(0.05)


# --- a long request of a device --------------------------------------------------------------------


async def upload(
    device: ScriptedDevice, payload: bytes, exponent: int, token: bytes | None = None
) -> wire.Message:
    """With this token, or a new one for each block; what is lost is repeated until it is answered."""
    size = 16 << exponent
    for start in range(0, len(payload), size):
        block = Block(start // size, start + size < len(payload), exponent)
        asked = device.request(
            Code.POST,
            "/rd",
            "ep=x",
            40,
            payload[start : start + size],
            token=token,
            options=[(BLOCK1, block.pack())],
        )
        answer = await ask(device, asked)
        assert number(answer.options, BLOCK1) == int.from_bytes(block.pack(), "big")
        assert not block.more or answer.code == Code.CONTINUE
    return answer


async def ask(device: ScriptedDevice, asked: wire.Message) -> wire.Message:
    for _ in range(5):
        device.emit(asked)
        try:
            async with asyncio.timeout(0.15):
                while (answer := await device.receive()).token != asked.token:
                    pass
        except TimeoutError:
            continue
        if answer.type == wire.CON:
            device.acknowledge(answer)
        return answer
    raise AssertionError("no answer")


@pytest.mark.parametrize("token", [None, b"one"])
@pytest.mark.parametrize("lossy", [False, True])
async def test_a_long_register_is_put_together_whatever_its_tokens(
    scene: Scene, token: bytes | None, lossy: bool
) -> None:
    scene.device.lossy = lossy
    payload = os.urandom(800)
    assert (await upload(scene.device, payload, 2, token)).code == Code.CHANGED
    assert [request.payload for request in scene.notebook.requests] == [payload]


async def test_a_request_that_is_too_long_is_told_how_long_it_may_be(scene: Scene) -> None:
    options = [(BLOCK1, Block(0, True, 6).pack()), (SIZE1, uint(MAX_BODY + 1))]
    answer = await scene.device.send(Code.POST, "/dp", payload=bytes(1024), options=options)
    assert (answer.code, number(answer.options, SIZE1)) == (Code.REQUEST_ENTITY_TOO_LARGE, MAX_BODY)


async def test_the_last_block_may_be_answered_separately(scene: Scene) -> None:
    scene.notebook.delay = 0.1
    await scene.device.send(Code.POST, "/dp", payload=bytes(16), options=[(BLOCK1, Block(0, True, 0).pack())])
    last = [(BLOCK1, Block(1, False, 0).pack())]
    answer = await scene.device.send(Code.POST, "/dp", payload=b"x", options=last)
    assert (answer.type, answer.code) == (wire.CON, Code.CHANGED)
    assert block_of(answer, BLOCK1) == Block(1, False, 0)


# --- a long reply to a device ----------------------------------------------------------------------


async def download(device: ScriptedDevice, exponent: int | None, code: int = Code.GET) -> bytes:
    received, count = b"", 0
    while True:
        wanted = None if exponent is None else Block(count, False, exponent)
        options = [] if wanted is None else [(BLOCK2, wanted.pack())]
        answer = await ask(device, device.request(code, "/bspack", "ep=x", options=options))
        block = block_of(answer, BLOCK2)
        exponent = block.exponent
        assert (answer.code, number(answer.options, CONTENT_FORMAT)) == (Code.CONTENT, 112)
        received, count = received + answer.payload, count + 1
        if not block.more:
            return received


@pytest.mark.parametrize("exponent", [None, 6, 2])
@pytest.mark.parametrize("delay", [0.0, 0.06])
async def test_a_hundred_kilobytes_are_given_in_blocks_of_the_size_asked_for(
    scene: Scene, exponent: int | None, delay: float
) -> None:
    """At once or separately; made once, however many blocks are asked for."""
    pack = os.urandom(100_000 if exponent != 2 else 2000)
    scene.notebook.reply = lambda request: CoapReply(Code.CONTENT, pack, 112)
    scene.notebook.delay = delay
    assert await download(scene.device, exponent) == pack
    assert len(scene.notebook.requests) == 1


@pytest.mark.parametrize("wanted", [None, Block(0, False, 6), Block(1, False, 6), Block(0, False, 1)])
async def test_who_has_proved_nothing_gets_no_more_than_three_times_what_was_asked(
    wanted: Block | None,
) -> None:
    """With the headers of IP and UDP, of which an attacker has to send as many."""
    reply, headers = CoapReply(Code.CONTENT, os.urandom(3000), 112), 28
    async with staged(FAST, is_sparing=True) as scene:
        scene.notebook.reply = lambda request: reply
        options = [] if wanted is None else [(BLOCK2, wanted.pack())]
        asked = scene.device.request(Code.GET, "/bspack", "ep=x", token=b"", options=options)
        answer = await ask(scene.device, asked)
        assert headers + len(wire.encode(answer)) <= 3 * (headers + len(wire.encode(asked)))
        start = 0 if wanted is None else wanted.number * wanted.size
        assert reply.payload[start:].startswith(answer.payload)
        assert block_of(answer, BLOCK2).number * len(answer.payload) == start


@pytest.mark.parametrize("exponent", [None, 6])
async def test_small_blocks_are_the_whole_in_the_end(exponent: int | None) -> None:
    pack = os.urandom(1000)
    async with staged(FAST, is_sparing=True) as scene:
        scene.notebook.reply = lambda request: CoapReply(Code.CONTENT, pack, 112)
        assert await download(scene.device, exponent) == pack


async def test_the_reason_of_a_refusal_comes_whole() -> None:
    reason = CoapReply(Code.NOT_IMPLEMENTED, bytes(200))
    async with staged(FAST, is_sparing=True) as scene:
        scene.notebook.reply = lambda request: reason
        answer = await scene.device.send(Code.GET, "/bspack", options=[(BLOCK2, b"\6")])
        assert (answer.payload, number(answer.options, BLOCK2)) == (reason.payload, None)


async def test_a_long_reply_survives_the_loss_of_every_fifth_datagram(scene: Scene) -> None:
    pack = os.urandom(12_000)
    scene.notebook.reply = lambda request: CoapReply(Code.CONTENT, pack, 112)
    scene.device.lossy = True
    assert await download(scene.device, None) == pack


async def test_a_reply_that_is_not_known_any_more_is_made_again_if_that_does_no_harm(scene: Scene) -> None:
    scene.notebook.reply = lambda request: CoapReply(Code.CONTENT, bytes(3000), 112)
    options = [(BLOCK2, Block(2, False, 6).pack())]
    answer = await scene.device.send(Code.GET, "/bspack", options=options)
    assert (answer.code, len(answer.payload)) == (Code.CONTENT, 3000 - 2048)
    assert (await scene.device.send(Code.POST, "/rd", options=options)).code == Code.REQUEST_ENTITY_INCOMPLETE
    options = [(BLOCK2, Block(3, False, 6).pack())]
    assert (await scene.device.send(Code.GET, "/bspack", options=options)).code == Code.BAD_REQUEST


async def test_a_long_request_can_have_a_long_reply(scene: Scene) -> None:
    body = os.urandom(1500)
    scene.notebook.reply = lambda request: CoapReply(Code.CONTENT, request.payload, 112)
    first = [(BLOCK1, Block(0, True, 6).pack())]
    await scene.device.send(Code.POST, "/echo", payload=body[:1024], options=first)
    last = [(BLOCK1, Block(1, False, 6).pack())]
    answer = await scene.device.send(Code.POST, "/echo", payload=body[1024:], options=last)
    assert (block_of(answer, BLOCK1), block_of(answer, BLOCK2)) == (Block(1, False, 6), Block(0, True, 6))
    rest = await scene.device.send(Code.POST, "/echo", options=[(BLOCK2, Block(1, False, 6).pack())])
    assert answer.payload + rest.payload == body


# --- notifications ---------------------------------------------------------------------------------


def notify(device: ScriptedDevice, observe: int, payload: bytes, etag: bytes) -> None:
    options = [(ETAG, etag), (BLOCK2, Block(0, True, 2).pack())]
    device.notify(TOKEN, observe, 112, payload[:64], type=wire.NON, options=options)


async def notified(scene: Scene) -> CoapReply:
    async with asyncio.timeout(5):
        return await scene.notebook.notifications.get()


async def test_a_notification_that_changes_while_it_is_fetched_is_read_anew(scene: Scene) -> None:
    old, new = os.urandom(200), os.urandom(170)
    notify(scene.device, 5, old, b"old")
    await give(scene.device, new, 2, b"new")
    asked = await scene.device.expect(Code.GET, "/3")
    assert number(asked.options, BLOCK2) is None
    assert request_of(asked) == CoapRequest(Code.GET, ("3",))
    scene.device.reply(
        asked,
        Code.CONTENT,
        112,
        new[:64],
        options=[(ETAG, b"new"), (BLOCK2, Block(0, True, 2).pack())],
    )
    for _ in range(2):
        await give(scene.device, new, 2, b"new")
    assert await notified(scene) == CoapReply(Code.CONTENT, new, 112, (), 5)


async def test_a_newer_notification_takes_the_place_of_one_being_fetched(scene: Scene) -> None:
    """Its other blocks are not to be had any more: the device gives those of the newer."""
    old, new = os.urandom(200), os.urandom(200)
    notify(scene.device, 5, old, b"old")
    first = await scene.device.expect(Code.GET, "/3")
    notify(scene.device, 6, new, b"new")
    second = await scene.device.expect(Code.GET, "/3")
    assert second.mid != first.mid
    options = [(ETAG, b"new"), (BLOCK2, Block(1, True, 2).pack())]
    scene.device.reply(second, Code.CONTENT, 112, new[64:128], options=options)
    for _ in range(2):
        await give(scene.device, new, 2, b"new")
    assert await notified(scene) == CoapReply(Code.CONTENT, new, 112, (), 6)
    assert scene.notebook.notifications.empty()
    await scene.device.silent(0.15)


async def test_a_notification_survives_the_loss_of_every_fifth_datagram(scene: Scene) -> None:
    payload = os.urandom(900)
    notify(scene.device, 5, payload, b"e")
    scene.device.lossy = True

    async def serve() -> None:
        while True:
            await give(scene.device, payload, 2, b"e")

    serving = asyncio.create_task(serve())
    assert await notified(scene) == CoapReply(Code.CONTENT, payload, 112, (), 5)
    serving.cancel()
