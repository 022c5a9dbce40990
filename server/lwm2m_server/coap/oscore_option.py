"""The OSCORE option (RFC 8613, 6.1), as far as it names an ID Context."""

from __future__ import annotations

from typing import Final

KID_CONTEXT: Final = 0x10
"""The flag h."""
LENGTH: Final = 0x07
"""The bits n: how long the Partial IV is."""

_BYTES, _LONG_BYTES, _SHORTER_THAN = 0x40, 0x58, 24


def with_kid_context(option: bytes, kid_context: bytes) -> bytes:
    """An option that has none so far."""
    flags = option[0] if option else 0
    end = 1 + (flags & LENGTH)
    return bytes((flags | KID_CONTEXT, *option[1:end], len(kid_context))) + kid_context + option[end:]


def without_kid_context(option: bytes) -> bytes:
    """What is left is as well protected: the ID Context is not among the additional data (5.4)."""
    if not option or not option[0] & KID_CONTEXT:
        return option
    begin = 1 + (option[0] & LENGTH)
    rest = option[1:begin] + option[begin + 1 + option[begin] :]
    return bytes((option[0] & ~KID_CONTEXT,)) + rest


def wrapped(kid_context: bytes) -> bytes:
    """As a CBOR byte string: so has what Appendix B.2 exchanges to be."""
    length = len(kid_context)
    head = bytes((_BYTES | length,)) if length < _SHORTER_THAN else bytes((_LONG_BYTES, length))
    return head + kid_context


def unwrapped(kid_context: bytes) -> bytes | None:
    """What a CBOR byte string contains; ``None`` for anything else."""
    for head in (1, 2):
        if wrapped(kid_context[head:]) == kid_context:
            return kid_context[head:]
    return None
