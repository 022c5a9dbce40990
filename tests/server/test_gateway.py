"""The gateway against devices that say exactly what a test tells them to, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import attrs
import pytest
from structlog.testing import capture_logs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import MAX_BODY, Block
from lwm2m_server.coap.gateway import Gateway, Timing
from lwm2m_server.coap.options import ACCEPT, BLOCK1, BLOCK2, CONTENT_FORMAT, LOCATION_PATH, number, uint
from lwm2m_server.simulator.scripted import ScriptedDevice, observe_of

FAST = Timing(ack_timeout=0.1, ack_random_factor=1.0, max_retransmit=2, response_timeout=2.0)
TOKEN = bytes.fromhex("0102030405060708")


@attrs.define
class Notebook:
    """An uplink that writes everything down and does what it is told."""

    requests: list[CoapRequest] = attrs.field(factory=list)
    peers: list[Peer] = attrs.field(factory=list)
    notifications: list[tuple[bytes, CoapReply, Peer]] = attrs.field(factory=list)
    outcomes: asyncio.Queue[tuple[str, int, object]] = attrs.field(factory=asyncio.Queue)
    tokens: dict[bytes, CoapRequest | None] = attrs.field(factory=dict)
    reply: Callable[[CoapRequest], CoapReply] = lambda request: CoapReply(Code.CHANGED)
    committed: asyncio.Event = attrs.field(factory=asyncio.Event)
    waiting: list[asyncio.Future[bool]] = attrs.field(factory=list)
    fail: Exception | None = None

    def __attrs_post_init__(self) -> None:
        self.committed.set()

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.append(request)
        self.peers.append(peer)
        if self.fail is not None:
            raise self.fail
        self._when_committed(lambda: answer(self.reply(request)))

    def _when_committed(self, tell: Callable[[], None]) -> None:
        if self.committed.is_set():
            tell()
            return
        waiting = asyncio.ensure_future(self.committed.wait())
        waiting.add_done_callback(lambda _: tell())
        self.waiting.append(waiting)

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return token in self.tokens

    def observed(self, token: bytes) -> CoapRequest | None:
        return self.tokens.get(token)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        self.notifications.append((token, reply, peer))
        kept = None if self.fail is not None else token in self.tokens
        self._when_committed(lambda: settled(kept))

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        self.outcomes.put_nowait(("answered", exchange, reply))
        if settled is not None:
            settled(True)

    def acknowledged(self, exchange: int) -> None:
        self.outcomes.put_nowait(("acknowledged", exchange, None))

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait(("failed", exchange, reason))

    async def outcome(self) -> tuple[str, int, object]:
        async with asyncio.timeout(5):
            return await self.outcomes.get()


@asynccontextmanager
async def running(host: str = "127.0.0.1", timing: Timing = FAST) -> AsyncIterator[tuple[Gateway, Notebook]]:
    notebook = Notebook()
    gateway = await Gateway.start(notebook, host, 0, timing=timing)
    try:
        yield gateway, notebook
    finally:
        await gateway.close()


Setup: TypeAlias = tuple[Gateway, Notebook, ScriptedDevice]


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    async with running() as (gateway, notebook), await ScriptedDevice.open(gateway.address) as device:
        yield gateway, notebook, device


@pytest.fixture
async def calm() -> AsyncIterator[Setup]:
    """With the times of a real network: nothing is repeated or acknowledged early while a test looks."""
    async with (
        running(timing=Timing()) as (gateway, notebook),
        await ScriptedDevice.open(gateway.address) as one,
    ):
        yield gateway, notebook, one


def get(device: ScriptedDevice, path: str = "3", exchange: int = 1, **more: object) -> Perform:
    request = attrs.evolve(CoapRequest(Code.GET, tuple(path.split("/"))), **more)
    return Perform("ep", exchange, Peer(*device.address), request)


def observe(device: ScriptedDevice, exchange: int = 1, observe: int = 0, **more: object) -> Perform:
    return attrs.evolve(get(device, exchange=exchange, observe=observe, **more), token=TOKEN)


# --- requests from devices -------------------------------------------------------------------------


async def test_a_request_and_its_reply_survive_the_way_with_all_options(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.reply = lambda request: CoapReply(Code.CREATED, location=("rd", "a1"))
    answer = await device.send(Code.POST, "/rd", "ep=dev 1&lt=300&lwm2m=1.1&Q", 40, b"</3/0>")
    assert notebook.requests == [
        CoapRequest(Code.POST, ("rd",), ("ep=dev 1", "lt=300", "lwm2m=1.1", "Q"), b"</3/0>", 40)
    ]
    assert notebook.peers == [Peer(*device.address, "coap")]
    assert (answer.type, answer.code, answer.options) == (
        wire.ACK,
        Code.CREATED,
        ((LOCATION_PATH, b"rd"), (LOCATION_PATH, b"a1")),
    )


async def test_a_non_confirmable_request_gets_a_non_confirmable_reply(setup: Setup) -> None:
    _, notebook, device = setup
    answer = await device.send(Code.POST, "/rd/1", type=wire.NON)
    assert (answer.type, answer.code) == (wire.NON, Code.CHANGED)
    assert not notebook.requests[0].confirmable


async def test_a_duplicate_is_answered_again_and_not_run_again(setup: Setup) -> None:
    _, notebook, device = setup
    asked = device.request(Code.POST, "/rd/1")
    device.emit(asked)
    first = await device.response(asked)
    device.emit(asked)
    assert await device.response(asked) == first
    assert len(notebook.requests) == 1


async def test_a_duplicate_of_an_uncommitted_request_is_neither_run_nor_answered(calm: Setup) -> None:
    _, notebook, device = calm
    notebook.committed.clear()
    asked = device.request(Code.POST, "/rd/1")
    device.emit(asked)
    device.emit(asked)
    await device.silent(0.03)
    notebook.committed.set()
    assert (await device.response(asked)).code == Code.CHANGED
    await device.silent(0.05)
    assert len(notebook.requests) == 1


async def test_another_message_with_an_old_message_id_is_no_duplicate(setup: Setup) -> None:
    """A device that starts counting anew at each boot."""
    _, notebook, device = setup
    for payload in (b"first", b"first", b"second"):
        asked = device.request(Code.POST, "/dp", payload=payload, mid=1)
        device.emit(asked)
        await device.response(asked)
    assert [request.payload for request in notebook.requests] == [b"first", b"second"]


async def test_a_late_reply_is_sent_separately_until_it_is_acknowledged(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.committed.clear()
    asked = device.request(Code.POST, "/rd/1")
    device.emit(asked)
    acknowledgement = await device.receive()
    assert acknowledgement == wire.Message(wire.ACK, wire.EMPTY, asked.mid)
    device.emit(asked)
    assert await device.receive() == acknowledgement
    notebook.committed.set()
    response = await device.receive()
    assert (response.type, response.code, response.token) == (wire.CON, Code.CHANGED, asked.token)
    assert await device.receive() == response, "repeated while not acknowledged"
    device.acknowledge(response)
    await device.silent(0.3)


async def test_requests_with_the_same_empty_token_do_not_disturb_each_other(calm: Setup) -> None:
    """Wakaama sends with an empty token."""
    _, notebook, device = calm
    notebook.committed.clear()
    notebook.reply = lambda request: CoapReply(Code.CHANGED, request.payload)
    first = device.request(Code.POST, "/dp", payload=b"one", token=b"")
    second = device.request(Code.POST, "/dp", payload=b"two", token=b"")
    device.emit(first)
    device.emit(second)
    await device.silent(0.02)
    notebook.committed.set()
    answers = {(message.mid, message.payload) for message in [await device.receive(), await device.receive()]}
    assert answers == {(first.mid, b"one"), (second.mid, b"two")}


async def test_an_exception_becomes_5_00_without_a_word_and_one_log_line(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.fail = ZeroDivisionError("secret detail")
    with capture_logs() as logs:
        answer = await device.send(Code.POST, "/rd")
    assert (answer.code, answer.payload) == (Code.INTERNAL_SERVER_ERROR, b"")
    assert [line["event"] for line in logs] == ["request failed"]
    notebook.fail = None
    assert (await device.send(Code.POST, "/rd")).code == Code.CHANGED


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ((9, b""), Code.BAD_OPTION),  # OSCORE
        ((1, b"tag"), Code.BAD_OPTION),  # If-Match
        ((65001, b"x"), Code.BAD_OPTION),
        ((17, b"123"), Code.BAD_OPTION),  # an Accept of three bytes
        ((11, b"\xff\xfe"), Code.BAD_OPTION),  # Uri-Path that is not UTF-8
        ((35, b"coap://elsewhere"), Code.PROXYING_NOT_SUPPORTED),
    ],
)
async def test_a_critical_option_that_is_not_understood(
    setup: Setup, option: wire.Option, code: Code
) -> None:
    _, notebook, device = setup
    answer = await device.send(Code.POST, "/rd", options=[option])
    assert answer.code == code
    assert not notebook.requests


async def test_elective_options_are_ignored(setup: Setup) -> None:
    _, notebook, device = setup
    strange = [(65000, b"x"), (CONTENT_FORMAT, b"12345"), (3, b"lwm2m.example.org"), (7, b"\x16\x33")]
    assert (await device.send(Code.POST, "/rd", options=strange)).code == Code.CHANGED
    assert notebook.requests[0].content_format is None


async def test_an_unknown_method_is_not_allowed(setup: Setup) -> None:
    _, notebook, device = setup
    assert (await device.send(30, "/rd")).code == Code.METHOD_NOT_ALLOWED
    assert not notebook.requests


# --- block-wise ------------------------------------------------------------------------------------


async def upload(device: ScriptedDevice, payload: bytes, size_exponent: int = 2) -> wire.Message:
    """A new token for each block, as Anjay does."""
    size = 1 << size_exponent + 4
    for count in range(0, len(payload), size):
        block = Block(count // size, count + size < len(payload), size_exponent)
        chunk = payload[count : count + size]
        answer = await device.send(Code.POST, "/rd", "ep=x", 40, chunk, options=[(BLOCK1, block.pack())])
        assert number(answer.options, BLOCK1) == int.from_bytes(block.pack(), "big")
        if block.more:
            assert answer.code == Code.CONTINUE
    return answer


async def test_a_request_in_blocks_arrives_whole(setup: Setup) -> None:
    _, notebook, device = setup
    payload = os.urandom(1000)
    assert (await upload(device, payload)).code == Code.CHANGED
    assert [(request.payload, request.content_format) for request in notebook.requests] == [(payload, 40)]


async def test_a_gap_between_blocks_is_4_08(setup: Setup) -> None:
    _, notebook, device = setup
    chunk = bytes(64)
    await device.send(Code.POST, "/rd", payload=chunk, options=[(BLOCK1, Block(0, True, 2).pack())])
    answer = await device.send(Code.POST, "/rd", payload=chunk, options=[(BLOCK1, Block(2, True, 2).pack())])
    assert answer.code == Code.REQUEST_ENTITY_INCOMPLETE
    assert not notebook.requests


async def test_blocks_of_two_devices_are_kept_apart(setup: Setup) -> None:
    gateway, notebook, device = setup
    first = [(BLOCK1, Block(0, True, 0).pack())]
    last = [(BLOCK1, Block(1, False, 0).pack())]
    async with await ScriptedDevice.open(gateway.address) as other:
        await device.send(Code.POST, "/rd", payload=b"a" * 16, options=first)
        await other.send(Code.POST, "/rd", payload=b"b" * 16, options=first)
        await device.send(Code.POST, "/rd", payload=b"a", options=last)
        await other.send(Code.POST, "/rd", payload=b"b", options=last)
    assert [request.payload for request in notebook.requests] == [b"a" * 17, b"b" * 17]


@pytest.mark.parametrize(
    ("block", "payload"), [(Block(0, True, 7), bytes(1024)), (Block(0, True, 2), bytes(63))]
)
async def test_an_impossible_block_is_4_00(setup: Setup, block: Block, payload: bytes) -> None:
    _, _, device = setup
    answer = await device.send(Code.POST, "/rd", payload=payload, options=[(BLOCK1, block.pack())])
    assert answer.code == Code.BAD_REQUEST


async def test_a_body_without_end_is_refused(setup: Setup) -> None:
    _, notebook, device = setup
    for count in range(MAX_BODY // 1024 + 1):
        option = (BLOCK1, Block(count, True, 6).pack())
        answer = await device.send(Code.POST, "/dp", payload=bytes(1024), options=[option])
    assert answer.code == Code.REQUEST_ENTITY_TOO_LARGE
    assert not notebook.requests


# --- what is no message ----------------------------------------------------------------------------


async def test_a_ping_is_answered_with_a_reset(setup: Setup) -> None:
    _, _, device = setup
    device.raw(bytes.fromhex("40001234"))
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, 0x1234)


@pytest.mark.parametrize(
    "datagram",
    [
        "4d021234",  # token length 13
        "44021234ab",  # token cut off
        "40021234f0",  # reserved option delta
        "40021234b37264",  # option cut off
        "40021234ff",  # payload marker without payload
        "4000123401",  # empty message with content
        "40e11234",  # signalling code 7.01 over UDP
    ],
)
async def test_a_malformed_confirmable_message_is_reset(setup: Setup, datagram: str) -> None:
    _, notebook, device = setup
    device.raw(bytes.fromhex(datagram))
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, 0x1234)
    assert not notebook.requests


@pytest.mark.parametrize(
    "datagram", ["", "40", "80021234", "50021234ff", "60021234", "70021234", "704512340a", "50e11234"]
)
async def test_other_nonsense_is_ignored(setup: Setup, datagram: str) -> None:
    _, notebook, device = setup
    device.raw(bytes.fromhex(datagram))
    await device.silent(0.05)
    assert not notebook.requests


async def test_random_bytes_and_truncated_messages_do_no_harm(setup: Setup) -> None:
    gateway, notebook, device = setup
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    notebook.tokens[b"\x01"] = None
    random_bytes = random.Random(7)
    whole = [
        wire.encode(device.request(Code.POST, "/rd", "ep=x&lt=60", 40, b"</3/0>,</6/0>", mid=9)),
        wire.encode(
            wire.Message(wire.CON, Code.CONTENT, 8, b"\x01", ((6, b"\x05"), (23, b"\x0a")), b"x" * 64)
        ),
    ]
    with capture_logs() as logs:
        for _ in range(1500):
            sample = bytearray(random_bytes.choice(whole))
            for _ in range(random_bytes.randrange(4)):
                sample[random_bytes.randrange(len(sample))] = random_bytes.randrange(256)
            device.raw(bytes(sample[: random_bytes.randrange(len(sample) + 1)]))
            device.raw(
                bytes([0x40 | random_bytes.randrange(64)])
                + random_bytes.randbytes(random_bytes.randrange(60))
            )
            await asyncio.sleep(0)
    async with await ScriptedDevice.open(gateway.address) as other:
        assert (await other.send(Code.POST, "/rd")).code == Code.CHANGED
    assert not problems
    assert not [line for line in logs if line["log_level"] == "error"]


# --- requests to devices ---------------------------------------------------------------------------


async def test_a_read_and_its_piggybacked_answer(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(get(device, "3/0/9", exchange=7, accept=112, query=("depth=1",)))
    asked = await device.expect(Code.GET, "/3/0/9")
    assert number(asked.options, ACCEPT) == 112
    assert asked.type == wire.CON
    device.reply(asked, Code.CONTENT, 112, b"\x80")
    assert await notebook.outcome() == ("answered", 7, CoapReply(Code.CONTENT, b"\x80", 112))


async def test_an_error_answer_is_an_answer_and_a_location_is_kept(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(get(device))
    device.reply(await device.expect(Code.GET, "/3"), Code.NOT_FOUND, payload=b"gone")
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.NOT_FOUND, b"gone"))
    gateway.perform(get(device, exchange=2, code=Code.POST))
    device.reply(await device.expect(Code.POST, "/3"), Code.CREATED, location="/3442/1")
    assert await notebook.outcome() == ("answered", 2, CoapReply(Code.CREATED, location=("3442", "1")))


async def test_a_separate_answer_after_an_acknowledgement(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(get(device))
    asked = await device.expect(Code.GET, "/3")
    device.acknowledge(asked)
    assert await notebook.outcome() == ("acknowledged", 1, None)
    await device.silent(0.25)
    response = device.reply(asked, Code.CONTENT, 0, b"x", type=wire.CON)
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, response.mid)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"x", 0))
    device.emit(response)
    assert (await device.receive()).type == wire.ACK, "a repeated answer is acknowledged again"


async def test_an_answer_whose_acknowledgement_got_lost_ends_the_retransmissions(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(get(device))
    asked = await device.expect(Code.GET, "/3")
    device.reply(asked, Code.CONTENT, 0, b"x", type=wire.NON)
    assert (await notebook.outcome())[0] == "answered"
    await device.silent(0.3)


async def test_a_lost_request_is_repeated(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(get(device))
    first = await device.receive()
    again = await device.receive()
    assert again == first
    device.reply(again, Code.CONTENT, 0, b"x")
    assert (await notebook.outcome())[0] == "answered"


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_silence_is_a_timeout(setup: Setup, token: bytes | None) -> None:
    gateway, notebook, device = setup
    gateway.perform(attrs.evolve(get(device), token=token))
    assert await notebook.outcome() == ("failed", 1, "timeout")
    assert len([await device.receive() for _ in range(3)]) == 3
    await device.silent(0.2)


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_an_acknowledged_request_without_answer_is_a_timeout(token: bytes | None) -> None:
    """Wakaama acknowledges a FETCH and never answers it."""
    async with (
        running(timing=attrs.evolve(FAST, response_timeout=0.3)) as (gateway, notebook),
        await ScriptedDevice.open(gateway.address) as device,
    ):
        gateway.perform(attrs.evolve(get(device), token=token))
        device.acknowledge(await device.receive())
        assert await notebook.outcome() == ("acknowledged", 1, None)
        assert await notebook.outcome() == ("failed", 1, "timeout")


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_reset_is_told(setup: Setup, token: bytes | None) -> None:
    gateway, notebook, device = setup
    gateway.perform(attrs.evolve(get(device), token=token))
    device.reply(await device.receive(), 0, type=wire.RST)
    assert await notebook.outcome() == ("failed", 1, "reset")
    await device.silent(0.2)


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_closed_port_is_unreachable(setup: Setup, token: bytes | None) -> None:
    gateway, notebook, device = setup
    async with await ScriptedDevice.open(gateway.address) as other:
        nobody = get(other)
    await asyncio.sleep(0)
    gateway.perform(attrs.evolve(nobody, token=token))
    assert await notebook.outcome() == ("failed", 1, "unreachable")
    gateway.perform(get(device, exchange=2))
    device.reply(await device.expect(Code.GET, "/3"), Code.CONTENT)
    assert await notebook.outcome() == ("answered", 2, CoapReply(Code.CONTENT))


def test_an_unreachable_device_does_not_deafen_the_gateway_under_uvloop() -> None:
    """libuv stops watching a socket that reports an error."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with (
            running() as (gateway, notebook),
            await ScriptedDevice.open(gateway.address) as device,
        ):
            async with await ScriptedDevice.open(gateway.address) as other:
                nobody = get(other)
            await asyncio.sleep(0)
            for _ in range(3):
                gateway.perform(nobody)
                assert await notebook.outcome() == ("failed", 1, "unreachable")
                assert (await device.send(Code.POST, "/rd")).code == Code.CHANGED

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def test_an_address_of_another_family_is_unreachable(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(attrs.evolve(get(device), peer=Peer("2001:db8::1", 5683)))
    assert await notebook.outcome() == ("failed", 1, "unreachable")


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_an_aborted_exchange_is_not_repeated_and_not_reported(
    setup: Setup, token: bytes | None
) -> None:
    gateway, notebook, device = setup
    gateway.perform(attrs.evolve(get(device), token=token))
    asked = await device.receive()
    gateway.abort(1)
    await device.silent(0.3)
    device.reply(asked, Code.CONTENT, 0, b"late")
    await device.silent(0.05)
    assert notebook.outcomes.empty()
    gateway.perform(get(device, "6", exchange=2))
    assert (await device.receive()).mid != asked.mid, "the next exchange does not wait"


async def test_requests_to_a_busy_device_wait_their_turn(calm: Setup) -> None:
    gateway, notebook, device = calm
    gateway.perform(get(device, "3", exchange=1))
    first = await device.expect(Code.GET, "/3")
    gateway.perform(get(device, "6", exchange=2))
    await device.silent(0.03)
    device.reply(first, Code.CONTENT)
    device.reply(await device.expect(Code.GET, "/6"), Code.CONTENT)
    assert [(await notebook.outcome())[1] for _ in range(2)] == [1, 2]


async def test_a_large_answer_is_fetched_with_the_options_of_the_request(setup: Setup) -> None:
    gateway, notebook, device = setup
    payload = os.urandom(150)
    gateway.perform(get(device, code=Code.FETCH, content_format=112, accept=112, payload=b"\x80"))
    for count, more in enumerate((True, True, False)):
        asked = await device.expect(Code.FETCH, "/3")
        assert number(asked.options, CONTENT_FORMAT) == 112
        assert number(asked.options, ACCEPT) == 112
        chunk = payload[count * 64 : (count + 1) * 64]
        device.reply(asked, Code.CONTENT, 112, chunk, options=[(BLOCK2, Block(count, more, 2).pack())])
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, payload, 112))


async def test_a_large_request_is_sent_in_blocks(setup: Setup) -> None:
    gateway, notebook, device = setup
    payload = os.urandom(2500)
    gateway.perform(get(device, "5/0/0", code=Code.PUT, payload=payload, content_format=42))
    received = b""
    while len(received) < len(payload):
        asked = await device.expect(Code.PUT, "/5/0/0")
        received += asked.payload
        block = number(asked.options, BLOCK1)
        assert block is not None
        more = Block.unpack(block).more
        device.reply(asked, Code.CONTINUE if more else Code.CHANGED, options=[(BLOCK1, uint(block))])
    assert received == payload
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CHANGED))


async def test_an_answer_that_breaks_the_block_protocol_is_undecodable(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(get(device))
    asked = await device.expect(Code.GET, "/3")
    device.reply(asked, Code.CONTENT, 0, bytes(16), options=[(BLOCK2, Block(5, True, 0).pack())])
    assert await notebook.outcome() == ("failed", 1, "undecodable")


# --- observations ----------------------------------------------------------------------------------


async def test_observe_uses_the_given_token_and_its_answer_is_the_exchange_s(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(observe(device, accept=110))
    asked = await device.expect(Code.GET, "/3")
    assert (asked.token, observe_of(asked), number(asked.options, ACCEPT)) == (TOKEN, 0, 110)
    device.reply(asked, Code.CONTENT, 110, b"[]", observe=0)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"[]", 110, (), 0))
    device.reply(asked, Code.CONTENT, 110, b"[]", observe=0)
    await device.silent(0.2)
    assert not notebook.notifications


@pytest.mark.parametrize("kind", [wire.CON, wire.NON])
async def test_a_separate_answer_to_observe(setup: Setup, kind: int) -> None:
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    asked = await device.expect(Code.GET, "/3")
    response = device.reply(asked, Code.CONTENT, 0, b"1", observe=3, type=kind)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"1", 0, (), 3))
    if kind == wire.CON:
        assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, response.mid)
    await device.silent(0.3)


@pytest.mark.parametrize("kind", [wire.ACK, wire.CON, wire.NON])
async def test_an_answer_to_observe_that_must_be_rejected_ends_the_exchange(setup: Setup, kind: int) -> None:
    """A critical option that nobody asked for (RFC 7252, 5.4.1)."""
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    asked = await device.expect(Code.GET, "/3")
    answer = device.reply(asked, Code.CONTENT, 0, b"1", observe=3, type=kind, options=[(9, b"")])
    assert await notebook.outcome() == ("failed", 1, "undecodable")
    if kind != wire.ACK:
        assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, answer.mid)
    await device.silent(0.15)


async def test_a_confirmable_notification_is_acknowledged_after_the_commit(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.tokens[TOKEN] = None
    notebook.committed.clear()
    notification = device.notify(TOKEN, 5, 0, b"71")
    device.emit(notification)
    await device.silent(0.25)
    notebook.committed.set()
    acknowledgement = await device.receive()
    assert acknowledgement == wire.Message(wire.ACK, wire.EMPTY, notification.mid)
    device.emit(notification)
    assert await device.receive() == acknowledgement
    assert notebook.notifications == [
        (TOKEN, CoapReply(Code.CONTENT, b"71", 0, (), 5), Peer(*device.address, "coap"))
    ]


async def test_notifications_need_no_request_of_this_process(setup: Setup) -> None:
    """After a restart the tokens are the engine's, not the transport's."""
    _, notebook, device = setup
    notebook.tokens[TOKEN] = None
    device.notify(TOKEN, 9, 0, b"1", type=wire.NON)
    device.notify(TOKEN, None, code=Code.NOT_FOUND)
    assert (await device.receive()).type == wire.ACK
    assert [reply.code for _, reply, _ in notebook.notifications] == [Code.CONTENT, Code.NOT_FOUND]


@pytest.mark.parametrize("kind", [wire.CON, wire.NON])
async def test_a_notification_with_an_unknown_token_is_reset(setup: Setup, kind: int) -> None:
    _, notebook, device = setup
    notification = device.notify(b"\x99", 5, 0, b"71", type=kind)
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, notification.mid)
    assert not notebook.notifications


async def test_a_notification_the_uplink_refuses_is_reset(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    device.reply(await device.receive(), Code.CONTENT, 0, b"1", observe=0)
    await notebook.outcome()
    notification = device.notify(TOKEN, 1, 0, b"2")
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, notification.mid)


async def test_a_notification_whose_commit_fails_is_taken_when_it_is_repeated(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.tokens[TOKEN] = None
    notebook.fail = OSError("disk full")
    notification = device.notify(TOKEN, 5, 0, b"71")
    await device.silent(0.1)
    notebook.fail = None
    device.emit(notification)
    assert (await device.receive()).type == wire.ACK
    assert len(notebook.notifications) == 2


async def test_a_notification_in_blocks_is_reported_once_and_whole(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.tokens[TOKEN] = CoapRequest(Code.GET, ("3",), accept=112, observe=0)
    payload = os.urandom(150)
    first = [(BLOCK2, Block(0, True, 2).pack())]
    notification = device.notify(TOKEN, 5, 112, payload[:64], options=first)
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, notification.mid)
    for count, more in ((1, True), (2, False)):
        asked = await device.expect(Code.GET, "/3")
        assert (observe_of(asked), number(asked.options, ACCEPT)) == (None, 112)
        assert asked.token != TOKEN
        chunk = payload[count * 64 : (count + 1) * 64]
        device.reply(asked, Code.CONTENT, 112, chunk, options=[(BLOCK2, Block(count, more, 2).pack())])
    await asyncio.sleep(0.05)
    assert [reply for _, reply, _ in notebook.notifications] == [CoapReply(Code.CONTENT, payload, 112, (), 5)]


async def test_a_first_answer_in_blocks_is_reported_once_and_whole(setup: Setup) -> None:
    gateway, notebook, device = setup
    payload = os.urandom(100)
    gateway.perform(observe(device))
    asked = await device.expect(Code.GET, "/3")
    options = [(BLOCK2, Block(0, True, 2).pack())]
    device.reply(asked, Code.CONTENT, 112, payload[:64], observe=1, options=options)
    asked = await device.expect(Code.GET, "/3")
    options = [(BLOCK2, Block(1, False, 2).pack())]
    device.reply(asked, Code.CONTENT, 112, payload[64:], options=options)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, payload, 112, (), 1))


async def test_a_notification_whose_rest_is_missing_is_passed_on_as_it_came(setup: Setup) -> None:
    _, notebook, device = setup
    notebook.tokens[TOKEN] = CoapRequest(Code.GET, ("3",), observe=0)
    with capture_logs() as logs:
        device.notify(TOKEN, 5, 112, bytes(64), options=[(BLOCK2, Block(0, True, 2).pack())])
        assert (await device.receive()).type == wire.ACK
        device.reply(await device.expect(Code.GET, "/3"), 0, type=wire.RST)
        await asyncio.sleep(0.05)
    assert [reply.payload for _, reply, _ in notebook.notifications] == [bytes(64)]
    assert [line["log_level"] for line in logs] == ["warning"]


async def test_cancel_uses_the_token_and_a_notification_on_the_way_is_none_of_its_business(
    setup: Setup,
) -> None:
    gateway, notebook, device = setup
    notebook.tokens[TOKEN] = None
    gateway.perform(observe(device, observe=1, exchange=4))
    asked = await device.expect(Code.GET, "/3")
    assert (asked.token, observe_of(asked)) == (TOKEN, 1)
    device.notify(TOKEN, 8, 0, b"last", type=wire.NON)
    device.reply(asked, Code.CONTENT, 0, b"value")
    assert await notebook.outcome() == ("answered", 4, CoapReply(Code.CONTENT, b"value", 0))
    assert [reply.payload for _, reply, _ in notebook.notifications] == [b"last"]


async def test_an_answer_from_elsewhere_does_not_end_the_exchange(setup: Setup) -> None:
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    asked = await device.expect(Code.GET, "/3")
    async with await ScriptedDevice.open(gateway.address) as stranger:
        forged = stranger.notify(TOKEN, 0, 0, b"forged")
        assert await stranger.receive() == wire.Message(wire.RST, wire.EMPTY, forged.mid)
    device.reply(asked, Code.CONTENT, 0, b"true", observe=0)
    outcome = await notebook.outcome()
    assert outcome == ("answered", 1, CoapReply(Code.CONTENT, b"true", 0, (), 0))


# --- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "reached_at", "peer"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.5", "127.0.0.1"),
        ("::", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
        ("::", "127.0.0.5", "127.0.0.1"),
    ],
)
async def test_both_families_in_both_directions(host: str, reached_at: str, peer: str) -> None:
    """The device's socket is connected: an answer from any other address would not reach it."""
    async with running(host) as (gateway, notebook):
        local = (peer, 0)
        server = (reached_at, gateway.address[1])
        async with await ScriptedDevice.open(server, local=local) as device:
            assert (await device.send(Code.POST, "/rd")).code == Code.CHANGED
            assert notebook.peers == [Peer(peer, device.address[1], "coap")]
    async with running(host) as (gateway, notebook):
        server = ("::1" if ":" in peer else "127.0.0.1", gateway.address[1])
        async with await ScriptedDevice.open(server) as device:
            gateway.perform(attrs.evolve(get(device), peer=Peer(peer, device.address[1])))
            device.reply(await device.expect(Code.GET, "/3"), Code.CONTENT)
            assert (await notebook.outcome())[0] == "answered"


async def test_a_taken_port_is_named() -> None:
    async with running() as (gateway, notebook):
        host, port = gateway.address
        with pytest.raises(OSError, match=rf"coap://{host}:{port}: the address is already in use") as raised:
            await Gateway.start(notebook, host, port)
        assert raised.value.errno == errno.EADDRINUSE


async def test_two_wildcard_listeners_share_a_port() -> None:
    async with running("0.0.0.0") as (four, _):
        six = await Gateway.start(Notebook(), "::", four.address[1], timing=FAST)
        for host in ("127.0.0.1", "::1"):
            async with await ScriptedDevice.open((host, four.address[1])) as device:
                assert (await device.send(Code.POST, "/rd")).code == Code.CHANGED
        with pytest.raises(OSError, match="already in use"):
            await Gateway.start(Notebook(), "::", four.address[1])
        await six.close()


async def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(OSError, match=r"coap://no\.such\.host\.invalid:5683"):
        await Gateway.start(Notebook(), "no.such.host.invalid", 5683)


async def test_close_answers_what_is_being_worked_on() -> None:
    notebook = Notebook()
    gateway = await Gateway.start(notebook, "127.0.0.1", 0, timing=FAST)
    async with await ScriptedDevice.open(gateway.address) as device:
        notebook.committed.clear()
        asked = device.request(Code.POST, "/rd")
        device.emit(asked)
        gateway.perform(get(device))
        await device.expect(Code.GET, "/3")
        asyncio.get_running_loop().call_later(0.02, notebook.committed.set)
        await gateway.close()
        assert (await device.response(asked)).code == Code.CHANGED
    assert notebook.outcomes.empty()
