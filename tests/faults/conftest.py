"""A network between devices and a server that loses, doubles, reorders and delays datagrams."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Literal

import attrs
import pytest

from lwm2m_server.coap import wire
from lwm2m_server.coap.timing import Timing

Direction = Literal["up", "down"]

SEED = 7252
ACK_TIMEOUT = 0.05
"""Seconds: a fortieth of what it is in the field, and so is every other time in these tests."""
PATIENT = Timing(ack_timeout=ACK_TIMEOUT, max_retransmit=8, response_timeout=20.0)
"""Repeats often enough that not even one exchange in ten thousand fails where a fifth is lost both ways."""
PATIENT_SERVER = {
    "LWM2M_TRANSMISSION_ACK_TIMEOUT": str(PATIENT.ack_timeout),
    "LWM2M_TRANSMISSION_MAX_RETRANSMIT": str(PATIENT.max_retransmit),
    "LWM2M_TRANSMISSION_RESPONSE_TIMEOUT": str(PATIENT.response_timeout),
}


@attrs.frozen
class Weather:
    """What happens to datagrams, in either direction. Chances from 0 to 1, times in seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    """Chance to be overtaken by what is sent within the next ``hold``."""
    delay: float = 0.0
    hold: float = 0.08

    def fate(self, rng: random.Random) -> list[float]:
        """After how many seconds each copy arrives."""
        if rng.random() < self.loss:
            return []
        copies = 2 if rng.random() < self.duplication else 1
        return [
            self.delay + (rng.uniform(0, self.hold) if rng.random() < self.reordering else 0.0)
            for _ in range(copies)
        ]


@attrs.frozen
class Datagram:
    """One that was sent, whatever became of it."""

    direction: Direction
    data: bytes

    @property
    def message(self) -> wire.Message:
        return wire.decode(self.data)


class Network:
    """Where devices find the server: ``address``. Each device has a port of its own towards it, as behind
    a NAT; ``rebind`` gives them new ones.

    ``weather`` may change at any time; ``filter`` sees each datagram before and may drop it by
    returning False. ``sent`` lists every datagram.
    """

    def __init__(self, server: tuple[str, int], weather: Weather, seed: int) -> None:
        self.server, self.weather = server, weather
        self.filter: Callable[[Datagram], bool] = lambda datagram: True
        self.sent: list[Datagram] = []
        self._rng = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._outside: dict[Any, asyncio.DatagramTransport] = {}
        self._closed = False

    async def open(self) -> None:
        made = await self._loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_device), local_addr=("127.0.0.1", 0)
        )
        self._inside: asyncio.DatagramTransport = made[0]
        self.coap: tuple[str, int] = self._inside.get_extra_info("sockname")

    async def rebind(self) -> None:
        """The NAT forgets: from now on devices come from other ports, and nothing reaches the old ones."""
        for device in list(self._outside):
            self._outside.pop(device).close()
            await self._enter(device)

    def close(self) -> None:
        self._closed = True
        self._inside.close()
        for transport in self._outside.values():
            transport.close()

    # --- what passes ---

    def _from_device(self, data: bytes, device: Any) -> None:
        if device in self._outside:
            self._up(data, device)
        else:
            self._outside[device] = None  # type: ignore[assignment]
            self._loop.create_task(self._first(data, device))

    async def _first(self, data: bytes, device: Any) -> None:
        await self._enter(device)
        self._up(data, device)

    async def _enter(self, device: Any) -> None:
        def from_server(data: bytes, _: Any) -> None:
            self._carry(Datagram("down", data), lambda: self._inside.sendto(data, device))

        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Receiver(from_server), remote_addr=self.server
        )
        self._outside[device] = transport

    def _up(self, data: bytes, device: Any) -> None:
        def arrive() -> None:
            outside = self._outside[device]
            if outside is not None and not outside.is_closing():
                outside.sendto(data)

        self._carry(Datagram("up", data), arrive)

    def _carry(self, datagram: Datagram, arrive: Callable[[], None]) -> None:
        self.sent.append(datagram)
        if not self.filter(datagram):
            return
        for delay in self.weather.fate(self._rng):
            self._loop.call_later(delay, self._arrive, arrive)

    def _arrive(self, arrive: Callable[[], None]) -> None:
        if not self._closed:
            arrive()

    # --- what passed ---

    def requests(self, direction: Direction) -> list[wire.Message]:
        """Each request once, however often it was repeated."""
        seen: dict[tuple[int, bytes], wire.Message] = {}
        for datagram in self.sent:
            message = datagram.message
            if datagram.direction == direction and message.is_request:
                seen.setdefault((message.mid, message.token), message)
        return list(seen.values())


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Any], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """The server is not there: whoever waits for it repeats."""


@pytest.fixture
async def network() -> Any:
    """Make a network in front of a server; ``device`` fixtures take it for the server."""
    made: list[Network] = []

    async def start(server: Any, weather: Weather = Weather(), *, seed: int = SEED) -> Network:
        one = Network(server.coap, weather, seed)
        made.append(one)
        await one.open()
        return one

    yield start
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def weather() -> type[Weather]:
    return Weather


@pytest.fixture(scope="session")
def patient() -> Timing:
    return PATIENT


@pytest.fixture(scope="session")
def patient_server() -> dict[str, str]:
    return PATIENT_SERVER
