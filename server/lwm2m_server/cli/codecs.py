"""``lwm2m decode``, ``encode`` and ``convert``: payloads to values and back. Need no server.

What takes time to import is imported by the commands themselves: a shell that completes their
arguments imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_server.cli.options import folders
from lwm2m_server.cli.parameters import as_format, as_path, complete_format, complete_path
from lwm2m_server.cli.payloads import each, payload_options, payloads, write

if TYPE_CHECKING:
    from lwm2m_engine.model.view import ModelView
    from lwm2m_server.cli.messages import Content
    from lwm2m_server.cli.reading import Reading

F = TypeVar("F", bound=Callable[..., Any])


def format_option(*names: str, required: bool = False) -> Callable[[F], F]:
    """A Content-Format, guessed where it is not required."""
    guessed = "" if required else "; guessed if missing"
    return click.option(
        *names,
        metavar="FORMAT",
        required=required,
        callback=as_format,
        shell_complete=complete_format,
        help=f"Content format: number or name (tlv){guessed}.",
    )


path_ = click.option(
    "--path",
    "at",
    metavar="PATH",
    callback=as_path,
    shell_complete=complete_path,
    help="Path of the request (/3/0); may be missing where the payload says it.",
)


@click.command()
@format_option("--format", "format_")
@path_
@payload_options
@click.option("--coap", is_flag=True, help="Given are CoAP messages; they say format and path.")
@folders
@click.option("--table", "shown", flag_value="table", help="A table (the default).")
@click.option("--json", "shown", flag_value="json", help="JSON instead of a table.")
@click.option("--dump", "shown", flag_value="dump", help="The bytes in hexadecimal, and what they mean.")
def decode(
    format_: ContentFormat | None,
    at: Path | None,
    digits: str | None,
    encoded: str | None,
    source: BinaryIO | None,
    coap: bool,
    folders: tuple[File, ...],
    shown: str | None,
) -> None:
    """Decode a payload, typed by the newest model of its object.

    Without --format the format is guessed, and standard error says which it was. With --hex - or
    --base64 - each line of standard input is a payload, and --json prints one line for each; a
    payload that cannot be decoded is skipped with a word on standard error, and the exit code is 1.

    With --coap the bytes are CoAP messages. They name their format; requests name their path, which
    answers and notifications with the same token are then about (others are about --path).

    \b
    lwm2m decode --format tlv --path /3/0 --hex c10948
    lwm2m decode --path /3/0 notification.bin --json
    """
    from lwm2m_server.cli.reading import load_models, read

    given, models = payloads(digits, encoded, source), load_models(folders)
    hear = _listener() if coap else None

    def show(data: bytes, place: str) -> None:
        payload, path = data, at
        number: int | None = format_
        if hear is not None:
            content = hear(data)
            if content.remark:
                _say(content.remark, place)
                return
            payload, path = content.payload, content.at or at
            number = content.content_format if format_ is None else format_
        reading = read(payload, number, path, models)
        _say(reading.note, place)
        if not reading.entries:
            _say("the payload has no values", place)
        _show(payload, reading, place, models, shown)

    each(given, show)


def _listener() -> Callable[[bytes], Content]:
    from lwm2m_server.cli.messages import Conversation

    return Conversation().hear


def _say(note: str, place: str) -> None:
    if note:
        click.echo(f"{place}: {note}" if place else note, err=True)


def _show(payload: bytes, reading: Reading, place: str, models: ModelView, shown: str | None) -> None:
    from lwm2m_server.cli import records

    if shown == "json":
        rows = [records.record(entry, models) for entry in reading.entries]
        click.echo(json.dumps(rows, indent=None if place else 2))
        return
    if place:
        click.echo(f"{place}:")
    if shown == "dump":
        _dump(payload, reading, models)
    else:
        records.show(reading.entries, models)
    if place:
        click.echo()


def _dump(payload: bytes, reading: Reading, models: ModelView) -> None:
    from lwm2m_server.cli.hexview import hexview
    from lwm2m_server.cli.records import describe, show
    from lwm2m_server.cli.spans import spans

    found = spans(payload, reading.content_format, reading.entries)
    for line in hexview(payload, found, lambda entry: describe(entry, models)):
        click.echo(line)
    if all(span.entry is None for span in found):
        # Nothing says which bytes are which entry.
        click.echo()
        show(reading.entries, models)


@click.command()
@format_option("--format", "format_", required=True)
@path_
@click.option(
    "--json-input",
    "named",
    metavar="FILE",
    type=click.File("rb"),
    help='[{"path", "value", "time"}] as JSON.',
)
@click.argument("source", metavar="[-]", type=click.File("rb"), default="-")
@folders
@click.option("--hex", "notation", flag_value="hex", help="Print hexadecimal digits instead of bytes.")
@click.option("--base64", "notation", flag_value="base64", help="Print base64 instead of bytes.")
def encode(
    format_: ContentFormat,
    at: Path | None,
    named: BinaryIO | None,
    source: BinaryIO,
    folders: tuple[File, ...],
    notation: str | None,
) -> None:
    """Encode values, given as the JSON that decode --json prints; "type" and "time" may be missing.

    Without --path the payload is for the deepest path that has all the values.

    \b
    echo '[{"path": "/3/0/9", "value": 72}]' | lwm2m encode --format tlv --path /3/0 --hex
    """
    from lwm2m_server.cli.conversion import common_path
    from lwm2m_server.cli.reading import CODECS, load_models
    from lwm2m_server.cli.records import Records

    records = Records((named or source).read(), load_models(folders))
    at = common_path(records.entries) if at is None else at
    write(CODECS.encode(records.entries, format_, at=at, types=records.types), notation)


@click.command()
@format_option("--from", "source_format")
@format_option("--to", "target", required=True)
@path_
@payload_options
@folders
@click.option(
    "--latest", is_flag=True, help="Keep the newest value of each path; drop times --to cannot carry."
)
@click.option(
    "--as",
    "notation",
    type=click.Choice(["hex", "base64", "bytes", "text"]),
    help="How to print; default: JSON and text as text, else as the payload was given.",
)
def convert(
    source_format: ContentFormat | None,
    target: ContentFormat,
    at: Path | None,
    digits: str | None,
    encoded: str | None,
    source: BinaryIO | None,
    folders: tuple[File, ...],
    latest: bool,
    notation: str | None,
) -> None:
    """Write a payload anew in another content format.

    \b
    lwm2m convert --from tlv --to senml-cbor --path /3/0 --hex c10948
    lwm2m convert --to senml-json --path /3/0 --hex c10948
    """
    from lwm2m_server.cli.conversion import common_path, is_text, rewritten
    from lwm2m_server.cli.reading import CODECS, load_models, read

    given, models = payloads(digits, encoded, source), load_models(folders)
    if notation is None and source is None:
        notation = "text" if is_text(target) else "hex" if digits is not None else "base64"

    def rewrite(payload: bytes, place: str) -> None:
        reading = read(payload, source_format, at, models)
        _say(reading.note, place)
        if reading.listed:
            write(CODECS.encode_paths([entry.path for entry in reading.entries], target), notation)
            return
        below = common_path(reading.entries) if at is None else at
        write(rewritten(reading.entries, target, below, models.types, newest=latest), notation)

    each(given, rewrite)
