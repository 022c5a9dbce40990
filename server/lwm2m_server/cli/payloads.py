"""Payloads on their way in (hexadecimal, base64, files, standard input) and out."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple, TypeVar

import click

from lwm2m_engine.errors import LwM2MError, ValueRejected
from lwm2m_engine.values import from_base64

F = TypeVar("F", bound=Callable[..., Any])


class Payload(NamedTuple):
    """Bytes as they were given, and (of several) where they stood."""

    read: Callable[[], bytes]
    """Raises ``ValueRejected``."""
    place: str = ""


_INPUT = (
    click.option(
        "--hex", "digits", metavar="HEX", help="The payload in hexadecimal; - reads one a line from stdin."
    ),
    click.option(
        "--base64", "encoded", metavar="B64", help="The payload in base64; - reads one a line from stdin."
    ),
    click.argument("source", metavar="[FILE|-]", type=click.File("rb"), required=False),
)


def payload_options(command: F) -> F:
    """The ways to give a payload: parameters ``digits``, ``encoded`` and ``source``."""
    for option in reversed(_INPUT):
        command = option(command)
    return command


def payloads(digits: str | None, encoded: str | None, source: BinaryIO | None) -> Iterator[Payload]:
    """What was given by one of the three; several if standard input has a payload a line."""
    if [digits, encoded, source].count(None) != 2:
        raise click.UsageError("give one payload: --hex HEX, --base64 B64, FILE, or - for standard input")
    if source is not None:
        return iter([Payload(source.read)])
    option, parse, text = (
        ("--hex", from_hex, digits) if digits is not None else ("--base64", _from_base64, encoded)
    )
    if text == "-":
        return _lines(option, parse)
    return iter([Payload(partial(_parsed, option, parse, text or ""))])


def each(given: Iterator[Payload], work: Callable[[bytes, str], None]) -> None:
    """Work on every payload, called with its bytes and place.

    One of several that is no good is skipped with a word on standard error; the exit code is then 1.
    """
    failed = False
    for payload in given:
        try:
            work(payload.read(), payload.place)
        except LwM2MError as error:
            if not payload.place:
                raise
            click.echo(f"Error: {payload.place}: {error}", err=True)
            failed = True
    if failed:
        raise click.exceptions.Exit(1)


def _lines(option: str, parse: Callable[[str], bytes]) -> Iterator[Payload]:
    found = False
    for number, line in enumerate(sys.stdin.buffer, 1):
        text = line.decode("utf-8", "replace").strip()
        if text:
            found = True
            yield Payload(partial(_parsed, option, parse, text), f"line {number}")
    if not found:
        raise click.ClickException(f"{option} -: there is no payload on standard input")


def _parsed(option: str, parse: Callable[[str], bytes], text: str) -> bytes:
    try:
        return parse(text)
    except ValueRejected as error:
        raise ValueRejected(f"{option}: {error}") from error


def from_hex(text: str) -> bytes:
    """Digits of either case, with blanks or colons between bytes, or 0x before them all.

    Raises ``ValueRejected``.
    """
    digits = "".join(text.removeprefix("0x").replace(":", " ").split())
    try:
        return bytes.fromhex(digits)
    except ValueError:
        wrong = next((digit for digit in digits if digit not in _HEX_DIGITS), None)
    if wrong is not None:
        raise ValueRejected(f"{wrong!r} is no hexadecimal digit", value=text)
    raise ValueRejected(f"{len(digits)} digits are an odd number; two make a byte", value=text)


_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def _from_base64(text: str) -> bytes:
    return from_base64("".join(text.split()))


def write(payload: bytes, notation: str | None) -> None:
    """To standard output: ``hex``, ``base64``, ``text`` (with a line end), or the bytes themselves."""
    if notation == "hex":
        click.echo(payload.hex())
    elif notation == "base64":
        click.echo(base64.b64encode(payload))
    else:
        click.echo(payload, nl=notation == "text")
