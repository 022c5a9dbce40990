"""The UDP socket against peers that are gone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

import pytest

from lwm2m_server.coap.shedding import Shedder
from lwm2m_server.coap.sockets import UdpSocket, bind


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
