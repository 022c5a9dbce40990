"""Which Content-Format a payload is in, where no message says so: a file, a line of a log.

The codecs themselves decide, so that a format is guessed as soon as it has one.
"""

from __future__ import annotations

import attrs

from lwm2m_engine.codecs import Codecs, Types
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import ROOT, Path

_BUNDLED = Codecs()


@attrs.frozen(slots=True)
class Guess:
    """What a payload says if it is in this format."""

    content_format: int
    entries: tuple[Entry, ...]
    strict: bool
    """Nothing in it had to be tolerated."""
    listed: bool = False
    """The payload is the list of paths of a composite read; the entries have no values."""


def guesses(
    payload: bytes, *, at: Path = ROOT, types: Types | None = None, codecs: Codecs = _BUNDLED
) -> list[Guess]:
    """Every format in which the payload can be read for the path ``at``, the likeliest first.

    Likelier is what ``types`` knows more of, then what is written by the rules, then a format that few
    bytes are by accident. Nothing is guessed from an empty payload.
    """
    if not payload:
        return []
    found = [
        guess
        for number in codecs
        if payload.startswith(_FIRST.get(number, b""))
        and (guess := _read(payload, number, at, types, codecs)) is not None
    ]
    return sorted(found, key=lambda guess: _doubts(guess, payload, types))


def _read(payload: bytes, number: int, at: Path, types: Types | None, codecs: Codecs) -> Guess | None:
    """As values by the rules, or leniently, or as paths alone."""
    for strict in (True, False):
        try:
            entries = codecs.decode(payload, number, at=at, types=types, strict=strict)
        except DecodeError:
            continue
        return Guess(number, tuple(entries), strict)
    codec = codecs[number]
    if codec.decode_paths is None:
        return None
    try:
        paths = codecs.decode_paths(payload, number)
    except DecodeError:
        return None
    below = all(path.startswith(at) for path in paths)
    return Guess(number, tuple(Entry(path, None) for path in paths), True, True) if below else None


_FIRST: dict[int, bytes] = {ContentFormat.LINK_FORMAT: b"<"}
"""The codec takes the text of a Corelnk as it is; what is no link is more likely just text."""

_ACCIDENTS: dict[int, int] = {
    ContentFormat.TLV: 1,
    ContentFormat.CBOR: 2,
    ContentFormat.LINK_FORMAT: 3,
    ContentFormat.TEXT: 4,
    ContentFormat.OPAQUE: 5,
}
"""How easily other bytes pass for the format; those that check a lot of structure are not here."""


def _doubts(guess: Guess, payload: bytes, types: Types | None) -> tuple[float, bool, int]:
    """What speaks against a guess; less is better."""
    unknown = 0 if types is None else sum(types(entry.path) is None for entry in guess.entries)
    accident = _ACCIDENTS.get(guess.content_format, 0)
    # "72" is CBOR, too, of a negative number.
    if guess.content_format == ContentFormat.TEXT and _is_number(payload):
        accident = _ACCIDENTS[ContentFormat.TLV]
    return unknown / max(len(guess.entries), 1), not guess.strict, accident


def _is_number(payload: bytes) -> bool:
    try:
        float(payload)
    except ValueError:
        return False
    return True
