"""What ``cload.c`` does, in Python: for machines without a C compiler. Run by ``serverload.py``.

Takes the same flags and prints the same lines. It is slower than the server, so rates and latencies are
its own limit (``generator_busy`` is near 1); the server's CPU time for each message is still measured.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiocoap import ACK, CON, RST, Message
from aiocoap.numbers.codes import CONTENT, CREATED, EMPTY, GET, POST

FIRST_ADDRESS = int(IPv4Address("127.1.0.1"))
IP_PKTINFO = 8
PACKET_INFO = struct.Struct("=i4s4s")
REPEAT_AFTER = 1.0
WITHIN = 600.0
BATCH = 64
LINK_FORMAT, SENML_CBOR, TLV = 40, 112, 11542

FLOAT = bytes.fromhex("e4164441b80000")
OBJECTS = {
    "3": bytes.fromhex(
        "08002ec800144f70656e204d6f62696c6520416c6c69616e6365c10964c10a0fc40d5182428fc60e2b30323a3030c11055"
    ),
    "6": bytes.fromhex("080012c40042520000c40141560000c4055182428f"),
}
"""Object Instance 0 in TLV."""
REPORTS = {
    "3": (
        bytes.fromhex("85a321652f332f302f00613902181ea200623130020fa200623133021a65"),
        bytes.fromhex("00a20062313403662b30323a3030a200623136036155"),
    ),
    "3303": (
        bytes.fromhex("85a321682f333330332f302f00643537303002fa41b8"),
        bytes.fromhex(
            "a200643536303102fa41a00000a200643536303202fa41c80000a200643536303302fac2200000a2"
            "006435373031036343656c"
        ),
    ),
}
"""5 values of an Object Instance in SenML CBOR, before and behind two bytes that are others each time."""


class Client:
    """One device."""

    def __init__(self, number: int) -> None:
        self.source = IPv4Address(FIRST_ADDRESS + number).packed
        self.number, self.mid, self.sequence = number, number * 7919 & 0xFFFF, 0
        self.saying, self.request, self.asked, self.sent = "", b"", 0.0, 0.0
        self.location, self.token, self.object = "", b"", ""
        self.asked_in_vain = False


class Load:
    """All clients behind one socket."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.clients = [Client(number) for number in range(options.clients)]
        self.by_address = {client.source: client for client in self.clients}
        self.waiting: set[Client] = set()
        self.idle: deque[Client] = deque()
        self.server = (options.host, options.port)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.udp.setsockopt(socket.SOL_SOCKET, buffer, 4 << 20)
        self.udp.bind(("", 0))
        self.udp.setblocking(False)
        self.poll = select.poll()
        self.poll.register(self.udp, select.POLLIN)
        self.clear()

    def clear(self) -> None:
        self.latencies: list[float] = []
        self.errors = self.repeated = self.reads = self.unanswered = 0

    # --- what clients say --------------------------------------------------------------------------

    def send(self, client: Client, data: bytes) -> None:
        control = [(socket.IPPROTO_IP, IP_PKTINFO, PACKET_INFO.pack(0, client.source, bytes(4)))]
        try:
            self.udp.sendmsg([data], control, 0, self.server)
        except BlockingIOError:
            # As if it were lost: it will be repeated.
            return

    def ask(self, client: Client, mode: str) -> None:
        client.mid = client.mid + 1 & 0xFFFF
        client.sequence += 1
        client.saying = mode if mode != "mixed" else "update" if client.saying == "notify" else "notify"
        client.request = self.compose(client).encode()
        client.asked = client.sent = time.perf_counter()
        self.waiting.add(client)
        self.send(client, client.request)

    def compose(self, client: Client) -> Message:
        if client.saying == "notify":
            return self.report(client, CON, client.mid, client.token)
        path: tuple[str, ...] = ("rd",)
        more: dict[str, Any] = {}
        if client.saying == "update":
            path += (client.location,)
        else:
            query = (f"ep=load-{client.number}", "lt=3600", "lwm2m=1.1", "b=U")
            more = {"payload": self.options.links.encode(), "content_format": LINK_FORMAT, "uri_query": query}
        token = client.mid.to_bytes(2, "big")
        return Message(code=POST, _mtype=CON, _mid=client.mid, _token=token, uri_path=path, **more)

    def report(self, client: Client, kind: Any, mid: int, token: bytes) -> Message:
        before, behind = REPORTS.get(client.object, REPORTS["3303"])
        payload = before + (client.sequence & 0xFFFF).to_bytes(2, "big") + behind
        options = {"observe": client.sequence, "content_format": SENML_CBOR}
        return Message(code=CONTENT, _mtype=kind, _mid=mid, _token=token, payload=payload, **options)

    def repeat(self) -> None:
        now = time.perf_counter()
        for client in self.waiting:
            if now - client.sent > REPEAT_AFTER:
                client.sent = now
                self.repeated += 1
                self.send(client, client.request)

    # --- what they hear ----------------------------------------------------------------------------

    def listen(self, milliseconds: int = 20) -> None:
        if not self.poll.poll(milliseconds):
            return
        for _ in range(BATCH):
            try:
                data, control, _, _ = self.udp.recvmsg(1600, 64)
            except BlockingIOError:
                return
            for _, kind, content in control:
                client = self.by_address.get(PACKET_INFO.unpack(content[: PACKET_INFO.size])[2])
                if kind == IP_PKTINFO and client is not None:
                    self.hear(client, Message.decode(data))

    def hear(self, client: Client, message: Message) -> None:
        if message.code == GET:
            self.answer(client, message)
            return
        if message.mtype == CON:
            self.send(client, Message(code=EMPTY, _mtype=ACK, _mid=message.mid).encode())
        if client not in self.waiting or not self._is_answer(client, message):
            return
        self.errors += message.mtype == RST or int(message.code) >= 128
        if message.code == CREATED:
            client.location = message.opt.location_path[-1]
        self.waiting.discard(client)
        self.latencies.append(time.perf_counter() - client.asked)
        self.idle.append(client)

    def _is_answer(self, client: Client, message: Message) -> bool:
        if message.mtype not in (ACK, RST):
            return client.saying != "notify" and message.token == client.mid.to_bytes(2, "big")
        is_empty = message.code == EMPTY and message.mtype == ACK
        return message.mid == client.mid and (not is_empty or client.saying == "notify")

    def answer(self, client: Client, request: Message) -> None:
        if client.number >= len(self.clients) - self.options.silent:
            self.unanswered += not client.asked_in_vain
            client.asked_in_vain = True
            return
        self.reads += 1
        target = request.opt.uri_path[0] if request.opt.uri_path else ""
        if request.opt.observe == 0:
            client.token, client.object, client.sequence = request.token, target, 1
            reply = self.report(client, ACK, request.mid, request.token)
        else:
            payload = OBJECTS.get(target, FLOAT)
            reply = Message(
                code=CONTENT,
                _mtype=ACK,
                _mid=request.mid,
                _token=request.token,
                payload=payload,
                content_format=TLV,
            )
        self.send(client, reply.encode())

    # --- the loop ----------------------------------------------------------------------------------

    def run(self, mode: str, seconds: float, limit: int | None = None) -> float:
        """Ask and listen until the time is over or so many requests were answered; seconds it took."""
        self.clear()
        self.idle = deque(client for client in self.clients if client not in self.waiting)
        start = looked = time.perf_counter()
        asked, rate = 0, self.options.rate
        while (now := time.perf_counter()) < start + seconds and (
            limit is None or len(self.latencies) < limit
        ):
            allowed = limit if limit is not None else (now - start) * rate if rate else float("inf")
            while self.idle and len(self.waiting) < self.options.in_flight and asked < allowed:
                asked += 1
                self.ask(self.idle.popleft(), mode)
            self.listen(1 if rate else 20)
            if now - looked > REPEAT_AFTER / 2:
                looked = now
                self.repeat()
        return time.perf_counter() - start

    def register(self) -> None:
        self.run("register", WITHIN, len(self.clients))
        if len(self.latencies) < len(self.clients) or self.errors:
            sys.exit(f"{len(self.latencies)} of {len(self.clients)} clients answered, {self.errors} refused")
        print("registered", flush=True)

    def await_observations(self) -> None:
        deadline = time.monotonic() + WITHIN
        while missing := sum(not client.token for client in self.clients):
            if time.monotonic() > deadline:
                sys.exit(f"the server does not observe {missing} clients")
            self.listen()

    def answer_all(self) -> None:
        deadline, told = time.monotonic() + self.options.seconds, not self.options.silent
        while time.monotonic() < deadline:
            self.listen()
            if not told and self.unanswered == self.options.silent:
                print("unanswered", flush=True)
                told = True

    def measure(self, mode: str) -> dict[str, float]:
        self.run(mode, self.options.warm_up)
        server, own = cpu(self.options.pid), time.process_time()
        elapsed = self.run(mode, self.options.seconds)
        server, own = cpu(self.options.pid) - server, time.process_time() - own
        latencies, done = sorted(self.latencies), len(self.latencies)
        if not done:
            sys.exit("nothing was answered")
        return {
            "done": done,
            "errors": self.errors,
            "repeated": self.repeated,
            "reads": self.reads,
            "rate": done / elapsed,
            "cpu_us": server / done * 1e6,
            "p50_us": latencies[done // 2] * 1e6,
            "p99_us": latencies[done * 99 // 100] * 1e6,
            "server_busy": server / elapsed,
            "generator_busy": own / elapsed,
        }


def cpu(pid: int) -> float:
    """Seconds all threads of a process have run (proc(5), /proc/PID/stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-H", dest="host", default="127.0.0.1")
    parser.add_argument("-p", dest="port", type=int, required=True)
    parser.add_argument("-m", dest="mode", default="update")
    parser.add_argument("-k", dest="clients", type=int, default=1000)
    parser.add_argument("-n", dest="in_flight", type=int, default=64)
    parser.add_argument("-r", dest="rate", type=float, default=0.0)
    parser.add_argument("-u", dest="silent", type=int, default=0)
    parser.add_argument("-s", dest="seconds", type=float, default=5.0)
    parser.add_argument("-w", dest="warm_up", type=float, default=1.0)
    parser.add_argument("-l", dest="links", default="</1/0>,</3303/0>")
    parser.add_argument("-P", dest="pid", type=int, default=os.getpid())
    options = parser.parse_args()
    load = Load(options)
    if options.mode != "register":
        load.register()
    if options.mode in ("notify", "mixed"):
        load.await_observations()
    if options.mode == "answer":
        load.answer_all()
    else:
        print(json.dumps(load.measure(options.mode)))


if __name__ == "__main__":
    main()
