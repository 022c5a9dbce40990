"""Confirmable messages under way, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest

from lwm2m_server.coap.exchanges import Exchanges
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.wheel import Wheel

HERE, THERE = Source(("192.0.2.1", 5683)), Source(("192.0.2.2", 5683))
TIMING = Timing(ack_timeout=1.0, ack_random_factor=1.0, max_retransmit=2)


class Network:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, SocketAddress]] = []

    def send(self, data: bytes, to: Source) -> None:
        self.sent.append((data, to.address))


class Loop(asyncio.SelectorEventLoop):
    """Time passes when a test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1 / 16)
            self.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def given_up() -> list[SocketAddress]:
    return []


@pytest.fixture
def exchanges(loop: Loop, network: Network, given_up: list[SocketAddress]) -> Exchanges:
    return Exchanges(network, Wheel(loop), TIMING, given_up.append)  # type: ignore[arg-type]


def test_a_message_is_repeated_at_doubled_intervals_and_then_given_up(
    loop: Loop, network: Network, exchanges: Exchanges, given_up: list[SocketAddress]
) -> None:
    exchanges.send(b"a", HERE, 1)
    for seconds, sent in ((0.9, 1), (0.2, 2), (1.8, 2), (0.3, 3), (3.7, 3)):
        loop.advance(seconds)
        assert len(network.sent) == sent
    assert not given_up
    loop.advance(0.3)
    assert given_up == [HERE.address]
    loop.advance(60)
    assert len(network.sent) == 3


def test_one_message_at_a_time_to_each_peer(network: Network, exchanges: Exchanges) -> None:
    for mid, data in enumerate((b"a", b"b", b"c")):
        exchanges.send(data, HERE, mid)
    exchanges.send(b"d", THERE, 7)
    assert [data for data, _ in network.sent] == [b"a", b"d"]
    assert exchanges.settle(HERE.address, 5) is None, "about something else"
    assert exchanges.settle(HERE.address, 0) is not None
    assert exchanges.settle(HERE.address, 0) is None, "it is over"
    assert [data for data, _ in network.sent] == [b"a", b"d", b"b"]


def test_a_withdrawn_message_makes_room_whether_it_was_sent_or_not(
    loop: Loop, network: Network, exchanges: Exchanges
) -> None:
    first, second, _ = (exchanges.send(data, HERE, mid) for mid, data in enumerate((b"a", b"b", b"c")))
    exchanges.withdraw(second)
    exchanges.withdraw(first)
    exchanges.withdraw(first)
    assert [data for data, _ in network.sent] == [b"a", b"c"]
    loop.advance(1.1)
    assert [data for data, _ in network.sent] == [b"a", b"c", b"c"]


def test_a_peer_given_up_is_not_sent_what_its_owner_withdraws_then(
    loop: Loop, network: Network, given_up: list[SocketAddress]
) -> None:
    """What nobody withdraws is sent afterwards."""
    exchanges = Exchanges(network, Wheel(loop), TIMING, lambda address: exchanges.withdraw(second))  # type: ignore[arg-type]
    exchanges.send(b"a", HERE, 1)
    second = exchanges.send(b"b", HERE, 2)
    exchanges.send(b"c", HERE, 3)
    loop.advance(7.5)
    assert [data for data, _ in network.sent] == [b"a", b"a", b"a", b"c"]


def test_only_the_message_under_way_has_its_message_id_in_use(exchanges: Exchanges) -> None:
    exchanges.send(b"a", HERE, 9)
    assert exchanges.uses(HERE.address, 9)
    assert not exchanges.uses(THERE.address, 9)
    exchanges.settle(HERE.address, 9)
    assert not exchanges.uses(HERE.address, 9)


def test_nothing_is_kept_of_what_is_over(exchanges: Exchanges) -> None:
    for number in range(100):
        sent = [exchanges.send(b"a", Source(("192.0.2.3", number)), mid) for mid in range(3)]
        exchanges.settle(("192.0.2.3", number), 0)
        list(map(partial(Exchanges.withdraw, exchanges), sent))
    assert len(exchanges) == 0
