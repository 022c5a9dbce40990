"""Random and mutilated bytes to the ports: the server says what RFC 7252 allows, lives, and does not grow."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys
from pathlib import Path

import httpx
import pytest

from lwm2m_server.coap import wire
from lwm2m_server.coap.wire import ACK, CON, NON, RST

GET, SEED = 1, 7252
DATAGRAMS = 6000
SAMPLES = [
    # Register, Update, De-register, Send, a block of a Register, a notification, a ping, an answer.
    bytes.fromhex(text)
    for text in (
        "44020001aabbccddb27264112839"
        "6c776d326d3d312e31" + "0665703d6f6e65" + "066c743d333030" + "ff3c2f312f303e2c3c2f332f303e",
        "42020002aabbb27264056162636465",
        "42040003aabbb27264056162636465",
        "42020004aabbb26470116eff81a3006 5332f302f390118481a".replace(" ", ""),
        "44020005aabbccddb272641128d10d0eff3c2f312f303e",
        "48450006010203040506070861 2a6110ff31".replace(" ", ""),
        "40000007",
        "6245000801024032ff31",
    )
]


def mutate(rng: random.Random, datagram: bytes) -> bytes:
    """Some bytes changed, cut out, put in or doubled."""
    data = bytearray(datagram)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                del data[place : place + rng.randrange(1, 4)]
            case 2:
                data[place:place] = rng.randbytes(rng.randrange(1, 20))
            case 3:
                data[place:place] = data[rng.randrange(len(data) + 1) :][:30]
            case _:
                data = data[: max(place, 1)]
    return bytes(data[:1400])


async def ask(server, sample: bytes) -> list[bytes]:
    """What comes back for this alone."""
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(server.coap)
        sender.setblocking(False)
        sender.send(sample)
        await asyncio.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            while True:
                answers.append(sender.recv(2000))
    return answers


def is_allowed(sent: bytes, answer: bytes) -> bool:
    """RFC 7252, 4.2 and 4.3: only to a whole header of version 1, and under its Message ID if it is a
    Reset or an Acknowledgement."""
    message = wire.decode(answer)
    if len(sent) < 4 or sent[0] >> 6 != 1:
        return False
    kind, mid = sent[0] >> 4 & 3, int.from_bytes(sent[2:4], "big")
    if message.is_request:
        # A mutilated Register may be a whole one: then the server reads what the mappings want.
        return message.code == GET and len(sent) > 20
    if message.type == RST:
        return message.mid == mid and kind in (CON, NON)
    if message.type == ACK:
        return message.mid == mid and kind == CON
    # A response of its own: to a Non-confirmable request, or after an empty Acknowledgement.
    return kind in (CON, NON) and message.is_response


def resident(server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux tells it")
async def test_noise_to_the_coap_port(server, api, device):
    rng, grown, heard = random.Random(SEED), [], 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(server.coap)
        for number in range(DATAGRAMS):
            noise = rng.randbytes(rng.randrange(60))
            sender.send(mutate(rng, rng.choice(SAMPLES)) if rng.random() < 0.8 else noise)
            if number % 20 == 0:
                # From a port of its own now and then, to see which answer belongs to what.
                sample = mutate(rng, rng.choice(SAMPLES))
                answers = await ask(server, sample)
                heard += len(answers)
                assert all(is_allowed(sample, one) for one in answers), (sample.hex(), answers)
            if number % 1000 == 999:
                grown.append(resident(server))
    assert heard > 30
    # What is remembered per peer and device is full by now.
    assert max(grown[2:]) - min(grown[2:]) < 4_000_000, grown
    one = await device(server, "device001", live=False)
    await one.register()
    assert (await api.ask("device001", "GET /3/0/9"))["dataValue"] == {"3/0/9": 72}
    assert server.process.poll() is None
    assert "Traceback" not in server.errors()


async def test_noise_to_the_http_port(server, api):
    rng = random.Random(SEED)
    host, port = httpx.URL(server.http).host, httpx.URL(server.http).port
    request = b"GET /device-management-orchestrator/v3/main HTTP/1.1\r\nHost: x\r\nX-M2M-Origin: C\r\n\r\n"
    for _ in range(150):
        noise = mutate(rng, request) if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 200))
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(noise)
            # It may have hung up already.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
    assert (await api.get("/healthz")).status_code == 200
    assert (await api.get()).status_code == 200
    assert "Traceback" not in server.errors()
