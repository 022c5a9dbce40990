"""Ids: microseconds since 1970-01-01 UTC, unique over the installation, and the texts made from them.

An id is the primary key of a row and its creation time at once. A oneM2M ``ri`` spells it in 24
hexadecimal digits and is decoded, never looked up; so is the generated name of a contentInstance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import attrs

SECOND = 1_000_000
"""Microseconds."""

# Part of every ri ever handed out: append, never renumber. Four bits.
TYPE_TAGS = {2: 0, 3: 1, 4: 2, 5: 3, 13: 4, 14: 5, 9: 6, 1: 7, 23: 8, 28: 9, 15: 10, 17: 11}
_TYPES = {tag: kind for kind, tag in TYPE_TAGS.items()}


class Ids:
    """Allocates ids: the clock's microseconds, pushed forward where needed to be strictly increasing.

    ``floor`` is the highest id in any store, so that a clock set back repeats none. Thread-safe.
    """

    def __init__(self, clock: Callable[[], float] = time.time, floor: int = 0) -> None:
        self._clock = clock
        self._last = floor
        self._lock = threading.Lock()

    def next(self, count: int = 1) -> int:
        """The first of ``count`` consecutive new ids."""
        with self._lock:
            first = int(self._clock() * SECOND)
            if first <= self._last:
                first = self._last + 1
            self._last = first + count - 1
            return first


class ResourceIds:
    """oneM2M resource ids (``ri``) of one installation: id and ``ty`` to 24 hex digits and back.

    8 digits seconds, 10 digits the installation's own tag, 1 digit type, 5 digits microseconds.
    ``installation`` is drawn at random for each data directory.
    """

    def __init__(self, installation: str) -> None:
        if len(installation) != 10 or not _is_hex(installation):
            raise ValueError(f"an installation tag has 10 lower-case hex digits, not {installation!r}")
        self.installation = installation

    def ri(self, id: int, type: int) -> str:
        """``type`` is one of ``TYPE_TAGS``; ``KeyError`` for any other."""
        seconds, fraction = divmod(id, SECOND)
        return f"{seconds:08x}{self.installation}{TYPE_TAGS[type]:x}{fraction:05x}"

    def parse(self, text: str) -> tuple[int, int] | None:
        """Id and ``ty``; ``None`` for what is no ``ri`` of this installation."""
        if len(text) != 24 or text[8:18] != self.installation or not _is_hex(text):
            return None
        kind = _TYPES.get(int(text[18], 16))
        fraction = int(text[19:], 16)
        if kind is None or fraction >= SECOND:
            return None
        return int(text[:8], 16) * SECOND + fraction, kind


@attrs.frozen(slots=True)
class NodeIds:
    """Ids of a node and of what every node is born with: one block of ``NodeIds.COUNT``."""

    node: int
    COUNT = 9

    @property
    def credentials(self) -> int:
        return self.node + 1

    @property
    def device_info(self) -> int:
        return self.node + 2

    @property
    def communication(self) -> int:
        """The container ``device-communication/<name>``, parent of the five below."""
        return self.node + 3

    @property
    def outgoing(self) -> int:
        return self.node + 4

    @property
    def sent(self) -> int:
        return self.node + 5

    @property
    def received(self) -> int:
        return self.node + 6

    @property
    def errors(self) -> int:
        return self.node + 7

    @property
    def logs(self) -> int:
        return self.node + 8


def timestamp(id: int) -> str:
    """An id or any microseconds as oneM2M writes times: ``YYYYMMDDThhmmss,ffffff``, UTC."""
    seconds, fraction = divmod(id, SECOND)
    return f"{_basic(seconds)},{fraction:06d}"


def parse_timestamp(text: str) -> int:
    """Microseconds of ``YYYYMMDDThhmmss[,f…]`` (TS-0004, 6.3.3, absolute time); raises ``ValueError``."""
    whole, comma, fraction = text.partition(",")
    digits = whole[:8] + whole[9:]
    if len(whole) != 15 or whole[8] != "T" or not _is_decimal(digits):
        raise ValueError(f"{text!r} is not a time such as 20251231T235959,000000")
    if comma and not (_is_decimal(fraction) and len(fraction) <= 6):
        raise ValueError(f"{text!r} has no fraction of one to six digits after its comma")
    moment = datetime.strptime(whole, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND + int(fraction.ljust(6, "0"))


@lru_cache(maxsize=1024)
def _basic(seconds: int) -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit()


# --- generated names ---------------------------------------------------------------------------------

_RANDOM_BITS = 122  # of a UUIDv4 (RFC 9562, 5.4)
_MASK = (1 << _RANDOM_BITS) - 1
_SCATTER = 0x2B7E1_51628AED_2A6ABF71_58809CF5 | 1
_GATHER = pow(_SCATTER, -1, 1 << _RANDOM_BITS)
_ID_BITS = 53  # until the year 2255


@lru_cache(maxsize=1024)
def uuid_name(id: int) -> str:
    """The generated name of the row ``id``: looks like a UUIDv4, and ``id_of_name`` reads it back.

    So a contentInstance is found by its name through its primary key, with no index on names.
    """
    bits = id * _SCATTER & _MASK
    bits ^= bits >> _RANDOM_BITS // 2
    text = f"{bits >> 74:012x}4{bits >> 62 & 0xFFF:03x}{1 << 63 | bits & (1 << 62) - 1:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_of_name(name: str) -> int | None:
    """The id in a generated name; ``None`` for any other text, other UUIDs included."""
    text = name.replace("-", "")
    if len(name) != 36 or len(text) != 32 or not _is_hex(text):
        return None
    bits = int(text[:12], 16) << 74 | int(text[13:16], 16) << 62 | int(text[16:], 16) & (1 << 62) - 1
    bits ^= bits >> _RANDOM_BITS // 2
    id = bits * _GATHER & _MASK
    return id if id >> _ID_BITS == 0 and uuid_name(id) == name else None
