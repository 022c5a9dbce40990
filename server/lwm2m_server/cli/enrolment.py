"""``lwm2m devices add`` and ``import``: devices with all that they are to have, one or thousands."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import urlencode

import attrs
import click

from lwm2m_engine.errors import SettingsError
from lwm2m_server.cli.client import Client
from lwm2m_server.cli.exits import Exit, Misuse
from lwm2m_server.cli.options import client_options

PART: Final = 10_000
"""Devices in one request."""
PAUSE: Final = 0.2
"""Seconds between two looks at how far it is."""
_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("name")
@click.option("--id", "node_id", metavar="URN", help="Node id; default NAME.")
@click.option("--endpoint", metavar="TEXT", help="The name it registers with; default NAME.")
@click.option("--profile", metavar="TEXT", help="The device profile it is to have.")
@click.option("--label", "labels", metavar="K:V", multiple=True, help="A label; may be repeated.")
@click.option("--group", "groups", metavar="TEXT", multiple=True, help="A group it joins; may be repeated.")
@click.option("--psk-id", "--psk-identity", metavar="ID", help="DTLS PSK identity; needs a key.")
@click.option(
    "--psk-file", "--psk-key-file", metavar="FILE", type=_file, help="File with the key, in base64."
)
@click.option("--generate-key", is_flag=True, help="Have a pre-shared key made, and print it: this once.")
@client_options
def add(
    name: str,
    node_id: str | None,
    endpoint: str | None,
    profile: str | None,
    labels: Sequence[str],
    groups: Sequence[str],
    psk_id: str | None,
    psk_file: Path | None,
    generate_key: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Let the device NAME in, with all that it is to have; NAME is its endpoint name."""
    client: dict[str, Any] = {"endpoint": endpoint or name}
    if psk_file is not None and generate_key:
        raise click.UsageError("either --psk-file or --generate-key")
    if (psk_id is not None and not (psk_file or generate_key)) or (psk_file is not None and psk_id is None):
        raise click.UsageError("--psk-id and --psk-file belong together, or --generate-key")
    if psk_file is not None or generate_key:
        secret = {"generate": True} if psk_file is None else {"key": _key(psk_file)}
        identity = psk_id or endpoint or name
        client |= {"securityConfigClientMode": "PSK", "identity": identity, **secret}
    device = {
        "name": name,
        "nodeId": node_id or name,
        "profile": profile,
        "labels": list(labels),
        "groups": list(groups),
        "credentials": {"credentialsValue": {"client": client}},
    }
    made = Client.of(url, tenant, token_file).call("POST", f"/api/v1/devices{_query(tenant)}", device)
    click.echo(f"{name} added")
    if generate_key:
        click.echo(f"its key, in hexadecimal digits: {made['generatedKeys']['client']}")


def _key(file: Path) -> str:
    """In hexadecimal digits."""
    # What it stands on takes longer to import than most commands take to run.
    from lwm2m_server.security.credentials import key_of_text

    try:
        return key_of_text(file.read_text(encoding="utf-8").strip()).hex()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--psk-file: {file}: {error}") from error


# --- tables -------------------------------------------------------------------------------------------


@attrs.frozen
class Part:
    """Some lines of a table, and which they were."""

    text: str
    devices: int
    lines: dict[int, int]


@click.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--dry-run", is_flag=True, help="Only look, and tell what would come of each line.")
@click.option("--json", "as_json", is_flag=True, help="What came of it, as JSON.")
@client_options
def import_(
    file: TextIO, dry_run: bool, as_json: bool, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """Let the devices of the table FILE in, or of standard input (-).

    FILE is CSV with a heading: name, endpoint, profile, labels and groups (several with ";" between),
    identity and key (in hexadecimal digits), cert, and what bootstrap is to give: bootstrapMode,
    bootstrapIdentity, bootstrapKey, lwm2mServerMode, lwm2mServerIdentity, lwm2mServerKey. Only the name is
    needed. A device is let in with all that its line says, or not at all; one that is there already and has
    all of it is let be.
    """
    client = Client.of(url, tenant, token_file)
    report: list[dict[str, Any]] = []
    parts = list(_parts(file))
    total = sum(part.devices for part in parts)
    with click.progressbar(length=max(total, 1), label="devices", file=sys.stderr) as bar:
        for part in parts:
            report += _import(client, part, dry_run, bar.update)
    counts = {what: sum(line["outcome"] == what for line in report) for what in _WORDS}
    if as_json:
        click.echo(json.dumps({"dryRun": dry_run, "lines": len(report), **counts, "report": report}))
    else:
        for line in report:
            if line["outcome"] == "refused":
                click.echo(f"line {line['line']}: {line['reason']}", err=True)
        words = (f"{counts[what]} {word}" for what, word in _WORDS.items())
        click.echo(f"{'it would be: ' if dry_run else ''}{', '.join(words)}")
    if counts["refused"]:
        raise click.exceptions.Exit(Exit.FAILED)


_WORDS: Final = {"created": "let in", "unchanged": "as before", "refused": "refused"}


def _import(client: Client, part: Part, dry: bool, tell: Any) -> Iterator[dict[str, Any]]:
    query = _query(client.tenant, dryRun="true" if dry else "false")
    began = client.send("POST", f"/api/v1/imports{query}", part.text.encode(), "text/csv")
    path, after, state = f"/api/v1/imports/{began['id']}", 0, "running"
    while True:
        page = client.get(f"{path}{_query(client.tenant, after=after)}")
        tell(len(page["report"]))
        after += len(page["report"])
        for line in page["report"]:
            yield {**line, "line": part.lines.get(line["line"], line["line"])}
        if "next" not in page:
            if state != "running":
                break
            # What came between the last page and the end is on one more.
            state = page["state"]
            time.sleep(PAUSE if state == "running" else 0)
    if page["fault"] is not None:
        raise SettingsError(f"the import did not come to its end: {page['fault']}; it can be done again")


def _parts(file: TextIO) -> Iterator[Part]:
    """Of no more devices than one request takes; raises ``Misuse``."""
    text = file.read()
    first = text.partition("\n")[0]
    delimiter = next((one for one in ",;\t" if one in first), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        heading = next(rows, None)
        if not heading:
            raise Misuse("there is nothing in the table")
        found: list[tuple[int, list[str]]] = []
        for row in rows:
            if any(cell.strip() for cell in row):
                found.append((rows.line_num, row))
            if len(found) == PART:
                yield _part(delimiter, heading, found)
                found = []
    except csv.Error as error:
        raise Misuse(f"line {rows.line_num}: {error}") from error
    if found:
        yield _part(delimiter, heading, found)


def _part(delimiter: str, heading: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Part:
    out, lines, at = io.StringIO(), {}, 1
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(heading)
    for number, row in rows:
        writer.writerow(row)
        at += 1 + sum(cell.count("\n") for cell in row)
        lines[at] = number
    return Part(out.getvalue(), len(rows), lines)


def _query(tenant: str | None, **arguments: int | str) -> str:
    found = urlencode({**arguments, **({"tenant": tenant} if tenant else {})})
    return f"?{found}" if found else ""
