"""Arguments of an Execute: ``0='now',1`` (LwM2M Core 1.2, 6.3.5)."""

from __future__ import annotations

import re

from lwm2m_engine.errors import ValueRejected

# Everything printable but blank, double quote, quote and backslash.
_ARGUMENT = re.compile(r"([0-9])(?:='([!\x23-\x26\x28-\x5b\x5d-\x7e]*)')?(,|\Z)")


def parse_arguments(text: str) -> tuple[tuple[int, str | None], ...]:
    """Digit and value of each argument, in order; ``None`` for one without value.

    Raises ``ValueRejected`` naming the place where the text leaves the grammar.
    """
    arguments: list[tuple[int, str | None]] = []
    at = 0
    while at < len(text) or (arguments and text.endswith(",")):
        match = _ARGUMENT.match(text, at)
        if match is None:
            raise ValueRejected(
                f"character {at + 1}: {text[at : at + 20]!r} is no argument such as 0='now' or 1", value=text
            )
        digit = int(match[1])
        if any(digit == known for known, _ in arguments):
            raise ValueRejected(f"argument {digit} is given twice", value=text)
        arguments.append((digit, match[2]))
        at = match.end()
        if not match[3]:
            break
    return tuple(arguments)
