"""What real clients were seen to do, as datagrams: a gateway and an engine with nothing between them.

The facts have the numbers of ``test_real_clients``, where those are that need no socket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from lwm2m_engine import Catalog, Engine, EngineSettings
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import Step
from lwm2m_engine.engine.events import Event, Failed, ObservationEnded, Observed, Received, Registered
from lwm2m_engine.engine.step import Abort
from lwm2m_engine.messages import parse
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.gateway import Gateway, Timing
from lwm2m_server.coap.options import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    LOCATION_PATH,
    OBSERVE,
    URI_PATH,
    number,
)
from lwm2m_server.coap.wire import ACK, CON, EMPTY, RST, Message
from lwm2m_server.simulator.scripted import ScriptedDevice

FAST = Timing(ack_timeout=0.5, ack_random_factor=1.0, max_retransmit=2, response_timeout=3.0)
LINKS = b"</1>;ver=1.1,</1/0>,</3/0>,</3442/0>"


class Direct:
    """The uplink of a gateway that keeps nothing: every step is done at once."""

    def __init__(self, catalog: Catalog, **settings: float) -> None:
        self.engine = Engine(catalog, settings=EngineSettings(**settings))
        self.events: list[Event] = []
        self.gateway: Gateway | None = None

    def take(self, step: Step) -> None:
        self.events += step.events
        assert self.gateway is not None
        for effect in step.effects:
            if isinstance(effect, Abort):
                self.gateway.abort(effect.exchange)
            else:
                self.gateway.perform(effect)

    def ask(self, text: str) -> None:
        self.take(self.engine.submit("dev1", parse(text, self.engine.models("dev1")), time.time()))

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        step = self.engine.receive(request, peer, time.time())
        assert step.reply is not None
        answer(step.reply)
        self.take(step)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        step = self.engine.notified(token, reply, peer, time.time())
        settled(step is not None)
        if step is not None:
            self.take(step)

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return self.engine.knows(token)

    def observed(self, token: bytes) -> CoapRequest | None:
        return self.engine.observed(token)

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        self.take(self.engine.answered(exchange, reply, time.time()))
        if settled is not None:
            settled(True)

    def acknowledged(self, exchange: int) -> None:
        self.take(self.engine.acknowledged(exchange, time.time()))

    def failed(self, exchange: int, reason: str) -> None:
        self.take(self.engine.failed(exchange, reason, time.time()))

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[Event], count: int = 1) -> list[Event]:
        """Wait until so many events of this kind were told."""
        async with asyncio.timeout(5):
            while len(found := self.told(kind)) < count:
                self.take(self.engine.tick(time.time()))
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
async def server(catalog: Catalog) -> AsyncIterator[Direct]:
    direct = Direct(catalog, composite_timeout=0.3)
    direct.gateway = await Gateway.start(direct, "127.0.0.1", 0, timing=FAST)
    try:
        yield direct
    finally:
        await direct.gateway.close()


@pytest.fixture
async def device(server: Direct) -> AsyncIterator[ScriptedDevice]:
    assert server.gateway is not None
    async with await ScriptedDevice.open(server.gateway.address) as opened:
        yield opened


async def register(device: ScriptedDevice, query: str = "lwm2m=1.1&ep=dev1&lt=300") -> str:
    answer = await device.send(Code.POST, "/rd", query, 40, LINKS)
    assert answer.code == Code.CREATED
    return location(answer)


def location(answer: Message) -> str:
    return "/" + "/".join(value.decode() for option, value in answer.options if option == LOCATION_PATH)


async def test_fact_4_an_update_with_links_and_no_content_format(server, device):
    place = await register(device)
    answer = await device.send(Code.POST, place, payload=b"</1/0>,</3/0>,</31024/10>")
    assert answer.code == Code.CHANGED
    assert 31024 in server.engine.registration("dev1").objects


async def test_fact_7_a_register_from_the_same_port_replaces(server, device):
    first = await register(device, "lwm2m=1.1&ep=dev1&lt=300&Q")
    second = await register(device, "lwm2m=1.1&ep=dev1&lt=300&Q")
    assert first != second
    assert (await device.send(Code.POST, first)).code == Code.NOT_FOUND
    assert (await device.send(Code.POST, second)).code == Code.CHANGED


async def test_fact_9_no_bootstrap_pack_here(device):
    answer = await device.send(Code.GET, "/bspack", "ep=dev1", options=[(ACCEPT, b"\x70")])
    assert answer.code == Code.NOT_FOUND


@pytest.mark.parametrize(
    ("text", "code", "repeated"),
    [("FETCH /3/0/0,/3/0/13", Code.FETCH, (ACCEPT, CONTENT_FORMAT)), ("GET /3", Code.GET, (ACCEPT,))],
)
async def test_fact_12_a_follow_up_repeats_its_options(server, device, text, code, repeated):
    await register(device)
    server.ask(text)
    payload = b'[{"n":"/3/0/0","vs":"a name that takes two blocks"}]'
    chunks = [payload[:32], payload[32:]]
    first = None
    for count, chunk in enumerate(chunks):
        asked = await device.receive()
        assert asked.code == code
        options = [(option, value) for option, value in asked.options if option in repeated]
        first = options if first is None else first
        assert options == first
        assert len(options) == len(repeated)
        block = Block(count, count == 0, 1).pack()
        device.reply(asked, Code.CONTENT, 110, chunk, options=[(BLOCK2, block)])
    (received,) = await server.until(Received)
    assert received.entries[0].value == "a name that takes two blocks"


@pytest.mark.parametrize("tokens", [(b"\1", b"\2", b"\3"), (b"\7", b"\7", b"\7")], ids=["Anjay", "Wakaama"])
async def test_fact_13_the_blocks_of_a_register_have_one_token_or_several(server, device, tokens):
    chunks = [LINKS[:16], LINKS[16:32], LINKS[32:]]
    query = "lwm2m=1.1&ep=dev1&lt=300"
    for count, (chunk, token) in enumerate(zip(chunks, tokens, strict=True)):
        more = count < len(chunks) - 1
        option = (BLOCK1, Block(count, more, 0).pack())
        answer = await device.send(Code.POST, "/rd", query, 40, chunk, token=token, options=[option])
        assert answer.token == token
        assert answer.code == (Code.CONTINUE if more else Code.CREATED)
    assert len(server.told(Registered)) == 1
    assert sorted(server.engine.registration("dev1").objects) == [1, 3, 3442]


async def test_fact_14_a_send_may_have_an_empty_token(server, device):
    await register(device)
    answer = await device.send(Code.POST, "/dp", "", 110, b'[{"n":"/3/0/9","v":5}]', token=b"")
    assert (answer.code, answer.token) == (Code.CHANGED, b"")
    assert server.told(Received)[0].kind == "send"


async def test_fact_15_a_composite_that_is_acknowledged_and_never_answered(server, device):
    await register(device)
    server.ask("FETCH /3/0/0,/3/0/9")
    server.ask("GET /3/0/9")
    device.acknowledge(await device.expect(Code.FETCH, "/"))
    asked = await until_asked(device, server)
    device.reply(asked, Code.CONTENT, 0, b"72")
    assert (await server.until(Failed))[0].reason == "timeout"
    (received,) = await server.until(Received)
    assert received.entries[0].value == 72


async def until_asked(device: ScriptedDevice, server: Direct) -> Message:
    """The next request; meanwhile the clock of the engine goes on."""
    waiting = asyncio.ensure_future(device.expect(Code.GET, "/3/0/9"))
    while not waiting.done():
        server.take(server.engine.tick(time.time()))
        await asyncio.sleep(0.02)
    return waiting.result()


async def test_fact_17_a_client_restarted_within_a_second_says_the_same(server, device):
    """The same Message ID and token again is the same Register: its answer names a live registration."""
    asked = device.request(Code.POST, "/rd", "lwm2m=1.1&ep=dev1&lt=300", 40, LINKS, mid=13450)
    device.emit(asked)
    first = await device.response(asked)
    device.emit(asked)
    again = await device.response(asked)
    assert location(first) == location(again)
    assert len(server.told(Registered)) == 1
    assert (await device.send(Code.POST, location(again))).code == Code.CHANGED


async def test_fact_17_another_port_is_another_client(server, device):
    asked = device.request(Code.POST, "/rd", "lwm2m=1.1&ep=dev1&lt=300", 40, LINKS, mid=13450)
    device.emit(asked)
    first = await device.response(asked)
    async with await ScriptedDevice.open(server.gateway.address) as other:
        other.emit(asked)
        assert location(await other.response(asked)) != location(first)
    assert len(server.told(Registered)) == 2


async def observing(server: Direct, device: ScriptedDevice) -> bytes:
    await register(device)
    server.ask("OBSERVE /3/0/9")
    asked = await device.expect(Code.GET, "/3/0/9")
    device.reply(asked, Code.CONTENT, 0, b"72", observe=0)
    await server.until(Observed)
    return asked.token


async def test_fact_23_the_first_answer_has_an_empty_observe_option(server, device):
    token = await observing(server, device)
    assert len(token) == 8
    for count in (1, 2):
        sent = device.notify(token, count, 0, b"71")
        answer = await device.receive()
        assert (answer.type, answer.code, answer.mid) == (ACK, EMPTY, sent.mid)
    assert len(server.told(Received)) == 3


async def test_fact_24_the_end_of_a_relation_is_acknowledged(server, device):
    token = await observing(server, device)
    sent = device.notify(token, None, code=Code.NOT_FOUND, type=CON)
    answer = await device.receive()
    assert (answer.type, answer.mid) == (ACK, sent.mid)
    assert server.told(ObservationEnded)[0].reason == "refused"
    sent = device.notify(token, 3, 0, b"70")
    answer = await device.receive()
    assert (answer.type, answer.mid) == (RST, sent.mid)


async def test_a_passive_cancel_is_a_reset_to_the_next_notification(server, device):
    token = await observing(server, device)
    server.ask("CANCEL /3/0/9?passive")
    sent = device.notify(token, 1, 0, b"71")
    answer = await device.receive()
    assert (answer.type, answer.mid) == (RST, sent.mid)


async def test_an_active_cancel_has_the_token_of_the_observe(server, device):
    token = await observing(server, device)
    server.ask("CANCEL /3/0/9")
    asked = await device.expect(Code.GET, "/3/0/9")
    assert (asked.token, number(asked.options, OBSERVE)) == (token, 1)
    device.reply(asked, Code.CONTENT, 0, b"72")
    await server.until(ObservationEnded)


async def test_what_was_observed_is_observed_again_after_a_register(server, device):
    token = await observing(server, device)
    await register(device)
    asked = await device.expect(Code.GET, "/3/0/9")
    assert number(asked.options, OBSERVE) == 0
    assert asked.token != token
    device.reply(asked, Code.CONTENT, 0, b"73", observe=0)
    await server.until(Observed, 2)
    old = device.notify(token, 9, 0, b"1")
    assert ((await device.receive()).type, old.token) == (RST, token)


async def test_fact_31_an_end_device_behind_a_gateway(server, device):
    await device.send(Code.POST, "/rd", "lwm2m=1.2&ep=dev1", 40, b"</1/0>,</25>;ver=2.0,</25/0>")
    server.ask("GET /dev0/3303/0")
    asked = await device.receive()
    assert [value for option, value in asked.options if option == URI_PATH] == [b"dev0", b"3303", b"0"]
    device.reply(asked, Code.CONTENT, 110, b'[{"bn":"/dev0/3303/0","n":"/5700","v":21.5}]')
    (received,) = await server.until(Received)
    assert (received.prefix, received.entries[0].value) == ("dev0", 21.5)
