"""Bytes in hexadecimal, with what they mean beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lwm2m_engine.entries import Entry
from lwm2m_server.cli.spans import Span

WIDTH = 8


def hexview(payload: bytes, spans: Sequence[Span], describe: Callable[[Entry], str]) -> Iterator[str]:
    """Lines of offset, bytes, printable characters, and the meaning of a span where it starts."""
    digits = max(4, len(f"{len(payload):x}"))
    for span in spans:
        meaning = [text for text in (span.text, describe(span.entry) if span.entry else "") if text]
        beside = "  " * span.depth + ": ".join(meaning)
        for start in range(span.start, max(span.stop, span.start + 1), WIDTH):
            row = payload[start : min(start + WIDTH, span.stop)]
            shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
            yield f"{start:0{digits}x}  {row.hex(' '):{3 * WIDTH - 1}}  {shown:{WIDTH}}  {beside}".rstrip()
            beside = ""
