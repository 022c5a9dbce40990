"""``lwm2m decode`` and ``lwm2m encode``: payloads to values and back. Need no server."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path as File
from typing import Any, BinaryIO

import click

from lwm2m_engine.codecs import decode as decode_payload
from lwm2m_engine.codecs import encode as encode_entries
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import EncodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType, Value, coerce, from_base64, from_text, to_text, type_of
from lwm2m_server.cli.options import folders
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import UNITS, literal

format_ = click.option(
    "--format", "format_", metavar="FORMAT", required=True, help="Content format: number or name (tlv)."
)
path_ = click.option("--path", "at", metavar="PATH", required=True, help="Path of the request: /3/0.")


@click.command()
@format_
@path_
@click.option("--hex", "digits", metavar="HEX", help="The payload in hexadecimal.")
@click.option("--base64", "encoded", metavar="B64", help="The payload in base64.")
@click.argument("source", metavar="[FILE|-]", type=click.File("rb"), required=False)
@folders
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def decode(
    format_: str,
    at: str,
    digits: str | None,
    encoded: str | None,
    source: BinaryIO | None,
    folders: tuple[File, ...],
    as_json: bool,
) -> None:
    """Decode a payload, typed by the newest model of its object.

    \b
    lwm2m decode --format tlv --path /3/0 --hex c10948
    lwm2m decode --format senml-cbor --path /3/0 notification.bin --json
    """
    content_format, path = ContentFormat.named(format_), Path(at)
    payload = _payload(digits, encoded, source)
    catalog = _catalog(folders)
    entries = decode_payload(payload, content_format, at=path, types=catalog.types)
    if as_json:
        click.echo(json.dumps([_record(entry, catalog) for entry in entries], indent=2))
    else:
        _show(entries, catalog)


@click.command()
@format_
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
@click.option("--hex", "written", flag_value="hex", help="Print hexadecimal digits instead of bytes.")
@click.option("--base64", "written", flag_value="base64", help="Print base64 instead of bytes.")
def encode(
    format_: str,
    at: str,
    named: BinaryIO | None,
    source: BinaryIO,
    folders: tuple[File, ...],
    written: str | None,
) -> None:
    """Encode values, given as the JSON that decode --json prints; "type" and "time" may be missing.

    \b
    echo '[{"path": "/3/0/9", "value": 72}]' | lwm2m encode --format tlv --path /3/0 --hex
    """
    content_format, path = ContentFormat.named(format_), Path(at)
    records = _records((named or source).read())
    catalog = _catalog(folders)
    declared: dict[Path, ResourceType] = {}
    entries = [_entry(record, catalog, declared) for record in records]

    def types(path: Path) -> ResourceType | None:
        return catalog.types(path) or declared.get(path)

    payload = encode_entries(entries, content_format, at=path, types=types)
    if written is None:
        click.echo(payload, nl=False)
    else:
        click.echo(payload.hex() if written == "hex" else base64.b64encode(payload))


# --- input -----------------------------------------------------------------------------------------


def _payload(digits: str | None, encoded: str | None, source: BinaryIO | None) -> bytes:
    if [digits, encoded, source].count(None) != 2:
        raise click.UsageError("give one payload: --hex HEX, --base64 B64, FILE, or - for standard input")
    if source is not None:
        return source.read()
    if encoded is not None:
        return from_base64("".join(encoded.split()))
    try:
        return bytes.fromhex((digits or "").removeprefix("0x"))
    except ValueError as error:
        raise click.ClickException(f"--hex: {error}") from error


def _records(text: bytes) -> list[dict[str, Any]]:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"the input is not JSON: {error}") from error
    if isinstance(records, list) and all(
        isinstance(record, dict) and isinstance(record.get("path"), str) and "value" in record
        for record in records
    ):
        return records
    raise click.ClickException('the input is not an array of {"path": "/3/0/9", "value": …}')


def _entry(record: dict[str, Any], catalog: Catalog, declared: dict[Path, ResourceType]) -> Entry:
    path, value, time = Path(record["path"]), record["value"], record.get("time")
    if time is not None and (isinstance(time, bool) or not isinstance(time, (int, float))):
        raise EncodeError("the time is not a number of seconds", path=path)
    kind = catalog.types(path)
    try:
        if kind is None and "type" in record:
            kind = declared[path] = _type(record["type"])
        return Entry(path, _value(value, kind), time)
    except ValueRejected as error:
        raise EncodeError(error.reason, path=path) from error


def _type(name: object) -> ResourceType:
    try:
        return ResourceType(name)
    except ValueError:
        known = ", ".join(kind.value for kind in ResourceType if kind.value)
        raise ValueRejected(f"{name!r} is no type; types are {known}") from None


def _value(value: object, kind: ResourceType | None) -> Value:
    # JSON has neither bytes nor the floats that are no numbers; both are written as text.
    if isinstance(value, str) and kind in (ResourceType.OPAQUE, ResourceType.FLOAT):
        return from_text(value, kind)
    return coerce(value, kind)


def _catalog(folders: tuple[File, ...]) -> Catalog:
    catalog = Catalog.of(Sources.standard(folders))
    for problem in catalog.problems:
        if problem.refused:
            click.echo(f"not used: {problem}", err=True)
    return catalog


# --- output ----------------------------------------------------------------------------------------


def _record(entry: Entry, catalog: Catalog) -> dict[str, Any]:
    return {
        "path": str(entry.path),
        "type": _kind(entry, catalog).value,
        "value": _plain(entry.value),
        "time": entry.time,
    }


def _kind(entry: Entry, catalog: Catalog) -> ResourceType:
    known = catalog.types(entry.path)
    assert entry.value is not None
    return type_of(entry.value) if known in (None, ResourceType.NONE) else known


def _plain(value: Value | None) -> object:
    if isinstance(value, (bytes, ObjLink)) or (isinstance(value, float) and not math.isfinite(value)):
        return to_text(value)
    return value


def _show(entries: list[Entry], catalog: Catalog) -> None:
    timed = any(entry.time is not None for entry in entries)
    heading = ("path", "name", "value", "units", "type", *(("time",) if timed else ()))
    rows = []
    for entry in entries:
        resource = catalog.resource(entry.path)
        name, units = (resource.name, resource.units) if resource else ("", "")
        cells = (str(entry.path), name, literal(entry.value), UNITS.get(units, units))
        time = () if not timed else ("" if entry.time is None else str(entry.time),)
        rows.append((*cells, _kind(entry, catalog).value, *time))
    show_table(heading, rows)
