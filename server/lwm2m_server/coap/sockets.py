"""One UDP socket for both directions, in batches; an answer comes from the address that was asked."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.batches import LARGEST_SENT, MOST, Batches
from lwm2m_server.coap.shedding import Shedder

SocketAddress: TypeAlias = tuple[Any, ...]

BURST = MOST
"""Datagrams read in one turn of the event loop."""
MAX_DATAGRAM = 65535
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel is asked for, so that a burst of devices waits instead of being lost."""
SOURCES = 200_000
"""Remembered where datagrams came from, before all are forgotten and learnt anew."""
MAPPED = "::ffff:"

# Linux constants the socket module of Python 3.11 does not name.
IP_PKTINFO, IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 8, 11, 25, 0x2000
LINUX = sys.platform == "linux"


class Source(NamedTuple):
    """Where a datagram came from, and (on a wildcard socket) which of our addresses it was sent to."""

    address: SocketAddress
    local: bytes | None = None
    name: bytes = b""
    """The address as the kernel has it; empty where datagrams are not sent in batches."""
    control: bytes = b""
    """``local`` as ancillary data, as the kernel has it."""
    peer: Peer = Peer("", 0)


def _nobody(peer: Peer) -> bool:
    return False


class UdpSocket:
    """A bound, non-blocking socket, read by the event loop until ``close``.

    ``received`` gets every datagram; ``failed`` every ICMP or send error that can be attributed to a
    destination. While more arrives than ``received`` can deal with, ``shedder`` says whose datagrams it
    gets; who is a device by ``is_device`` has a share of its own. Bound to ``[::]`` it takes IPv4 too, unless
    ``0.0.0.0`` is taken. ``listener`` is the name of this server's endpoint in the ``peer`` of each source.
    """

    def __init__(
        self,
        bound: socket.socket,
        received: Callable[[bytes, Source], None],
        failed: Callable[[OSError, SocketAddress], None],
        shedder: Shedder,
        *,
        listener: str = "coap",
        is_device: Callable[[Peer], bool] = _nobody,
    ) -> None:
        self._socket = bound
        self._received = received
        self._failed = failed
        self._shedder = shedder
        self._listener = listener
        self._is_device = is_device
        self._six = bound.family == socket.AF_INET6
        self._address = slice(8, 24) if self._six else slice(4, 8)
        host = bound.getsockname()[0]
        self._wildcard = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        self._loop = asyncio.get_running_loop()
        self._batches = Batches(bound.fileno()) if Batches.available() else None
        self._sources: dict[bytes, Source] = {}
        self._leaving: list[tuple[bytes, Source]] = []
        self._enable()
        self._reading = True
        self._loop.add_reader(bound.fileno(), self._readable)

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self._socket.getsockname()
        return host, port

    def _enable(self) -> None:
        level = socket.IPPROTO_IPV6 if self._six else socket.IPPROTO_IP
        if self._wildcard and self._six:
            self._socket.setsockopt(level, socket.IPV6_RECVPKTINFO, 1)
        elif self._wildcard and LINUX:
            self._socket.setsockopt(level, IP_PKTINFO, 1)
        if LINUX:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            if self._six:
                self._socket.setsockopt(level, IPV6_RECVERR, 1)

    # --- reading ---

    def _readable(self) -> None:
        if self._batches is None:
            self._read_singly()
            return
        try:
            arrived = self._batches.receive()
        except OSError:
            # Or woken for nothing: there may be errors whose notice an earlier call used up.
            self._read_errors()
            return
        if len(arrived) == BURST or self._shedder.is_wanted:
            arrived = self._shed(arrived)
        sources, received = self._sources, self._received
        for data, key in arrived:
            received(data, sources.get(key) or self._learn(key))

    def _shed(self, arrived: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Those datagrams that are within the share of their source: all, unless too many wait."""
        shedder, now = self._shedder, self._loop.time()
        shedder.turn(now)
        if not shedder.strained:
            return arrived
        admitted = [one for one in arrived if self._is_admitted(one[1], now)]
        shedder.shed += len(arrived) - len(admitted)
        return admitted

    def _is_admitted(self, key: bytes, now: float) -> bool:
        address = key[self._address]
        if self._shedder.admits(address, now):
            return True
        # Nothing is learnt of a stranger for this.
        source = self._sources.get(key)
        if source is None or not self._is_device(source.peer):
            return False
        return self._shedder.admits(key[2:4] + address, now)

    def _learn(self, key: bytes) -> Source:
        """The source that address and ancillary data, as the kernel has them, stand for."""
        port = int.from_bytes(key[2:4], "big")
        if self._six:
            name, ancillary = key[:28], key[28:]
            scope = int.from_bytes(name[24:], sys.byteorder)
            address: SocketAddress = (socket.inet_ntop(socket.AF_INET6, name[8:24]), port, 0, scope)
        else:
            name, ancillary = key[:16], key[16:]
            address = (socket.inet_ntop(socket.AF_INET, name[4:8]), port)
        local = self._local(_control_messages(ancillary))
        source = Source(address, local, name, self._control(local), self._peer(address))
        if len(self._sources) >= SOURCES:
            self._sources.clear()
        self._sources[key] = source
        return source

    def _read_singly(self) -> None:
        for count in range(BURST):
            try:
                data, source = self._receive()
            except (BlockingIOError, InterruptedError):
                if count == 0:
                    self._read_errors()
                return
            except OSError:
                self._read_errors()
                continue
            self._received(data, source)

    def _receive(self) -> tuple[bytes, Source]:
        if not self._wildcard:
            data, address = self._socket.recvfrom(MAX_DATAGRAM)
            return data, Source(address, peer=self._peer(address))
        data, ancillary, _, address = self._socket.recvmsg(MAX_DATAGRAM, 256)
        return data, Source(address, self._local(ancillary), peer=self._peer(address))

    def _local(self, ancillary: list[tuple[int, int, bytes]]) -> bytes | None:
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                return value
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                # struct in_pktinfo: interface, address to answer from, address in the header.
                return struct.pack("=I4s4s", 0, value[4:8], bytes(4))
        return None

    def _read_errors(self) -> None:
        """Empty the error queue (Linux; elsewhere ICMP errors of an unconnected socket are not told)."""
        self._listen_again()
        while LINUX:
            try:
                _, ancillary, _, address = self._socket.recvmsg(0, 512, MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, value in ancillary:
                if (level, kind) in (
                    (socket.IPPROTO_IP, IP_RECVERR),
                    (socket.IPPROTO_IPV6, IPV6_RECVERR),
                ):
                    self._report(struct.unpack_from("=I", value)[0], address)

    def _listen_again(self) -> None:
        # libuv stops watching a socket that reports an error, and uvloop does not tell.
        if self._reading:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _report(self, number: int, address: SocketAddress) -> None:
        # "Too big" is how the kernel learns a smaller path MTU: the retransmission will fit.
        if number != errno.EMSGSIZE:
            self._failed(OSError(number, errno.errorcode.get(number, "error")), address)

    # --- writing ---

    def send(self, data: bytes, to: Source) -> None:
        """Never blocks, never raises: what the network refuses is reported like an ICMP error.

        Datagrams leave together, at the end of this turn of the event loop.
        """
        if self._batches is None or not to.name or len(data) > LARGEST_SENT:
            self._send_alone(data, to)
            return
        self._leaving.append((data, to))
        if len(self._leaving) == 1:
            self._loop.call_soon(self._flush)
        elif len(self._leaving) == MOST:
            self._flush()

    def _flush(self) -> None:
        leaving, self._leaving = self._leaving, []
        while leaving and self._batches is not None:
            try:
                del leaving[: self._batches.send(leaving)]
                if leaving:
                    # It stopped at an error and kept it to itself: nobody else will hear of it.
                    self._read_errors()
            except (BlockingIOError, InterruptedError):
                # The send buffer is full. CoAP repeats what matters.
                return
            except OSError:
                # It may be an older error, about another destination.
                self._read_errors()
                self._send_alone(*leaving.pop(0))

    def _send_alone(self, data: bytes, to: Source) -> None:
        try:
            self._send(data, to)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The first error may be an older one, about another destination.
            self._read_errors()
            self._send_again(data, to)

    def _send_again(self, data: bytes, to: Source) -> None:
        try:
            self._send(data, to)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._loop.call_soon(self._failed, error, to.address)

    def _send(self, data: bytes, to: Source) -> None:
        if to.local is None:
            self._socket.sendto(data, to.address)
        elif self._six:
            ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, to.local)]
            self._socket.sendmsg([data], ancillary, 0, to.address)
        else:
            self._socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, to.local)], 0, to.address)

    def stop_reading(self) -> None:
        """Writing still works."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket.fileno())

    def close(self) -> None:
        self.stop_reading()
        self._flush()
        self._batches = None
        self._socket.close()

    # --- addresses ---

    def _peer(self, address: SocketAddress) -> Peer:
        """An IPv4 peer of an IPv6 socket has its IPv4 address; a link-local one its zone."""
        host: str = address[0]
        if self._six:
            host = host.removeprefix(MAPPED) if "." in host else host
            if address[3] and "%" not in host:
                host = f"{host}%{address[3]}"
        return Peer(host, address[1], self._listener)

    def source(self, peer: Peer) -> Source:
        """Where a peer is to be reached; raises ``OSError`` for an address this socket cannot reach."""
        if not self._six:
            packed = socket.inet_pton(socket.AF_INET, peer.host)
            name = struct.pack("=H", socket.AF_INET) + struct.pack(">H4s8x", peer.port, packed)
            return Source((peer.host, peer.port), name=name, peer=peer)
        host, _, zone = peer.host.partition("%")
        if ":" not in host:
            host = MAPPED + host
        packed = socket.inet_pton(socket.AF_INET6, host)
        scope = int(zone) if zone.isdigit() else 0
        name = struct.pack("=H", socket.AF_INET6) + struct.pack(">HI16s", peer.port, 0, packed)
        return Source((host, peer.port, 0, scope), name=name + struct.pack("=I", scope), peer=peer)

    def _control(self, local: bytes | None) -> bytes:
        """``struct cmsghdr`` with our address, so that an answer comes from where it was asked."""
        if local is None:
            return b""
        level, kind = (
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) if self._six else (socket.IPPROTO_IP, IP_PKTINFO)
        )
        message = struct.pack("=Qii", 16 + len(local), level, kind) + local
        return message + bytes(-len(message) % 8)


def _control_messages(ancillary: bytes) -> list[tuple[int, int, bytes]]:
    """As ``recvmsg`` gives them: level, type and value."""
    messages = []
    while len(ancillary) >= 16:
        length, level, kind = struct.unpack_from("=Qii", ancillary)
        if not 16 <= length <= len(ancillary):
            break
        messages.append((level, kind, ancillary[16:length]))
        ancillary = ancillary[length + -length % 8 :]
    return messages


async def bind(host: str, port: int) -> socket.socket:
    """A UDP socket on this address; raises ``OSError`` that names it, with the cause's ``errno``."""
    loop = asyncio.get_running_loop()
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on coap://{where}: {error.strerror}") from error
    family, _, _, _, address = found[0]
    try:
        return _bound(family, address)
    except OSError as error:
        reason = "the address is already in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(error.errno, f"cannot listen on coap://{where}: {reason}") from error


def _bound(family: int, address: SocketAddress, *, six_only: bool = False) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, six_only)
        made.bind(address)
    except OSError as error:
        made.close()
        # 0.0.0.0 may have its own listener; then this one is for IPv6 alone.
        if error.errno == errno.EADDRINUSE and address[0] == "::" and not six_only:
            return _bound(family, address, six_only=True)
        raise
    return made
