"""``lwm2m problems``: what could not be decoded, mapped or done on a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

import click

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.hexview import hexview
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.spans import Span
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import clock
from lwm2m_server.problems.kinds import KINDS

_PATH: Final = "/api/v1/problems"
_HEADING: Final = ("id", "last", "times", "kind", "device", "what")

_ids = click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))


@click.group()
def problems() -> None:
    """What could not be decoded, mapped or done; what happens again and again is one problem."""


@problems.command("list")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only of this kind.")
@click.option("--device", metavar="NAME", help="Only about this device, by name or endpoint name.")
@click.option("--text", metavar="TEXT", help="Only where this text occurs.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(
    kinds: tuple[str, ...], device: str | None, text: str | None, limit: int, as_json: bool, **flags: Any
) -> None:
    """One line a problem, the newest first."""
    wanted = {"kind": kinds, "device": device, "q": text}
    found = list(islice(_all(Client.of(**flags), wanted), limit))
    if as_json:
        click.echo(json.dumps(found))
    elif found:
        show_table(_HEADING, map(_row, found))
    else:
        click.echo("nothing is wrong")


@problems.command()
@click.argument("id", type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def show(id: int, as_json: bool, **flags: Any) -> None:
    """The problem ID in full, with what to do next."""
    client = Client.of(**flags)
    one = client.get(_path(client, id))
    if as_json:
        click.echo(json.dumps(one))
        return
    facts = dict(one["facts"])
    payload = bytes.fromhex(facts.pop("payload", ""))
    shown = [
        ("what", one["text"]),
        ("kind", f"{one['kind']}: {KINDS[one['kind']]}"),
        ("device", one["device"] or "-"),
        ("times", str(one["count"])),
        ("first", clock(one["firstAt"])),
        ("last", clock(one["lastAt"])),
        *((name, value if isinstance(value, str) else json.dumps(value)) for name, value in facts.items()),
        ("do next", one["advice"]),
    ]
    click.echo(columns(("", ""), shown).lstrip("\n"))
    if payload:
        for line in hexview(payload, [Span(0, len(payload))], lambda entry: ""):
            click.echo(line)


@problems.command()
@_ids
@client_options
def dismiss(ids: tuple[int, ...], **flags: Any) -> None:
    """Forget these; what happens again is there again."""
    client = Client.of(**flags)
    for id in ids:
        client.delete(_path(client, id))


def _path(client: Client, id: int | None = None, query: Mapping[str, Any] | None = None) -> str:
    given = {name: value for name, value in (query or {}).items() if value}
    if client.tenant:
        given["tenant"] = client.tenant
    return f"{_PATH}{'' if id is None else f'/{id}'}?{urlencode(given, doseq=True)}"


def _all(client: Client, wanted: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    after: int | None = 0
    while after is not None:
        page = client.get(_path(client, query={**wanted, "after": after}))
        yield from page["problems"]
        after = page.get("next")


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    when, device = clock(one["lastAt"]), one["device"] or "-"
    return str(one["id"]), when, str(one["count"]), one["kind"], device, one["text"]
