"""``lwm2m models upload`` and what belongs to it: the object models of a running server."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click

from lwm2m_server.cli.client import Client, ServerError, segment
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

MODELS: Final = "/api/v1/models"
BATCH: Final = 50
"""Files in one request: a step of the progress bar."""
BATCH_SIZE: Final = 4_000_000
"""Bytes."""
ARCHIVES: Final = (".zip", ".gz", ".tgz")
_UPLOADED: Final = (
    "object",
    "version",
    "name",
    "level",
    "in force",
    "profiles",
    "devices",
    "file",
    "uploaded",
)

_level = click.option(
    "--level",
    type=click.Choice(["tenant", "system"]),
    help="Whose: the tenant's, or every tenant's; default what the caller may change.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="As the API has it.")
_key = click.argument("key", metavar="ID/VERSION")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@_level
@click.option("--replace", is_flag=True, help="In place of what is uploaded for the same version.")
@_as_json
@client_options
def upload(
    paths: tuple[Path, ...],
    level: str | None,
    replace: bool,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Upload definition files, folders of them, or zip and tar.gz archives to a running server.

    Devices have them at once. Each file is kept whole or not at all; exit code 1 if one is refused.
    """
    client, files = Client.of(url, tenant, token_file), list(_files(paths))
    if not files:
        raise Misuse("there is no definition file (*.xml)")
    query = _query(tenant, level=level, replace="true" if replace else None)
    rows: list[dict[str, Any]] = []
    reasons: list[str] = []
    with click.progressbar(length=len(files), label="models", file=sys.stderr) as bar:
        for batch in _batches(files):
            report = _send(client, query, batch)
            rows += report["files"]
            reasons += report["mappings"]
            bar.update(len(batch))
    if as_json:
        click.echo(json.dumps({"files": rows, "mappings": reasons}))
    else:
        show_table(("file", "outcome", "defines", "problems"), map(_verdict, rows))
        for reason in reasons:
            click.echo(f"not mapped any more: {reason}", err=True)
    if any(row["outcome"] == "refused" for row in rows):
        raise click.exceptions.Exit(1)


@click.command()
@click.option(
    "--level", type=click.Choice(["tenant", "system", "folder", "bundled"]), help="Only of this level."
)
@click.option("--all", "everything", is_flag=True, help="Also those that came with the server.")
@_as_json
@client_options
def uploaded(
    level: str | None, everything: bool, as_json: bool, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """List what is uploaded to a running server, and who uses it."""
    client = Client.of(url, tenant, token_file)
    found = [
        row for row in _all(client, tenant, level) if level or everything or row["uploadedAt"] is not None
    ]
    if as_json:
        click.echo(json.dumps(found))
        return
    show_table(_UPLOADED, map(_row, found))


@click.command()
@_key
@click.option(
    "--to", "target", type=click.Path(path_type=Path, allow_dash=True), help="File; - for standard output."
)
@click.option(
    "--level", type=click.Choice(["tenant", "system", "folder", "bundled"]), help="Default the one in force."
)
@client_options
def download(
    key: str, target: Path | None, level: str | None, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """Fetch the XML of an object from a running server, as it was uploaded.

    Without --to it goes into a file of the name it was uploaded under, which must not be there yet.
    """
    client, path, query = Client.of(url, tenant, token_file), _path(key), _query(tenant, level=level)
    shown = client.get(f"{path}?{query}")
    data = client.fetch(f"{path}/file?{query}")
    if str(target) == "-":
        click.echo(data, nl=False)
        return
    # The name is somebody else's: nothing but a name in this folder.
    file = target or Path(Path(shown["fileName"]).name or "model.xml")
    mode = "wb" if target is not None else "xb"
    try:
        with file.open(mode) as opened:
            opened.write(data)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    click.echo(f"{file} written", err=True)


@click.command()
@_key
@_level
@click.option("--force", is_flag=True, help="Although it is used.")
@client_options
def remove(
    key: str, level: str | None, force: bool, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """Take an uploaded object away from a running server; not while it is used."""
    query = _query(tenant, level=level, force="true" if force else None)
    try:
        answer = Client.of(url, tenant, token_file).call("DELETE", f"{_path(key)}?{query}")
    except ServerError as error:
        for users in error.document.get("users", ()):
            click.echo("\n".join(_users(users)), err=True)
        raise
    below = answer["inForce"]
    rest = "nothing is in its place" if below is None else f"that of level {below['level']} is in force"
    click.echo(f"{key}: removed; {rest}")


# --- requests --------------------------------------------------------------------------------------


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.[xX][mM][lL]")) if path.is_dir() else (path,)


def _batches(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """An archive by itself, other files together."""
    batch: list[Path] = []
    size = 0
    for file in files:
        own = file.stat().st_size
        alone = file.suffix.lower() in ARCHIVES
        if batch and (alone or len(batch) == BATCH or size + own > BATCH_SIZE):
            yield batch
            batch, size = [], 0
        if alone:
            yield [file]
            continue
        batch.append(file)
        size += own
    if batch:
        yield batch


def _send(client: Client, query: str, files: Sequence[Path]) -> Mapping[str, Any]:
    """The report; raises ``ServerError`` where there is none."""
    boundary = uuid.uuid4().hex
    try:
        parts = [_part(boundary, file.name, file.read_bytes()) for file in files]
    except OSError as error:
        raise Misuse(f"{error.filename}: {error.strerror}") from error
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    try:
        report: dict[str, Any] = client.send(
            "POST", f"{MODELS}?{query}", body, f"multipart/form-data; boundary={boundary}"
        )
    except ServerError as error:
        if "files" not in error.document:
            raise
        return error.document
    return report


def _part(boundary: str, name: str, data: bytes) -> bytes:
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{escaped}"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def _all(client: Client, tenant: str | None, level: str | None) -> Iterator[dict[str, Any]]:
    offset: int | None = 0
    while offset is not None:
        page = client.get(f"{MODELS}?{_query(tenant, level=level, offset=str(offset))}")
        yield from page["models"]
        offset = page.get("nextOffset")


def _query(tenant: str | None, **arguments: str | None) -> str:
    given = {"tenant": tenant, **arguments}
    return urlencode({name: value for name, value in given.items() if value is not None})


def _path(key: str) -> str:
    id, _, version = key.strip("/").partition("/")
    if not (id.isascii() and id.isdigit() and version):
        raise click.UsageError(f"{key!r} is not an object and its version, such as 3/1.0")
    return f"{MODELS}/{id}/{segment(version)}"


# --- output ----------------------------------------------------------------------------------------


def _verdict(row: Mapping[str, Any]) -> Sequence[str]:
    defines = " ".join(f"{one['objectId']}/{one['objectVersion']}" for one in row["models"])
    problems = "; ".join(
        one["reason"] if one["line"] is None else f"line {one['line']}: {one['reason']}"
        for one in row["problems"]
    )
    return row["fileName"], row["outcome"], defines, problems


def _row(row: Mapping[str, Any]) -> Sequence[str]:
    return (
        str(row["objectId"]),
        row["objectVersion"],
        row["name"] or "-",
        row["level"],
        row["fault"] or ("yes" if row["inForce"] else "no"),
        str(row["usedBy"]["profiles"]),
        str(row["usedBy"]["devices"]),
        row["fileName"],
        clock(row["uploadedAt"]) if row["uploadedAt"] is not None else "-",
    )


def _users(users: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("profiles", "devices"):
        count, names = users[kind]["count"], users[kind]["names"]
        if count:
            more = " …" if len(names) < count else ""
            yield f"{kind} of {users['tenant']}: {count} ({', '.join(names)}{more})"
