"""``lwm2m packages``: firmware and software that devices can be updated with."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import clock

_COLUMNS: Final = ("package", "type", "title", "version", "size", "checksum", "created")
_FITS: Final = ("manufacturer", "model", "hardware-version", "profile")
_TYPE: Final = click.Choice(("firmware", "software"))

_json = click.option("--json", "as_json", is_flag=True, help="As the API has it.")
_name = click.argument("name")


@click.group()
def packages() -> None:
    """Firmware and software of a running server, for its devices."""


@packages.command("list")
@click.option("--type", "type_", type=_TYPE, help="Only of this type.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(type_: str | None, as_json: bool, **flags: Any) -> None:
    """One line a package."""
    client = Client.of(**flags)
    more = {"type": type_} if type_ is not None else {}
    found = client.get(client.api("/packages", **more))["packages"]
    if as_json:
        click.echo(json.dumps(found))
    else:
        show_table(_COLUMNS, map(_row, found))


@packages.command()
@_name
@_json
@client_options
def show(name: str, as_json: bool, **flags: Any) -> None:
    """The package NAME."""
    client = Client.of(**flags)
    _tell(client.get(_path(client, name)), as_json)


def _said(command: Callable[..., None]) -> Callable[..., None]:
    """What is said of a package."""
    for option in (
        *(click.option(f"--{one}", metavar="TEXT", help=f"Only for devices of this {one}.") for one in _FITS),
        click.option("--description", metavar="TEXT", help="What it is."),
        click.option("--tag", metavar="TEXT", help="Whatever else people call it."),
        click.option("--checksum", metavar="HEX", help="Its SHA-256."),
        click.option("--type", "type_", type=_TYPE, default="firmware", show_default=True),
        click.option("--version", required=True, metavar="TEXT", help="Its version."),
        click.option("--title", metavar="TEXT", help="Name that devices have for it; default NAME."),
        click.option("--name", metavar="NAME", help="Its name; default: of title and version."),
    ):
        command = option(command)
    return command


@packages.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_said
@_json
@client_options
def upload(
    file: Path, as_json: bool, url: str, tenant: str | None, token_file: Path | None, **said: str | None
) -> None:
    """Bring FILE to the server, which compares its SHA-256."""
    client = Client.of(url, tenant, token_file)
    members = {"fileName": file.name, **_members(said)}
    with file.open("rb") as stream:
        members.setdefault("checksum", hashlib.file_digest(stream, "sha256").hexdigest())
        stream.seek(0)
        with _progress(file.name, file.stat().st_size) as advance:
            body = io.BufferedReader(_Counted(stream, advance))
            made = client.upload(client.api("/packages", **members), body, file.stat().st_size)
    _tell(made, as_json)


@packages.command()
@click.argument("uri")
@click.option("--size", type=click.IntRange(0), metavar="BYTES", help="How long it is, for progress.")
@_said
@_json
@client_options
def refer(
    uri: str,
    size: int | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
    **said: str | None,
) -> None:
    """A package that lies at URI; devices fetch it from there."""
    client = Client.of(url, tenant, token_file)
    members: dict[str, Any] = _members(said)
    fits = {name: members.pop(name) for name in map(_camel, _FITS) if name in members}
    document = {**members, "url": uri, **({"size": size} if size is not None else {})}
    made = client.call("POST", client.api("/packages"), {**document, **({"fits": fits} if fits else {})})
    _tell(made, as_json)


@packages.command()
@_name
@click.argument("file", type=click.Path(path_type=Path))
@client_options
def download(name: str, file: Path, **flags: Any) -> None:
    """The bytes of the package NAME into FILE, compared with its SHA-256."""
    client = Client.of(**flags)
    package = client.get(_path(client, name))
    if file.exists():
        raise Misuse(f"{file} exists already")
    hash, draft = hashlib.sha256(), file.with_name(f"{file.name}.part")
    with _progress(file.name, package["size"]) as advance, draft.open("wb") as stream:
        for piece in client.pieces(_path(client, name, "file")):
            stream.write(piece)
            hash.update(piece)
            advance(len(piece))
    if hash.hexdigest() != package["checksum"]:
        draft.unlink()
        raise click.ClickException("what came is not the package: its SHA-256 is another")
    draft.replace(file)


@packages.command()
@_name
@client_options
def remove(name: str, **flags: Any) -> None:
    """Forget a package that nothing uses."""
    client = Client.of(**flags)
    client.delete(_path(client, name))
    click.echo(f"{name} removed")


# --- helpers ------------------------------------------------------------------------------------------


class _Counted(io.RawIOBase):
    """Tells how much of a file was read."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._advance(len(data))
        return len(data)


@contextmanager
def _progress(name: str, size: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    # Takes longer to import than most commands take to run.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    told = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*told, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=size)
        yield lambda count: progress.advance(task, count)


def _path(client: Client, name: str, *more: str) -> str:
    return client.api("/".join(("/packages", segment(name), *more)))


def _members(said: dict[str, str | None]) -> dict[str, str]:
    return {_camel(name): value for name, value in said.items() if value is not None}


def _camel(name: str) -> str:
    first, *rest = name.rstrip("_").replace("-", "_").split("_")
    return first + "".join(part.title() for part in rest)


def _tell(package: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(package))
        return
    shown = {**package, "createdAt": clock(package["createdAt"])}
    fits = shown.pop("fits")
    facts = [(name, str(value)) for name, value in {**shown, **fits}.items() if value not in (None, "")]
    click.echo(columns(("", ""), facts).lstrip("\n"))


def _row(one: dict[str, Any]) -> Sequence[str]:
    return (
        one["name"],
        one["type"],
        one["title"],
        one["version"],
        str(one["size"] or "-") if one["available"] else "lost",
        (one["checksum"] or "-")[:12],
        clock(one["createdAt"]),
    )
