"""Plays a bootstrap and writes down what was said: ``python docs/exchanges.py [FOLDER]``.

The server is the library's, the device a simulated one; between them are values instead of datagrams. A test
compares the files with what this would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from lwm2m_engine import Catalog, Engine, decode
from lwm2m_engine import Path as LwM2MPath
from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, dotted
from lwm2m_engine.effects import Perform
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.bootstrap import BootstrapRequest
from lwm2m_engine.values import Value, to_text
from lwm2m_server.simulator.bootstrapping import BootstrapClient

EXPLANATION = Path(__file__).parent / "explanation"
ENDPOINT = "meter-1"
DEVICE, BOOTSTRAP, SERVER = "device", "bootstrap server", "LwM2M server"
CATALOG = Catalog.bundled()
CONFIG = {
    "noSec": True,
    "delete": ["/1"],
    "write": {
        "/0/1": {"0": "coap://lwm2m.example.com:5683", "1": False, "2": 3, "10": 123},
        "/1/0": {"0": 123, "1": 300, "2": 1, "6": True, "7": "U"},
    },
}
NOW = 1_700_000_000.0


class Said(NamedTuple):
    """One message."""

    sender: str
    receiver: str
    line: str
    values: tuple[str, ...] = ()
    payload: bytes = b""


class Configs:
    def config(self, request: BootstrapRequest, peer: Peer) -> BootstrapConfig:
        return config_of(CONFIG, request.endpoint, lambda name: b"", CATALOG)


def play() -> Iterator[Said]:
    """From the Bootstrap-Request to the registration."""
    client = BootstrapClient(ENDPOINT, ("bs.example.com", 5687), CATALOG.types)
    bootstrap = Bootstrap(Configs(), CATALOG)
    begin = CoapRequest(Code.POST, ("bs",), (f"ep={ENDPOINT}", "pct=112"))
    step = bootstrap.receive(begin, Peer("192.0.2.7", 49152, "coap-bs"), NOW)
    yield request_said(DEVICE, BOOTSTRAP, begin)
    yield reply_said(BOOTSTRAP, DEVICE, step.reply)
    while step.effects:
        (effect,) = step.effects
        assert isinstance(effect, Perform)
        reply = client.serve(effect.request, b"")
        yield request_said(BOOTSTRAP, DEVICE, effect.request)
        yield reply_said(DEVICE, BOOTSTRAP, reply)
        step = bootstrap.answered(effect.exchange, reply, NOW)
    yield from register(client)


def register(client: BootstrapClient) -> Iterator[Said]:
    """With what the client was given."""
    account = next(client.accounts())
    query = ("lwm2m=1.1", f"ep={ENDPOINT}", f"lt={account.lifetime}", f"b={account.binding}")
    request = CoapRequest(Code.POST, ("rd",), query, b"</1/0>,</3/0>", ContentFormat.LINK_FORMAT)
    engine = Engine(CATALOG, tokens=lambda: bytes(range(8)))
    reply = engine.receive(request, Peer("192.0.2.7", 49153, "coap"), NOW).reply
    yield request_said(DEVICE, SERVER, request)
    yield reply_said(SERVER, DEVICE, reply)


def request_said(sender: str, receiver: str, request: CoapRequest) -> Said:
    query = f"?{'&'.join(request.query)}" if request.query else ""
    accept = f", Accept {request.accept}" if request.accept is not None else ""
    line = (
        f"{Code(request.code).name} /{'/'.join(request.path)}{query}{accept}{_format(request.content_format)}"
    )
    return Said(sender, receiver, line, tuple(_values(request)), request.payload)


def reply_said(sender: str, receiver: str, reply: CoapReply | None) -> Said:
    assert reply is not None
    location = f", Location-Path /{'/'.join(reply.location)}" if reply.location else ""
    line = f"{dotted(reply.code)} {Code(reply.code).name.replace('_', ' ').title()}{location}"
    links = (reply.payload.decode(),) if reply.content_format == ContentFormat.LINK_FORMAT else ()
    return Said(sender, receiver, line + _format(reply.content_format), links)


def _format(number: int | None) -> str:
    return f", Content-Format {number}" if number is not None else ""


def _values(request: CoapRequest) -> Iterator[str]:
    if request.content_format == ContentFormat.LINK_FORMAT:
        yield request.payload.decode()
    elif request.payload:
        at = LwM2MPath("/".join(request.path))
        for entry in decode(request.payload, request.content_format, at=at, types=CATALOG.types):
            spec = CATALOG.resource(entry.path)
            yield f"{entry.path}  {spec.name if spec is not None else ''} = {_shown(entry.value)}"


def _shown(value: Value | None) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else to_text(value)


# --- written down ------------------------------------------------------------------------------------


def text(messages: Sequence[Said]) -> str:
    """Line by line; what a payload means below its message."""
    parts = []
    for said in messages:
        parts.append(f"{said.sender:>16} -> {said.receiver:<16} {said.line}")
        parts += [f"{'':>37}{value}" for value in said.values]
        if said.payload and not said.line.startswith("POST /rd"):
            parts += [f"{'':>37}{piece}" for piece in _pieces(said.payload.hex(), 64)]
    body = "\n".join(part.rstrip() for part in parts)
    return f"```text\n{body}\n```\n"


def _pieces(digits: str, length: int) -> Iterator[str]:
    for start in range(0, len(digits), length):
        yield digits[start : start + length]


COLUMNS = {DEVICE: 90, BOOTSTRAP: 450, SERVER: 810}
WIDTH, TOP, ROW = 900, 60, 30


def diagram(messages: Sequence[Said]) -> str:
    """A sequence diagram."""
    bottom = TOP + ROW * len(messages) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 10}" '
        'font-family="sans-serif" font-size="13">',
        '<defs><marker id="head" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L10,5 L0,10 z"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{bottom + 10}" fill="white"/>',
    ]
    for name, x in COLUMNS.items():
        parts.append(f'<text x="{x}" y="24" text-anchor="middle" font-weight="bold">{name}</text>')
        parts.append(f'<line x1="{x}" y1="34" x2="{x}" y2="{bottom}" stroke="gray" stroke-dasharray="4"/>')
    for number, said in enumerate(messages):
        y, start, end = TOP + ROW * number, COLUMNS[said.sender], COLUMNS[said.receiver]
        parts.append(
            f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="black" marker-end="url(#head)"/>'
        )
        label = escape(said.line.partition(", Content-Format")[0])
        middle = (min(start, end) + min(max(start, end), COLUMNS[BOOTSTRAP])) // 2
        parts.append(f'<text x="{middle}" y="{y - 6}" text-anchor="middle">{label}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main(folder: Path) -> None:
    messages = list(play())
    (folder / "bootstrap-exchange.md").write_text(text(messages), encoding="utf-8")
    (folder / "bootstrap.svg").write_text(diagram(messages), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXPLANATION)
