"""The UDP socket against peers that are gone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

import pytest

from lwm2m_server.coap.batches import Batches
from lwm2m_server.coap.shedding import CROWD, Shedder
from lwm2m_server.coap.sockets import Source, UdpSocket, bind


@pytest.mark.parametrize("pairs", [1, 20, 32, 40, 100])
def test_answers_to_peers_that_are_gone_do_not_deafen_it(pairs: int) -> None:
    """Under uvloop, which stops reading at an error whose notice one of many sent datagrams used up."""
    uvloop = pytest.importorskip("uvloop")

    async def scene() -> list[bytes]:
        bound = await bind("127.0.0.1", 0)
        heard: list[bytes] = []

        def received(data: bytes, source: object) -> None:
            heard.append(data)
            udp.send(data, source)

        udp = UdpSocket(
            bound, received, lambda error, address: None, Shedder(lambda: None, lambda: 0, floor=1.0)
        )
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as there:
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as gone:
                for _ in range(pairs):
                    gone.sendto(b"gone", udp.address)
                    there.sendto(b"there", udp.address)
            await asyncio.sleep(0.1)
            there.sendto(b"late", udp.address)
            await asyncio.sleep(0.1)
        udp.close()
        return heard

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        heard = runner.run(scene())
    assert heard == [b"gone", b"there"] * pairs + [b"late"]


@pytest.mark.skipif(not Batches.available(), reason="datagrams are shed where they come in batches")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_device_behind_the_address_of_a_flood_has_a_share_of_its_own(host: str) -> None:
    bound = await bind(host, 0)
    heard: list[bytes] = []

    def received(data: bytes, source: Source) -> None:
        heard.append(data)

    with (
        closing(socket.socket(bound.family, socket.SOCK_DGRAM)) as device,
        closing(socket.socket(bound.family, socket.SOCK_DGRAM)) as stranger,
    ):
        device.bind((host, 0))
        port = device.getsockname()[1]
        waiting = 0
        shedder = Shedder(lambda: None, lambda: waiting, floor=0.1)
        udp = UdpSocket(
            bound, received, lambda error, address: None, shedder, is_device=lambda peer: peer.port == port
        )
        for one in (device, stranger):
            one.sendto(b"hello", udp.address)
        await asyncio.sleep(0.05)
        waiting = 2 * CROWD
        begun = asyncio.get_running_loop().time() - 1
        for step in range(20):
            shedder.turn(begun + step / 20)
        assert shedder.share == 0.1
        for _ in range(50):
            stranger.sendto(b"flood", udp.address)
        device.sendto(b"update", udp.address)
        device.sendto(b"update", udp.address)
        await asyncio.sleep(0.05)
        udp.close()
    assert heard == [b"hello", b"hello", b"flood", b"update"]
    assert shedder.shed == 50
