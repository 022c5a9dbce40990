"""Requests to devices, without a network: what they cost, and what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from counting import calls
from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_server.coap import wire
from lwm2m_server.coap.channel import Channel
from lwm2m_server.coap.options import CONTENT_FORMAT, reply_options
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.timing import Timing

READ = CoapRequest(Code.GET, ("3", "0", "9"), accept=110)
REPLY = CoapReply(Code.CONTENT, b"[]", 110)
REFUSED = "unreachable"
MANY = 10_000


class Network:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[wire.Message, Source]] = []

    def send(self, data: bytes, to: Source) -> None:
        self.sent.append((wire.decode(data), to))

    def close(self) -> None:
        """There is nothing to close."""


class Asker:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def answered(self, exchange: int, reply: CoapReply) -> None:
        self.heard.append((exchange, reply))

    def acknowledged(self, exchange: int) -> None:
        self.heard.append((exchange,))

    def failed(self, exchange: int, reason: str) -> None:
        self.heard.append((exchange, reason))


class Bench:
    """A channel between the two."""

    def __init__(self) -> None:
        self.network, self.asker = Network(), Asker()
        self.given_up: list[tuple[SocketAddress, str]] = []
        self.channel = Channel(
            self.network,  # type: ignore[arg-type]
            Timing(),
            lambda address, reason: self.given_up.append((address, reason)),
        )

    def ask(self, exchange: int) -> None:
        self.channel.ask(exchange, READ, source(exchange), self.asker)

    def answer(self) -> None:
        """To what was asked last."""
        asked, where = self.network.sent[-1]
        options = reply_options(REPLY)
        answer = wire.Message(wire.ACK, REPLY.code, asked.mid, asked.token, options, REPLY.payload)
        assert self.channel.expects(answer.token, where)
        self.channel.receive(answer, where)

    def read(self, exchange: int) -> None:
        self.ask(exchange)
        self.answer()


def source(number: int) -> Source:
    return Source((f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5683))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.channel.close()


async def test_each_step_costs_the_same_beside_ten_thousand_unanswered_requests(bench: Bench) -> None:
    def refuse(exchange: int) -> None:
        bench.channel.unreachable(OSError(111, "refused"), source(exchange).address)

    def costs(first: int) -> dict[str, int]:
        bench.ask(first + 1)
        bench.ask(first + 2)
        return {
            "read": calls(lambda: bench.read(first)),
            "refused": calls(lambda: refuse(first + 1)),
            "aborted": calls(lambda: bench.channel.abort(first + 2)),
        }

    costs(1)
    alone = costs(11)
    for exchange in range(100, 100 + MANY):
        bench.ask(exchange)
    crowded = costs(50_000)
    # A table may grow, or a random Message ID be taken, in one and not in the other: some calls.
    assert all(crowded[step] <= alone[step] * 1.2 for step in alone), (alone, crowded)
    assert bench.asker.heard == [
        outcome for first in (1, 11, 50_000) for outcome in ((first, REPLY), (first + 1, REFUSED))
    ]
    assert bench.given_up[0] == (source(2).address, REFUSED)


async def test_a_read_takes_no_task(bench: Bench) -> None:
    tasks = asyncio.all_tasks()
    bench.ask(1)
    assert asyncio.all_tasks() == tasks
    bench.answer()


async def test_each_peer_has_message_ids_of_its_own(bench: Bench) -> None:
    for _ in range(3):
        for exchange in range(50):
            bench.read(exchange)
    mids: dict[Source, list[int]] = {}
    for message, where in bench.network.sent:
        mids.setdefault(where, []).append(message.mid)
    assert all((second - first) % 65536 == 1 for first, second, _ in mids.values())
    assert len({first for first, _, _ in mids.values()}) > 25, "from a random number on"


async def test_unknown_and_too_long_options_of_an_answer_are_passed_over(bench: Bench) -> None:
    bench.ask(1)
    asked, where = bench.network.sent[-1]
    options = ((CONTENT_FORMAT, b"12345"), (20, b"\xff\xfe"), (65000, bytes(1000)))
    bench.channel.receive(wire.Message(wire.ACK, Code.CONTENT, asked.mid, asked.token, options), where)
    assert bench.asker.heard == [(1, CoapReply(Code.CONTENT))]
