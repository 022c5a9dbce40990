"""What a received message is answered with, now and when it arrives again."""

from __future__ import annotations

from lwm2m_server.coap import wire
from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.recent import Recent
from lwm2m_server.coap.sockets import Source


class Replies:
    """Sends the datagrams that carry a received message's Message ID, and keeps them for duplicates."""

    def __init__(self, udp: Datagrams, recent: Recent) -> None:
        self._udp = udp
        self._recent = recent

    def is_duplicate(self, message: wire.Message, data: bytes, source: Source) -> bool:
        """True for a repeated message (``data``: its datagram); it has then been answered as before.

        While the first copy is still being worked on there is nothing to say: the peer will ask again.
        """
        if self._recent.is_new(source.address, message.mid, hash(data)):
            return False
        datagram = self._recent.answer(source.address, message.mid)
        if datagram is not None and message.type == wire.CON:
            self._udp.send(datagram, source)
        return True

    def send(self, datagram: bytes, message: wire.Message, source: Source) -> None:
        self._recent.answered(source.address, message.mid, datagram)
        self._udp.send(datagram, source)

    def acknowledge(self, message: wire.Message, source: Source) -> None:
        """An empty Acknowledgement, if the message asks for one."""
        if message.type == wire.CON:
            self.send(wire.acknowledgement(message.mid), message, source)

    def reset(self, message: wire.Message, source: Source) -> None:
        self.send(wire.reset(message.mid), message, source)

    def remember_acknowledged(self, message: wire.Message, source: Source) -> None:
        """aiocoap has acknowledged it."""
        self._recent.answered(source.address, message.mid, wire.acknowledgement(message.mid))

    def forget(self, message: wire.Message, source: Source) -> None:
        """It could not be dealt with: the next copy gets another chance."""
        self._recent.forget(source.address, message.mid)
