"""``lwm2m onboard``: many devices at once, from a table."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TextIO

import click

from lwm2m_server.cli.client import Client, ServerError
from lwm2m_server.cli.exits import Exit, Misuse, Unanswered
from lwm2m_server.cli.options import client_options

FLEX_CONTAINER: Final = 28
CREATE, REMOVE = 1, 2
BATCH: Final = 500
"""Devices in one request: a step of the progress bar."""
PATIENCE: Final = 300.0
"""Seconds a server may take for one request."""
PAUSE: Final = 0.1
"""Seconds between two looks whether it is answered."""

_PLACE: Final = "device-provisioning"
_MEMBERS: Final = {"name": "noRNe", "id": "ni", "iccid": "ICCID", "profile": "profe"}
_LISTS: Final = {"labels": "lbl", "groups": "nDGr"}
_SECRETS: Final = {"psk-id": "psk-id:", "psk": "psk:"}
_INFO: Final = (
    "manufacturer",
    "model",
    "subModel",
    "deviceType",
    "deviceName",
    "deviceLabel",
    "description",
    "location",
    "country",
    "fwVersion",
    "swVersion",
    "hwVersion",
    "osVersion",
)
COLUMNS: Final = (*_MEMBERS, *_LISTS, *_SECRETS, *_INFO)


@click.command()
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--remove", is_flag=True, help="Remove the devices instead; their name is enough.")
@click.option("--json", "as_json", is_flag=True, help="What came of it, as JSON.")
@client_options
def onboard(
    file: TextIO, remove: bool, as_json: bool, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """Let the devices of the table FILE in, or of standard input (-).

    FILE is CSV with a heading: name, id, iccid, profile, labels and groups (several with ";" between),
    psk-id and psk (the key in base64), and attributes of deviceInfo such as manufacturer or model. Only the
    name is needed. A device is let in with all that its line says, or not at all.
    """
    items = list(_items(file))
    if not remove:
        # Who has no id of their own is known by their name.
        items = [{"ni": item.get("noRNe", ""), **item} for item in items]
    if not items:
        raise Misuse(f"{file.name}: there are no devices in it")
    client = Client.of(url, tenant, token_file)
    done = _onboard(client, items, REMOVE if remove else CREATE)
    if as_json:
        click.echo(json.dumps(done))
    else:
        for error in done["errors"]:
            click.echo(error, err=True)
        click.echo(f"{done['done']} of {done['total']} devices {'removed' if remove else 'let in'}")
    if done["errors"]:
        raise click.exceptions.Exit(Exit.FAILED)


def _onboard(client: Client, items: Sequence[Mapping[str, Any]], operation: int) -> dict[str, Any]:
    errors: list[str] = []
    requests = []
    with click.progressbar(length=len(items), label="devices", file=sys.stderr) as bar:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            request = {"dtiot:noPRt": {"opern": operation, "reqLt": batch}}
            posted = client.post(f"{client.base}/{_PLACE}/request", request, ty=FLEX_CONTAINER)
            requests.append(posted["dtiot:noPRt"]["resourceID"])
            errors += _response(client, requests[-1])["individualErrorMessages"]
            bar.update(len(batch))
    return {"total": len(items), "done": len(items) - len(errors), "errors": errors, "requests": requests}


def _response(client: Client, request: str) -> Mapping[str, Any]:
    """Raises ``Unanswered``."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            path = f"{client.base}/{_PLACE}/response/responseToRequest-{request}"
            found: Mapping[str, Any] = client.get(path)["flexContainer"]
            return found
        except ServerError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        time.sleep(PAUSE)
    raise Unanswered(f"the request {request} is kept, and was not answered within {PATIENCE:.0f} s")


def _items(file: TextIO) -> Iterator[dict[str, Any]]:
    """Raises ``Misuse``, naming the line."""
    rows = csv.DictReader(file, skipinitialspace=True)
    try:
        columns = rows.fieldnames or ()
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown or "name" not in columns:
            what = f"no column {unknown[0]!r} is known" if unknown else "there is no column 'name'"
            raise Misuse(f"{file.name}: {what}; columns are {', '.join(COLUMNS)}")
        for row in rows:
            if None in row or None in row.values():
                raise Misuse(f"{file.name}: line {rows.line_num} has not {len(columns)} cells")
            yield _item({name: cell.strip() for name, cell in row.items() if cell.strip()})
    except (csv.Error, UnicodeDecodeError) as error:
        raise Misuse(f"{file.name}: line {rows.line_num + 1}: {error}") from error


def _item(row: Mapping[str, str]) -> dict[str, Any]:
    item: dict[str, Any] = {short: row[name] for name, short in _MEMBERS.items() if name in row}
    for name, short in _LISTS.items():
        if name in row:
            item[short] = [one.strip() for one in row[name].split(";") if one.strip()]
    secrets = [f"{prefix}{row[name]}" for name, prefix in _SECRETS.items() if name in row]
    info = {name: row[name] for name in _INFO if name in row}
    return item | ({"nCr": secrets} if secrets else {}) | ({"ndvi": info} if info else {})
