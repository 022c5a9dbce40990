"""Register, Update and notifications over real UDP through the gateway alone: what CoAP costs.

A closed loop of blocking sockets, one request of each device in flight. What counts is the CPU time of
the gateway's process per message (``cpu_us`` in the extra info, for ``--benchmark-json``); wall time shares
the machine with the load. The whole server is measured by ``serverload.py``.
"""

import asyncio
import multiprocessing
import os
import socket
from pathlib import Path

import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_server.coap import wire
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.options import LOCATION_PATH, reply_options, request_options

DEVICES = 64
ROUNDS = 40
LINKS = b"</1/0>,</5/0>,</3303/0>,</3304/0>"
TEMPERATURE = bytes.fromhex("e8164408" + "4035800000000000")
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
