"""CoAP over UDP on aiocoap's own stack, against devices that say exactly what a test tells them to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.options import BLOCK1, BLOCK2, LOCATION_PATH, number, uint
from lwm2m_server.coap.stock import StockGateway
from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.scripted import ScriptedDevice, observe_of

FAST = Timing(ack_timeout=0.1, ack_random_factor=1.0, max_retransmit=1, response_timeout=1.0)
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
    waiting: list[Callable[[], None]] | None = None
    """Answers held back while this is a list."""
    progress: list[tuple[int, int, int]] = attrs.field(factory=list)

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.append(request)
        self.peers.append(peer)
        if self.waiting is None:
            answer(self.reply(request))
        else:
            self.waiting.append(lambda: answer(self.reply(request)))

    def commit(self) -> None:
        waiting, self.waiting = self.waiting or [], None
        for answer in waiting:
            answer()

    def knows(self, token: bytes) -> bool:
        return token in self.tokens

    def observed(self, token: bytes) -> CoapRequest | None:
        return self.tokens.get(token)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        self.notifications.append((token, reply, peer))
        settled(token in self.tokens)

    def answered(self, exchange: int, reply: CoapReply) -> None:
        self.outcomes.put_nowait(("answered", exchange, reply))

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait(("failed", exchange, reason))

    async def outcome(self) -> tuple[str, int, object]:
        async with asyncio.timeout(5):
            return await self.outcomes.get()


@asynccontextmanager
async def running(host: str = "127.0.0.1") -> AsyncIterator[tuple[StockGateway, Notebook]]:
    notebook = Notebook()

    def told(*report: int) -> None:
        notebook.progress.append(report)

    gateway = await StockGateway.start(notebook, host, 0, timing=FAST, progress=told)
    try:
        yield gateway, notebook
    finally:
        await gateway.close()


@pytest.fixture
async def setup() -> AsyncIterator[tuple[StockGateway, Notebook, ScriptedDevice]]:
    async with running() as (gateway, notebook), await ScriptedDevice.open(gateway.address) as device:
        yield gateway, notebook, device


def get(device: ScriptedDevice, path: str = "3", exchange: int = 1, **more: object) -> Perform:
    request = attrs.evolve(CoapRequest(Code.GET, tuple(path.split("/"))), **more)
    return Perform("ep", exchange, Peer(*device.address), request)


def observe(device: ScriptedDevice, exchange: int = 1, observe: int = 0, **more: object) -> Perform:
    return attrs.evolve(get(device, exchange=exchange, observe=observe, **more), token=TOKEN)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


# --- requests from devices -------------------------------------------------------------------------


async def test_a_request_and_its_reply_survive_the_way_with_all_options(setup):
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


async def test_a_duplicate_is_answered_again_and_not_run_again(setup):
    _, notebook, device = setup
    asked = device.request(Code.POST, "/rd/1")
    device.emit(asked)
    first = await device.response(asked)
    device.emit(asked)
    assert await device.response(asked) == first
    assert len(notebook.requests) == 1


async def test_a_late_reply_is_sent_separately(setup):
    _, notebook, device = setup
    notebook.waiting = []
    asked = device.request(Code.POST, "/rd/1")
    device.emit(asked)
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, asked.mid)
    notebook.commit()
    response = await device.receive()
    assert (response.type, response.code, response.token) == (wire.CON, Code.CHANGED, asked.token)
    device.acknowledge(response)


async def test_a_request_in_blocks_arrives_whole(setup):
    _, notebook, device = setup
    payload = os.urandom(150)
    for start in range(0, 150, 64):
        block = (BLOCK1, Block(start // 64, start + 64 < 150, 2).pack())
        answer = await device.send(Code.POST, "/dp", "", 112, payload[start : start + 64], options=[block])
        assert number(answer.options, BLOCK1) == int.from_bytes(block[1], "big")
        assert answer.code == (Code.CONTINUE if start + 64 < 150 else Code.CHANGED)
    assert [request.payload for request in notebook.requests] == [payload]


async def test_a_later_request_with_the_same_token_takes_the_place_of_the_first(setup):
    """aiocoap finds the requests it works on by their tokens."""
    _, notebook, device = setup
    notebook.waiting = []
    first = device.request(Code.POST, "/dp", payload=b"one", token=b"")
    second = device.request(Code.POST, "/dp", payload=b"two", token=b"")
    notebook.reply = lambda request: CoapReply(Code.CHANGED, request.payload)
    device.emit(first)
    device.emit(second)
    await until(lambda: len(notebook.requests) == 2)
    notebook.commit()
    answer = await device.receive()
    assert (answer.mid, answer.payload) == (second.mid, b"two")


# --- requests to devices ---------------------------------------------------------------------------


async def test_a_device_is_asked(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, "3/0/9", accept=112))
    question = await device.expect(Code.GET, "/3/0/9")
    device.reply(question, Code.CONTENT, 112, b"value")
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"value", 112))


async def test_a_long_request_goes_in_blocks_and_tells_how_far_it_is(setup):
    gateway, notebook, device = setup
    payload = os.urandom(3000)
    gateway.perform(get(device, "5/0/0", code=Code.PUT, payload=payload))
    received = b""
    while len(received) < len(payload):
        question = await device.receive()
        received += question.payload
        assert notebook.progress == [(1, sent, 3000) for sent in range(1024, len(received), 1024)]
        block = (BLOCK1, uint(number(question.options, BLOCK1)))
        code = Code.CHANGED if len(received) == len(payload) else Code.CONTINUE
        device.reply(question, code, options=[block])
    assert received == payload
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CHANGED))
    assert notebook.progress[-1] == (1, 3000, 3000)


async def test_a_non_confirmable_request(setup):
    gateway, _, device = setup
    gateway.perform(get(device, confirmable=False))
    assert (await device.expect(Code.GET, "/3")).type == wire.NON


async def test_answers_that_are_none(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, exchange=1))
    device.reply(await device.expect(Code.GET, "/3"), 0, type=wire.RST)
    assert await notebook.outcome() == ("failed", 1, "reset")
    gateway.perform(get(device, exchange=2))
    assert await notebook.outcome() == ("failed", 2, "timeout")
    gateway.perform(attrs.evolve(get(device, exchange=3), peer=Peer("no address", 1)))
    assert await notebook.outcome() == ("failed", 3, "unreachable")


async def test_nobody_there_is_unreachable(setup):
    gateway, notebook, _ = setup
    async with await ScriptedDevice.open(gateway.address) as gone:
        effect = get(gone)
    await asyncio.sleep(0.01)
    gateway.perform(effect)
    assert await notebook.outcome() == ("failed", 1, "unreachable")


async def test_an_aborted_request_reports_nothing(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, exchange=1))
    gateway.perform(observe(device, exchange=2))
    await device.receive()
    gateway.abort(1)
    gateway.abort(2)
    gateway.abort(2)
    await asyncio.sleep(0.3)
    assert notebook.outcomes.empty()


# --- observations ----------------------------------------------------------------------------------


async def observed(gateway: StockGateway, notebook: Notebook, device: ScriptedDevice) -> None:
    """A relation that has been answered."""
    gateway.perform(observe(device))
    question = await device.expect(Code.GET, "/3")
    assert (question.token, observe_of(question)) == (TOKEN, 0)
    notebook.tokens[TOKEN] = CoapRequest(Code.GET, ("3",), observe=0)
    device.reply(question, Code.CONTENT, 0, b"first", observe=5)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"first", 0, (), 5))


async def test_a_relation_lives_under_the_token_of_the_engine(setup):
    gateway, notebook, device = setup
    await observed(gateway, notebook, device)
    for sequence in (6, 7):
        sent = device.notify(TOKEN, sequence, 0, b"value")
        assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, sent.mid)
    await until(lambda: len(notebook.notifications) == 2)
    token, reply, peer = notebook.notifications[1]
    assert (token, reply, peer) == (
        TOKEN,
        CoapReply(Code.CONTENT, b"value", 0, (), 7),
        Peer(*device.address),
    )


async def test_a_relation_outlives_another_request_that_times_out(setup):
    """aiocoap ends whatever waits for a remote when one exchange with it fails."""
    gateway, notebook, device = setup
    await observed(gateway, notebook, device)
    gateway.perform(get(device, exchange=2))
    assert await notebook.outcome() == ("failed", 2, "timeout")
    device._arrived = asyncio.Queue()
    sent = device.notify(TOKEN, 6, 0, b"still here")
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, sent.mid)
    await until(lambda: notebook.notifications)


async def test_a_relation_is_cancelled_with_its_own_token(setup):
    gateway, notebook, device = setup
    await observed(gateway, notebook, device)
    gateway.perform(observe(device, exchange=2, observe=1))
    question = await device.expect(Code.GET, "/3")
    assert (question.token, observe_of(question)) == (TOKEN, 1)
    sent = device.notify(TOKEN, 6, 0, b"meanwhile")
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, sent.mid)
    await until(lambda: notebook.notifications)
    del notebook.tokens[TOKEN]
    device.reply(question, Code.CONTENT, 0, b"last")
    assert await notebook.outcome() == ("answered", 2, CoapReply(Code.CONTENT, b"last", 0))
    sent = device.notify(TOKEN, 7, 0, b"late")
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, sent.mid)


async def test_a_relation_the_engine_has_ended_gets_a_reset(setup):
    gateway, notebook, device = setup
    await observed(gateway, notebook, device)
    notebook.tokens.clear()
    sent = device.notify(TOKEN, 6, 0, b"one more")
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, sent.mid)
    await until(lambda: notebook.notifications)
    sent = device.notify(TOKEN, 7, 0, b"and another")
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, sent.mid)


async def test_a_relation_of_before_a_restart_gets_a_reset(setup):
    _, notebook, device = setup
    notebook.tokens[TOKEN] = CoapRequest(Code.GET, ("3",), observe=0)
    sent = device.notify(TOKEN, 6, 0, b"value")
    assert await device.receive() == wire.Message(wire.RST, wire.EMPTY, sent.mid)
    assert not notebook.notifications


async def test_a_large_notification_is_fetched(setup):
    gateway, notebook, device = setup
    await observed(gateway, notebook, device)
    body = os.urandom(1500)
    sent = device.notify(TOKEN, 6, 0, body[:1024], options=[(BLOCK2, Block(0, True, 6).pack())])
    assert await device.receive() == wire.Message(wire.ACK, wire.EMPTY, sent.mid)
    question = await device.expect(Code.GET, "/3")
    assert number(question.options, BLOCK2) == 1 << 4 | 6
    device.reply(question, Code.CONTENT, 0, body[1024:], options=[(BLOCK2, Block(1, False, 6).pack())])
    await until(lambda: notebook.notifications)
    assert notebook.notifications[0][1].payload == body


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (False, ("failed", 1, "timeout")),
        (True, ("answered", 1, CoapReply(Code.NOT_FOUND))),
    ],
)
async def test_an_observe_that_begins_nothing(setup, answers, outcome):
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    question = await device.expect(Code.GET, "/3")
    if answers:
        device.reply(question, Code.NOT_FOUND)
    assert await notebook.outcome() == outcome
    assert not gateway._relations._relations


# --- the end ---------------------------------------------------------------------------------------


async def test_closing_answers_what_is_being_worked_on():
    notebook = Notebook(waiting=[])
    gateway = await StockGateway.start(notebook, "127.0.0.1", 0, timing=FAST)
    async with await ScriptedDevice.open(gateway.address) as device:
        asked = device.request(Code.POST, "/rd/1")
        device.emit(asked)
        await until(lambda: notebook.requests)
        closing = asyncio.create_task(gateway.close())
        await asyncio.sleep(0.01)
        notebook.commit()
        await closing
        assert (await device.response(asked)).code == Code.CHANGED


async def test_ipv6():
    async with running("::1") as (gateway, notebook), await ScriptedDevice.open(gateway.address) as one:
        assert (await one.send(Code.POST, "/rd/1")).code == Code.CHANGED
        assert notebook.peers == [Peer("::1", one.address[1], "coap")]
        gateway.perform(get(one))
        one.reply(await one.expect(Code.GET, "/3"), Code.CONTENT)
        assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT))


# aiocoap leaves the socket it could not bind to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_addresses_that_cannot_be_bound():
    with pytest.raises(OSError, match=r"coap://192\.0\.2\.1:0"):
        await StockGateway.start(Notebook(), "192.0.2.1", 0)
    with pytest.raises(OSError, match=r"no-such-host\.invalid"):
        await StockGateway.start(Notebook(), "no-such-host.invalid", 0)
