"""What was said, message by message: as text and as a sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from lwm2m_engine import Catalog, decode
from lwm2m_engine import Path as LwM2MPath
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, dotted
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import Value, to_text

CATALOG = Catalog.bundled()


class Said(NamedTuple):
    """One message; a remark where sender and receiver are the same."""

    sender: str
    receiver: str
    line: str
    values: tuple[str, ...] = ()
    payload: bytes = b""


def request_said(sender: str, receiver: str, request: CoapRequest) -> Said:
    query = f"?{'&'.join(request.query)}" if request.query else ""
    accept = f", Accept {request.accept}" if request.accept is not None else ""
    line = f"{Code(request.code).name} /{'/'.join(request.path)}{query}{_observe(request.observe)}{accept}"
    return _said(sender, receiver, line, request, "/".join(request.path))


def reply_said(sender: str, receiver: str, reply: CoapReply | None, at: str = "/") -> Said:
    """``at`` is the path that was asked for."""
    assert reply is not None
    location = f", Location-Path /{'/'.join(reply.location)}" if reply.location else ""
    name = Code(reply.code).name.replace("_", " ").title()
    line = f"{dotted(reply.code)} {name}{_observe(reply.observe)}{location}"
    return _said(sender, receiver, line, reply, at)


def _said(sender: str, receiver: str, line: str, message: CoapRequest | CoapReply, at: str) -> Said:
    number = message.content_format
    if number is not None:
        line += f", Content-Format {number}"
    if number == ContentFormat.LINK_FORMAT:
        return Said(sender, receiver, line, (message.payload.decode(),))
    if number is None or not message.payload:
        return Said(sender, receiver, line)
    return Said(
        sender, receiver, line, tuple(_values(message.payload, number, LwM2MPath(at))), message.payload
    )


def _observe(number: int | None) -> str:
    return f", Observe {number}" if number is not None else ""


def _values(payload: bytes, number: int, at: LwM2MPath) -> Iterator[str]:
    for entry in decode(payload, number, at=at, types=CATALOG.types):
        spec = CATALOG.resource(entry.path)
        yield f"{entry.path}  {spec.name if spec is not None else ''} = {shown(entry.value)}"


def shown(value: Value | None) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else to_text(value)


# --- written down ------------------------------------------------------------------------------------


def text(messages: Sequence[Said]) -> str:
    """Line by line; what a payload means below its message."""
    parts = []
    for said in messages:
        way = f"-> {said.receiver:<16}" if said.receiver != said.sender else f"{'':19}"
        parts.append(f"{said.sender:>16} {way} {said.line}")
        parts += [f"{'':>37}{value}" for value in said.values]
        parts += [f"{'':>37}{piece}" for piece in _pieces(said.payload.hex(), 64)]
    body = "\n".join(part.rstrip() for part in parts)
    return f"```text\n{body}\n```\n"


def _pieces(digits: str, length: int) -> Iterator[str]:
    for start in range(0, len(digits), length):
        yield digits[start : start + length]


WIDTH, MARGIN, TOP, ROW = 900, 90, 60, 30


def diagram(messages: Sequence[Said], lanes: Sequence[str]) -> str:
    """A sequence diagram, with ``lanes`` from left to right."""
    columns = [MARGIN + number * (WIDTH - 2 * MARGIN) // (len(lanes) - 1) for number in range(len(lanes))]
    bottom = TOP + ROW * len(messages) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 10}" '
        'font-family="sans-serif" font-size="13">',
        '<defs><marker id="head" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L10,5 L0,10 z"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{bottom + 10}" fill="white"/>',
    ]
    for name, x in zip(lanes, columns, strict=True):
        parts.append(f'<text x="{x}" y="24" text-anchor="middle" font-weight="bold">{name}</text>')
        parts.append(f'<line x1="{x}" y1="34" x2="{x}" y2="{bottom}" stroke="gray" stroke-dasharray="4"/>')
    for number, said in enumerate(messages):
        places = sorted((lanes.index(said.sender), lanes.index(said.receiver)))
        label = escape(said.line.partition(", Content-Format")[0])
        y, start, end = TOP + ROW * number, columns[places[0]], columns[places[1]]
        if start == end:
            parts.append(f'<text x="{start + 8}" y="{y}" font-style="italic">{label}</text>')
            continue
        if said.sender != lanes[places[0]]:
            start, end = end, start
        parts.append(
            f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="black" marker-end="url(#head)"/>'
        )
        middle = (columns[places[0]] + columns[places[0] + 1]) // 2
        parts.append(f'<text x="{middle}" y="{y - 6}" text-anchor="middle">{label}</text>')
    return "\n".join([*parts, "</svg>", ""])
