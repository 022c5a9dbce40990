"""Messages both ways over real UDP through the gateway alone: what CoAP costs.

A closed loop of blocking sockets, one request of each device in flight; for ``test_read`` it is the
gateway that asks, alone and beside 10,000 requests that nobody answers. What counts is the CPU time of
the gateway's process per message (``cpu_us`` in the extra info, for ``--benchmark-json``); wall time shares
the machine with the load. The whole server is measured by ``serverload.py``.
"""

import asyncio
import gc
import multiprocessing
import os
import socket
import time
from pathlib import Path

import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap import wire
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.options import LOCATION_PATH, reply_options, request_options
from lwm2m_server.coap.timing import Timing

DEVICES = 64
ROUNDS = 40
LINKS = b"</1/0>,</5/0>,</3303/0>,</3304/0>"
TEMPERATURE = bytes.fromhex("e8164408" + "4035800000000000")
READ = CoapRequest(Code.GET, ("3303", "0", "5700"), accept=11542)
TICK = os.sysconf("SC_CLK_TCK")


class Device:
    """A socket that counts its Message IDs."""

    def __init__(self, server, number):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(server)
        self.socket.settimeout(10)
        self.endpoint, self.mid = f"load{number:03d}", 0
        self.location, self.token, self.sequence = ("rd", "none"), b"known", 0

    def send(self, code, options, payload=b"", token=b"\x01"):
        self.mid += 1
        message = wire.Message(wire.CON, code, self.mid, token, options, payload)
        self.socket.send(wire.encode(message))

    def receive(self):
        return wire.decode(self.socket.recv(2048))

    def register(self):
        query = (f"ep={self.endpoint}", "lt=300", "lwm2m=1.0", "b=U")
        self.send(
            Code.POST, request_options(CoapRequest(Code.POST, ("rd",), query, content_format=40)), LINKS
        )

    def update(self):
        self.send(Code.POST, request_options(CoapRequest(Code.POST, self.location)))

    def notify(self):
        self.sequence += 1
        options = reply_options(CoapReply(Code.CONTENT, b"", 11542, (), self.sequence))
        self.send(Code.CONTENT, options, TEMPERATURE, self.token)

    def answer(self):
        """Any request is a Read to it."""
        question = self.receive()
        options = reply_options(CoapReply(Code.CONTENT, b"", 11542))
        message = wire.Message(wire.ACK, Code.CONTENT, question.mid, question.token, options, TEMPERATURE)
        self.socket.send(wire.encode(message))

    def settle(self):
        answer = self.receive()
        path = tuple(value.decode() for option, value in answer.options if option == LOCATION_PATH)
        self.location = path or self.location
        return answer


@pytest.fixture
def fleet():
    devices = []

    def connect(server):
        devices.extend(Device(server, number) for number in range(DEVICES))
        return devices

    yield connect
    for device in devices:
        device.socket.close()


def cpu_of(process_id):
    """Seconds of CPU time, all threads."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure(benchmark, devices, speak, process_id):
    def once():
        for device in devices:
            speak(device)
        for device in devices:
            device.settle()

    once()
    before = cpu_of(process_id)
    benchmark.pedantic(once, rounds=ROUNDS, iterations=1)
    used = cpu_of(process_id) - before
    benchmark.extra_info["cpu_us"] = round(used / (ROUNDS * DEVICES) * 1e6)


class Nothing:
    """The least an uplink can do."""

    def receive(self, request, peer, answer):
        if request.path == ("rd",):
            answer(CoapReply(Code.CREATED, location=("rd", "abcdef012345")))
        else:
            answer(CoapReply(Code.CHANGED))

    def is_device(self, peer):
        return False

    def knows(self, token):
        return token == b"known"

    def notified(self, token, reply, peer, settled):
        settled(True)


def _serve(pipe):
    async def main():
        gateway = await Gateway.start(Nothing(), "127.0.0.1", 0)
        pipe.send(gateway.address)
        await asyncio.to_thread(pipe.recv)
        await gateway.close()

    asyncio.run(main())


@pytest.fixture
def gateway():
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    yield ours.recv(), process.pid
    ours.send(None)
    process.join()


@pytest.mark.parametrize("speak", [Device.register, Device.update, Device.notify])
def test_gateway(benchmark, gateway, fleet, speak):
    address, process_id = gateway
    measure(benchmark, fleet(address), speak, process_id)


class Reader:
    """An uplink that reads from each peer again as soon as it has answered, until enough was read."""

    def __init__(self, peers, reads):
        self.peers, self.left, self.missing = peers, reads, reads
        self.done, self.gateway = asyncio.Event(), None

    def read(self, exchange):
        self.left -= 1
        peer = self.peers[exchange % len(self.peers)]
        self.gateway.perform(Perform("x", exchange, peer, READ))

    def answered(self, exchange, reply, settled=None):
        self.missing -= 1
        if self.left:
            self.read(exchange + len(self.peers))
        elif not self.missing:
            self.done.set()

    def is_device(self, peer):
        return False

    def knows(self, token):
        return False


def _read(pipe):
    """Reads of the devices it is told, then says how much CPU time each took."""

    async def main():
        # Nothing is repeated meanwhile: what is measured is having them, not repeating them.
        reader = Reader((), 0)
        gateway = reader.gateway = await Gateway.start(
            reader, "127.0.0.1", 0, timing=Timing(ack_timeout=60, response_timeout=120)
        )
        pipe.send(gateway.address)
        addresses, reads, unanswered = await asyncio.to_thread(pipe.recv)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("0.0.0.0", 0))
            for number in range(unanswered):
                peer = Peer(f"127.1.{number >> 8}.{number & 255}", silent.getsockname()[1])
                gateway.perform(Perform("x", -1 - number, peer, READ))
            await asyncio.sleep(0.1)
            reader.peers = [Peer(*address) for address in addresses]
            reader.left = reader.missing = reads
            gc.collect()
            gc.freeze()
            before = time.process_time()
            for exchange in range(len(addresses)):
                reader.read(exchange)
            await reader.done.wait()
            pipe.send((time.process_time() - before) / reads)
        await gateway.close()

    asyncio.run(main())


@pytest.mark.parametrize("unanswered", [0, 10_000])
def test_read(benchmark, fleet, unanswered):
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_read, args=(theirs,))
    process.start()
    devices = fleet(ours.recv())

    def once():
        ours.send(([device.socket.getsockname() for device in devices], ROUNDS * DEVICES, unanswered))
        for _ in range(ROUNDS):
            for device in devices:
                device.answer()

    benchmark.pedantic(once, rounds=1, iterations=1)
    benchmark.extra_info["cpu_us"] = round(ours.recv() * 1e6)
    process.join()
