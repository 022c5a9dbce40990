"""CoAP over TCP against devices that say exactly what a test tells them to."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
from structlog.testing import capture_logs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap import frames, wire
from lwm2m_server.coap.blocks import MAX_BODY, Block
from lwm2m_server.coap.connection import PIPELINE, Limits
from lwm2m_server.coap.options import (
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    LOCATION_PATH,
    OBSERVE,
    number,
    request_of,
    uint,
)
from lwm2m_server.coap.tcp import TcpGateway
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.transfer import MAX_ANSWER
from lwm2m_server.simulator.scripted_stream import ANJAY_CSM, ScriptedStream

TOKEN = bytes.fromhex("0102030405060708")
FAST = Timing(response_timeout=0.5)
CUSTODY = (frames.CUSTODY, b"")


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
    gone: list[Peer] = attrs.field(factory=list)
    broken: bool = False
    """Nothing can be stored."""
    progress: list[tuple[int, int, int]] = attrs.field(factory=list)

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.append(request)
        self.peers.append(peer)
        if self.broken:
            raise ZeroDivisionError("secret detail")
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
        settled(None if self.broken else token in self.tokens)

    def answered(self, exchange: int, reply: CoapReply) -> None:
        self.outcomes.put_nowait(("answered", exchange, reply))

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait(("failed", exchange, reason))

    def disconnected(self, peer: Peer) -> None:
        self.gone.append(peer)

    async def outcome(self) -> tuple[str, int, object]:
        async with asyncio.timeout(5):
            return await self.outcomes.get()


@asynccontextmanager
async def running(
    host: str = "127.0.0.1",
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> AsyncIterator[tuple[TcpGateway, Notebook]]:
    notebook = Notebook()

    def told(*report: int) -> None:
        notebook.progress.append(report)

    gateway = await TcpGateway.start(notebook, host, 0, timing=FAST, limits=limits, progress=told)
    try:
        yield gateway, notebook
    finally:
        await gateway.close()


@pytest.fixture
async def setup() -> AsyncIterator[tuple[TcpGateway, Notebook, ScriptedStream]]:
    async with running() as (gateway, notebook), await ScriptedStream.open(gateway.address) as device:
        yield gateway, notebook, device


def peer_of(device: ScriptedStream) -> Peer:
    return Peer(*device.address, "coap+tcp")


def get(device: ScriptedStream, path: str = "3", exchange: int = 1, **more: object) -> Perform:
    request = attrs.evolve(CoapRequest(Code.GET, tuple(path.split("/"))), **more)
    return Perform("ep", exchange, peer_of(device), request)


def observe(device: ScriptedStream, exchange: int = 1, observe: int = 0, **more: object) -> Perform:
    return attrs.evolve(get(device, exchange=exchange, observe=observe, **more), token=TOKEN)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


# --- requests from devices -------------------------------------------------------------------------


async def test_a_request_and_its_reply_survive_the_way_with_all_options(setup):
    _, notebook, device = setup
    notebook.reply = lambda request: CoapReply(Code.CREATED, location=("rd", "a1"))
    answer = await device.send(Code.POST, "/rd", "ep=dev 1&lt=300&lwm2m=1.1&b=T", 40, b"</3/0>")
    assert notebook.requests == [
        CoapRequest(Code.POST, ("rd",), ("ep=dev 1", "lt=300", "lwm2m=1.1", "b=T"), b"</3/0>", 40)
    ]
    assert notebook.peers == [peer_of(device)]
    assert str(notebook.peers[0]).startswith("coap+tcp://127.0.0.1:")
    assert (answer.code, answer.options) == (
        Code.CREATED,
        ((LOCATION_PATH, b"rd"), (LOCATION_PATH, b"a1")),
    )


async def test_requests_in_one_segment_and_one_request_in_many(setup):
    _, notebook, device = setup
    notebook.reply = lambda request: CoapReply(Code.CHANGED, request.payload)
    one = frames.encode(Code.POST, b"1", (), b"first")
    device.raw(one + one.replace(b"first", b"again"))
    assert [(await device.receive()).payload for _ in range(2)] == [b"first", b"again"]
    for byte in one:
        device.raw(bytes((byte,)))
        await asyncio.sleep(0.001)
    assert (await device.receive()).payload == b"first"


async def test_answers_carry_the_tokens_of_their_requests_in_any_order(setup):
    _, notebook, device = setup
    notebook.waiting = []
    for token in (b"", b"a", b"12345678"):
        device.request(Code.POST, "/dp", payload=token or b"-", token=token)
    notebook.reply = lambda request: CoapReply(Code.CHANGED, request.payload)
    await until(lambda: len(notebook.requests) == 3)
    notebook.waiting.reverse()
    notebook.commit()
    answers = [await device.receive() for _ in range(3)]
    assert [(answer.token, answer.payload) for answer in answers] == [
        (b"12345678", b"12345678"),
        (b"a", b"a"),
        (b"", b"-"),
    ]


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ((9, b""), Code.BAD_OPTION),
        ((65001, b"x"), Code.BAD_OPTION),
        ((11, b"\xff\xfe"), Code.BAD_OPTION),
        ((35, b"coap://elsewhere"), Code.PROXYING_NOT_SUPPORTED),
    ],
)
async def test_a_critical_option_that_is_not_understood(setup, option, code):
    _, notebook, device = setup
    assert (await device.send(Code.POST, "/rd", options=[option])).code == code
    assert not notebook.requests


async def test_an_unknown_method_is_not_allowed(setup):
    _, notebook, device = setup
    assert (await device.send(30, "/rd")).code == Code.METHOD_NOT_ALLOWED
    assert not notebook.requests


async def test_an_exception_becomes_5_00_without_a_word_and_one_log_line(setup):
    _, notebook, device = setup
    notebook.broken = True
    with capture_logs() as logs:
        answer = await device.send(Code.POST, "/rd")
    assert (answer.code, answer.payload) == (Code.INTERNAL_SERVER_ERROR, b"")
    assert [line["event"] for line in logs] == ["request failed"]


async def test_what_a_device_asks_too_much_waits_in_the_socket(setup):
    _, notebook, device = setup
    notebook.waiting = []
    for _ in range(PIPELINE + 5):
        device.request(Code.POST, "/dp")
    await until(lambda: len(notebook.requests) == PIPELINE)
    await asyncio.sleep(0.05)
    assert len(notebook.requests) == PIPELINE
    notebook.commit()
    answers = [await device.receive() for _ in range(PIPELINE + 5)]
    assert {answer.code for answer in answers} == {Code.CHANGED}


# --- block-wise, BERT ------------------------------------------------------------------------------


@pytest.mark.parametrize(("exponent", "size"), [(2, 64), (6, 1024), (7, 3 * 1024)])
async def test_a_request_in_blocks_arrives_whole(setup, exponent, size):
    """Exponent 7 is BERT: several blocks of 1,024 bytes in one message."""
    _, notebook, device = setup
    payload = os.urandom(7000)
    unit = min(16 << exponent, 1024)
    for start in range(0, len(payload), size):
        more = start + size < len(payload)
        block = (BLOCK1, Block(start // unit, more, exponent).pack())
        answer = await device.send(Code.POST, "/dp", "", 112, payload[start : start + size], options=[block])
        assert number(answer.options, BLOCK1) == int.from_bytes(block[1], "big")
        assert answer.code == (Code.CONTINUE if more else Code.CHANGED)
    assert [(request.payload, request.content_format) for request in notebook.requests] == [(payload, 112)]


@pytest.mark.parametrize(
    ("block", "size", "code"),
    [
        (Block(0, True, 7), 1500, Code.BAD_REQUEST),
        (Block(2, False, 7), 1024, Code.REQUEST_ENTITY_INCOMPLETE),
    ],
)
async def test_blocks_that_do_not_fit(setup, block, size, code):
    _, notebook, device = setup
    option = (BLOCK1, block.pack())
    assert (await device.send(Code.POST, "/dp", payload=bytes(size), options=[option])).code == code
    assert not notebook.requests


@pytest.mark.parametrize(("exponent", "given"), [(None, 6), (5, 5), (7, 6)])
async def test_a_long_reply_goes_in_blocks_where_the_device_has_no_room(exponent, given):
    async with (
        running() as (gateway, notebook),
        await ScriptedStream.open(gateway.address, csm=frames.encode(frames.CSM)) as one,
    ):
        body = os.urandom(2500)
        notebook.reply = lambda request: CoapReply(Code.CONTENT, body, 112)
        received, options = b"", [] if exponent is None else [(BLOCK2, Block(0, False, exponent).pack())]
        while len(received) < len(body):
            answer = await one.send(Code.GET, "/bspack", options=options)
            block = Block.unpack(number(answer.options, BLOCK2))
            assert (block.number * block.size, block.exponent) == (len(received), given)
            received += answer.payload
            options = [(BLOCK2, Block(block.number + 1, False, given).pack())]
        assert received == body
        assert not block.more
    assert len(notebook.requests) == 1


async def test_a_long_reply_needs_no_blocks_where_the_device_has_room(setup):
    _, notebook, device = setup
    notebook.reply = lambda request: CoapReply(Code.CONTENT, bytes(200_000), 112)
    answer = await device.send(Code.GET, "/bspack")
    assert (len(answer.payload), number(answer.options, BLOCK2)) == (200_000, None)


async def test_a_large_body_needs_no_blocks(setup):
    _, notebook, device = setup
    payload = os.urandom(MAX_BODY)
    assert (await device.send(Code.POST, "/dp", payload=payload)).code == Code.CHANGED
    assert notebook.requests[0].payload == payload


# --- signaling -------------------------------------------------------------------------------------


async def test_the_server_introduces_itself_first(setup):
    _, _, device = setup
    async with await ScriptedStream.open(device._writer.get_extra_info("peername"), csm=b"") as silent:
        csm = silent.csm
    assert csm is not None
    assert number(csm.options, frames.MAX_MESSAGE_SIZE) == Limits().message_size
    assert (frames.BLOCK_WISE, b"") in csm.options


async def test_a_client_may_have_room_for_everything(setup):
    """Anjay's CSM has an 8-byte token and a Max-Message-Size of 0xffffffff: one message, no blocks."""
    gateway, notebook, device = setup
    payload = os.urandom(100_000)
    gateway.perform(get(device, "5/0/0", code=Code.PUT, payload=payload, content_format=42))
    question = await device.expect(Code.PUT, "/5/0/0")
    assert question.payload == payload
    assert number(question.options, BLOCK1) is None
    device.reply(question, Code.CHANGED)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CHANGED))
    assert notebook.progress == [(1, 100_000, 100_000)]


async def test_a_long_request_that_is_refused_was_not_taken(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, "5/0/0", code=Code.PUT, payload=bytes(2000)))
    device.reply(await device.receive(), Code.REQUEST_ENTITY_TOO_LARGE)
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.REQUEST_ENTITY_TOO_LARGE))
    gateway.perform(get(device, "3/0/14", exchange=2, code=Code.PUT, payload=b"short"))
    device.reply(await device.receive(), Code.CHANGED)
    assert await notebook.outcome() == ("answered", 2, CoapReply(Code.CHANGED))
    assert notebook.progress == []


@pytest.mark.parametrize(
    ("csm", "sizes"),
    [
        (frames.encode(frames.CSM), [1024, 1024, 952]),
        (frames.encode(frames.CSM, b"", ((2, uint(200)),)), [64] * 46 + [56]),
        (frames.encode(frames.CSM, b"", ((2, uint(2500)), (4, b""))), [2048, 952]),
    ],
)
async def test_a_client_with_little_room_is_written_to_in_blocks(csm, sizes):
    """Without the option the room is that of a datagram; with Block-Wise-Transfer BERT is possible."""
    async with running() as (gateway, notebook), await ScriptedStream.open(gateway.address, csm=csm) as one:
        await until(lambda: gateway._connections.find(peer_of(one))._remote_settings is not None)
        payload = os.urandom(3000)
        gateway.perform(get(one, "5/0/0", code=Code.PUT, payload=payload))
        received = []
        while sum(map(len, received)) < len(payload):
            question = await one.receive()
            received.append(question.payload)
            block = (BLOCK1, uint(number(question.options, BLOCK1)))
            last = sum(map(len, received)) == len(payload)
            one.reply(question, Code.CHANGED if last else Code.CONTINUE, options=[block])
        assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CHANGED))
    assert b"".join(received) == payload
    assert list(map(len, received)) == sizes
    assert notebook.progress == [(1, sum(sizes[: n + 1]), 3000) for n in range(len(sizes))]


async def test_each_block_has_as_much_time_as_a_short_request():
    csm = frames.encode(frames.CSM)
    async with running() as (gateway, notebook), await ScriptedStream.open(gateway.address, csm=csm) as one:
        await until(lambda: gateway._connections.find(peer_of(one))._remote_settings is not None)
        gateway.perform(get(one, "5/0/0", code=Code.PUT, payload=bytes(3000)))
        for code in (Code.CONTINUE, Code.CONTINUE, Code.CHANGED):
            question = await one.receive()
            await asyncio.sleep(FAST.response_timeout * 0.5)
            one.reply(question, code, options=[(BLOCK1, uint(number(question.options, BLOCK1)))])
        assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CHANGED))
        gateway.perform(get(one, "5/0/0", exchange=2, code=Code.PUT, payload=bytes(3000)))
        question = await one.receive()
        one.reply(question, Code.CONTINUE, options=[(BLOCK1, uint(number(question.options, BLOCK1)))])
        assert await notebook.outcome() == ("failed", 2, "timeout")


async def test_a_ping_is_answered_with_its_token(setup):
    _, _, device = setup
    device.emit(frames.PING, b"ping")
    assert await device.receive() == wire.Message(wire.CON, frames.PONG, 0, b"ping")


async def test_custody_is_taken_when_everything_before_has_been_dealt_with(setup):
    _, notebook, device = setup
    device.emit(frames.PING, b"p0", (CUSTODY,))
    assert await device.receive() == wire.Message(wire.CON, frames.PONG, 0, b"p0", (CUSTODY,))
    notebook.waiting = []
    token = device.request(Code.POST, "/dp")
    device.emit(frames.PING, b"p1", (CUSTODY,))
    await device.silent(0.05)
    notebook.commit()
    assert [(await device.receive()).token for _ in range(2)] == [token, b"p1"]


async def test_a_pong_with_custody_and_empty_messages_are_fine(setup):
    _, _, device = setup
    device.emit(frames.PONG, b"", (CUSTODY,))
    device.raw(bytes(2))
    assert (await device.send(Code.POST, "/rd/1")).code == Code.CHANGED


async def test_a_release_ends_the_connection_after_the_answers(setup):
    _, notebook, device = setup
    notebook.waiting = []
    token = device.request(Code.POST, "/dp")
    device.emit(frames.RELEASE)
    device.request(Code.POST, "/late")
    await device.silent(0.05)
    notebook.commit()
    assert [message.token for message in await device.closed()] == [token]
    assert len(notebook.requests) == 1


async def test_an_abort_ends_the_connection_at_once(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device))
    await device.expect(Code.GET, "/3")
    device.emit(frames.ABORT, payload=b"enough")
    assert await notebook.outcome() == ("failed", 1, "unreachable")
    assert await device.closed() == []


@pytest.mark.parametrize(
    ("sent", "bad_option"),
    [
        (frames.encode(Code.POST, b"t", ((11, b"rd"),)), None),  # no CSM first
        (frames.encode(frames.PING), None),
        (ANJAY_CSM + bytes((0x0F, 0x02)) + bytes(15), None),  # token of 15 bytes
        (ANJAY_CSM + bytes.fromhex("1002f0"), None),  # reserved option delta
        (frames.encode(frames.CSM, b"", ((3, b"x"),)), 3),  # a critical option (5.3)
        (ANJAY_CSM + frames.encode(frames.PING, b"", ((1, b""),)), None),
        (ANJAY_CSM + bytes.fromhex("f0fffffff0"), None),  # 4 GB announced
    ],
)
async def test_what_must_end_a_connection(sent, bad_option):
    async with running() as (gateway, notebook), await ScriptedStream.open(gateway.address, csm=sent) as one:
        *_, abort = await one.closed()
        assert abort.code == frames.ABORT
        assert number(abort.options, frames.BAD_CSM_OPTION) == bad_option
        assert not notebook.requests


# --- requests to devices ---------------------------------------------------------------------------


async def test_a_device_is_asked_over_the_connection_it_opened(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, "3/0/9", query=("depth=1",), accept=112))
    question = await device.expect(Code.GET, "/3/0/9")
    assert len(question.token) == 8
    asked = request_of(question)
    assert (asked.query, asked.accept) == (("depth=1",), 112)
    device.reply(question, Code.CONTENT, 112, b"value")
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"value", 112))


async def test_an_answer_in_blocks_is_put_together(setup):
    gateway, notebook, device = setup
    body = os.urandom(2500)
    gateway.perform(get(device, "5/0/0"))
    for count in range(3):
        question = await device.expect(Code.GET, "/5/0/0")
        if count:
            assert number(question.options, BLOCK2) == count << 4 | 6
        block = (BLOCK2, Block(count, count < 2, 6).pack())
        device.reply(question, Code.CONTENT, 42, body[count * 1024 : (count + 1) * 1024], options=[block])
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, body, 42))


async def test_an_answer_without_end_ends_the_connection(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, "5/0/0"))
    question = await device.expect(Code.GET, "/5/0/0")
    beyond = Block(MAX_ANSWER // 1024 + 1, True, 7).pack()
    device.reply(question, Code.CONTENT, 42, bytes(1024), options=[(BLOCK2, beyond)])
    assert await notebook.outcome() == ("failed", 1, "unreachable")
    assert [message.code for message in await device.closed()] == [frames.ABORT]


async def test_an_answer_that_does_not_come(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device))
    assert await notebook.outcome() == ("failed", 1, "timeout")


async def test_an_answer_with_an_unknown_critical_option_is_none(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device))
    question = await device.expect(Code.GET, "/3")
    device.reply(question, Code.CONTENT, options=[(9, b"x")])
    assert await notebook.outcome() == ("failed", 1, "timeout")


async def test_an_aborted_request_reports_nothing(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device))
    question = await device.expect(Code.GET, "/3")
    gateway.abort(1)
    gateway.abort(1)
    device.reply(question, Code.CONTENT)
    assert (await device.send(Code.POST, "/rd/1")).code == Code.CHANGED
    assert notebook.outcomes.empty()


async def test_a_device_without_a_connection_is_unreachable(setup):
    gateway, notebook, device = setup
    stranger = attrs.evolve(get(device), peer=Peer("127.0.0.1", 9, "coap+tcp"))
    gateway.perform(stranger)
    assert notebook.outcomes.empty(), "never from within perform"
    assert await notebook.outcome() == ("failed", 1, "unreachable")


async def test_what_waits_for_a_closed_connection_fails_unreachable(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device, exchange=1))
    gateway.perform(observe(device, exchange=2))
    await device.receive()
    await device.receive()
    device.close()
    outcomes = [await notebook.outcome(), await notebook.outcome()]
    assert sorted(outcomes) == [("failed", 1, "unreachable"), ("failed", 2, "unreachable")]
    gateway.perform(get(device, exchange=3))
    assert await notebook.outcome() == ("failed", 3, "unreachable")
    assert not gateway._tokens.outgoing_requests


async def test_the_end_of_a_connection_is_told_after_what_it_makes_fail(setup):
    gateway, notebook, device = setup
    async with await ScriptedStream.open(gateway.address) as stranger:
        await stranger.silent(0.01)
    await device.send(Code.POST, "/rd", "ep=x")
    gateway.perform(get(device))
    await device.expect(Code.GET, "/3")
    device.close()
    assert await notebook.outcome() == ("failed", 1, "unreachable")
    assert notebook.gone == [peer_of(device)]


async def test_a_reset_of_the_connection_is_no_more_than_its_end(setup):
    gateway, notebook, device = setup
    gateway.perform(get(device))
    await device.expect(Code.GET, "/3")
    raw = device._writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    device.close()
    assert await notebook.outcome() == ("failed", 1, "unreachable")


# --- observations ----------------------------------------------------------------------------------


async def test_a_relation_uses_the_token_of_the_engine(setup):
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    question = await device.expect(Code.GET, "/3")
    assert question.token == TOKEN
    assert number(question.options, OBSERVE) == 0
    device.reply(question, Code.CONTENT, 0, b"first", observe=0)
    kind, exchange, reply = await notebook.outcome()
    assert (kind, exchange, reply.payload) == ("answered", 1, b"first")
    assert reply.observe is not None


async def test_notifications_are_in_order_whatever_their_numbers_are(setup):
    """Anjay sends an empty Observe option in each (RFC 8323, 7.1)."""
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    device.reply(await device.expect(Code.GET, "/3"), Code.CONTENT, 0, b"0", observe=0)
    _, _, first = await notebook.outcome()
    notebook.tokens[TOKEN] = None
    for payload in (b"1", b"2", b"3"):
        device.notify(TOKEN, 0, 0, payload)
    await until(lambda: len(notebook.notifications) == 3)
    tokens, replies, peers = zip(*notebook.notifications, strict=True)
    assert set(tokens) == {TOKEN}
    assert set(peers) == {peer_of(device)}
    assert [reply.payload for reply in replies] == [b"1", b"2", b"3"]
    numbers = [first.observe, *(reply.observe for reply in replies)]
    assert numbers == sorted(set(numbers))


async def test_a_relation_is_cancelled_with_its_own_token(setup):
    gateway, notebook, device = setup
    notebook.tokens[TOKEN] = None
    gateway.perform(observe(device, observe=1))
    question = await device.expect(Code.GET, "/3")
    assert (question.token, number(question.options, OBSERVE)) == (TOKEN, 1)
    device.notify(TOKEN, 0, 0, b"meanwhile")
    device.reply(question, Code.CONTENT, 0, b"last")
    assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"last", 0))
    assert [reply.payload for _, reply, _ in notebook.notifications] == [b"meanwhile"]


async def test_a_large_notification_is_fetched(setup):
    _, notebook, device = setup
    notebook.tokens[TOKEN] = CoapRequest(Code.GET, ("5",), accept=112, observe=0)
    body = os.urandom(1500)
    device.notify(TOKEN, 0, 112, body[:1024], options=[(BLOCK2, Block(0, True, 6).pack())])
    question = await device.expect(Code.GET, "/5")
    assert number(question.options, BLOCK2) == 1 << 4 | 6
    assert number(question.options, OBSERVE) is None
    device.reply(question, Code.CONTENT, 112, body[1024:], options=[(BLOCK2, Block(1, False, 6).pack())])
    await until(lambda: notebook.notifications)
    assert notebook.notifications[0][1].payload == body


async def test_an_error_ends_a_relation_as_a_notification(setup):
    _, notebook, device = setup
    notebook.tokens[TOKEN] = None
    device.notify(TOKEN, None, code=Code.NOT_FOUND)
    await until(lambda: notebook.notifications)
    assert notebook.notifications[0][:2] == (TOKEN, CoapReply(Code.NOT_FOUND))


async def test_a_notification_that_cannot_be_stored_ends_the_connection(setup):
    """It would be lost otherwise: TCP has delivered it, and nothing will repeat it."""
    _, notebook, device = setup
    notebook.tokens[TOKEN], notebook.broken = None, True
    device.notify(TOKEN, 0, 0, b"from a stranger so far")
    notebook.broken = False
    await device.send(Code.POST, "/rd/1")
    notebook.broken = True
    device.notify(TOKEN, 0, 0, b"1")
    assert [message.code for message in await device.closed()] == [frames.ABORT]


async def test_what_nobody_asked_for_is_ignored(setup):
    _, notebook, device = setup
    device.notify(b"unknown", 0, 0, b"?")
    device.notify(TOKEN, 0, options=[(9, b"critical")])
    assert (await device.send(Code.POST, "/rd/1")).code == Code.CHANGED
    assert not notebook.notifications


async def test_an_observe_without_answer_times_out(setup):
    gateway, notebook, device = setup
    gateway.perform(observe(device))
    await device.expect(Code.GET, "/3")
    assert await notebook.outcome() == ("failed", 1, "timeout")
    device.notify(TOKEN, 0, 0, b"late")
    assert (await device.send(Code.POST, "/rd/1")).code == Code.CHANGED
    assert not notebook.notifications


# --- limits ----------------------------------------------------------------------------------------


async def refused(gateway: TcpGateway) -> str:
    async with await ScriptedStream.open(gateway.address) as one:
        *_, abort = await one.closed()
        assert abort.code == frames.ABORT
        return abort.payload.decode()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(connections=2), "too many connections"),
        (Limits(per_address=2), "too many connections from this address"),
    ],
)
async def test_too_many_connections_are_refused_until_one_ends(limits, reason):
    async with running(limits=limits) as (gateway, notebook):
        first, second = [await ScriptedStream.open(gateway.address) for _ in range(2)]
        with capture_logs() as lines:
            assert await refused(gateway) == reason
        assert (reason, "error") in [(line["event"], line["log_level"]) for line in lines]
        first.close()
        await until(lambda: gateway._connections.find(peer_of(first)) is None)
        async with await ScriptedStream.open(gateway.address) as third:
            assert (await third.send(Code.POST, "/rd/1")).code == Code.CHANGED
        assert (await second.send(Code.POST, "/rd/1")).code == Code.CHANGED
        second.close()
    assert len(notebook.requests) == 2


async def test_too_large_a_message_is_refused_when_its_length_is_known():
    async with (
        running(limits=Limits(message_size=1000)) as (gateway, notebook),
        await ScriptedStream.open(gateway.address) as one,
    ):
        one.raw(frames.encode(Code.POST, b"", (), bytes(1000))[:10])
        (abort,) = await one.closed()
        assert b"1000 is the limit" in abort.payload
    assert not notebook.requests


@pytest.mark.parametrize("sent", [b"", ANJAY_CSM[:3]])
async def test_a_connection_without_csm_ends(sent):
    """Slow loris: however few bytes keep coming."""
    async with (
        running(limits=Limits(hello=0.1)) as (gateway, _),
        await ScriptedStream.open(gateway.address, csm=sent) as one,
    ):
        *_, abort = await one.closed(1)
        assert abort.payload == b"no CSM in time"


async def test_a_message_that_does_not_end_ends_the_connection():
    async with (
        running(limits=Limits(patience=0.2)) as (gateway, _),
        await ScriptedStream.open(gateway.address) as one,
    ):
        one.request(Code.POST, "/rd/1")
        await one.receive()
        for byte in frames.encode(Code.POST, b"", (), bytes(1000))[:10]:
            one.raw(bytes((byte,)))
            await asyncio.sleep(0.01)
        (abort,) = await one.closed(1)
        assert b"in time" in abort.payload


async def test_a_silent_device_is_asked_and_then_given_up():
    async with (
        running(limits=Limits(idle=0.1, patience=0.2)) as (gateway, notebook),
        await ScriptedStream.open(gateway.address) as one,
    ):
        for _ in range(2):
            ping = await one.receive(1)
            assert ping.code == frames.PING
            one.emit(frames.PONG, ping.token)
        assert [message.code for message in await one.closed(1)] == [frames.PING]
        gateway.perform(get(one))
        assert await notebook.outcome() == ("failed", 1, "unreachable")


async def test_a_device_that_does_not_take_its_answers_is_not_read_and_then_dropped():
    async with running(limits=Limits(patience=0.3)) as (gateway, notebook):
        notebook.reply = lambda request: CoapReply(Code.CONTENT, bytes(100_000))
        async with await ScriptedStream.open(gateway.address) as one:
            one._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # The stream reader takes 128 KB unasked; what comes after that stays in the server.
            one._writer.transport.pause_reading()
            for _ in range(500):
                one.request(Code.POST, "/dp")
            await until(lambda: gateway._connections.find(peer_of(one)) is None)
        assert len(notebook.requests) < 200


# --- the end ---------------------------------------------------------------------------------------


async def test_closing_releases_and_answers_what_is_being_worked_on():
    notebook = Notebook(waiting=[])
    gateway = await TcpGateway.start(notebook, "127.0.0.1", 0, timing=FAST)
    async with await ScriptedStream.open(gateway.address) as device:
        token = device.request(Code.POST, "/rd/1")
        gateway.perform(get(device, exchange=1))
        gateway.perform(observe(device, exchange=2))
        await device.receive()
        await device.receive()
        await until(lambda: notebook.requests)
        closing = asyncio.create_task(gateway.close())
        assert (await device.receive()).code == frames.RELEASE
        notebook.commit()
        await closing
        assert [message.token for message in await device.closed()] == [token]
    assert notebook.outcomes.empty()


async def test_addresses_that_cannot_be_bound(setup):
    gateway, notebook, _ = setup
    host, port = gateway.address
    with pytest.raises(OSError, match=rf"coap\+tcp://{host}:{port}: the address is already in use") as error:
        await TcpGateway.start(notebook, host, port)
    assert error.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match=r"no-such-host\.invalid"):
        await TcpGateway.start(notebook, "no-such-host.invalid", 0)


async def test_ipv6():
    async with running("::1") as (gateway, notebook), await ScriptedStream.open(gateway.address) as one:
        assert (await one.send(Code.POST, "/rd/1")).code == Code.CHANGED
        assert notebook.peers == [Peer("::1", one.address[1], "coap+tcp")]
        gateway.perform(get(one))
        one.reply(await one.expect(Code.GET, "/3"), Code.CONTENT, options=[(CONTENT_FORMAT, b"")])
        assert await notebook.outcome() == ("answered", 1, CoapReply(Code.CONTENT, b"", 0))
