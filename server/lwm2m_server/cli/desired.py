"""``lwm2m desired``: what Resources of a device shall be, and how far that has come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

_COLUMNS: Final = ("key", "path", "desired", "reported", "state", "since", "reason")


@click.command()
@click.argument("name")
@click.argument("wishes", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--forget", metavar="KEY", multiple=True, help="Want nothing of this Resource any more.")
@click.option("--retry", is_flag=True, help="Ask once more for what failed.")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def desired(
    name: str,
    wishes: tuple[str, ...],
    forget: tuple[str, ...],
    retry: bool,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """What Resources of the device NAME shall be, and how far that has come.

    With KEY=VALUE, by key name or path, say what a Resource shall be: it is written when the device can hear
    it. VALUE is JSON, or else a text: 21.5, true, Europe/Berlin.
    """
    client = Client.of(url, tenant, token_file)
    path = f"/devices/{segment(name)}/desired"
    members: dict[str, Any] = {**dict(map(_member, wishes)), **dict.fromkeys(forget)}
    if retry:
        document = client.call("POST", client.api(f"{path}/retry"))
    if members:
        document = client.call("PATCH", client.api(path), members)
    elif not retry:
        document = client.call("GET", client.api(path))
    if as_json:
        click.echo(json.dumps(document["desired"]))
    else:
        show_table(_COLUMNS, map(_row, document["desired"]))


def _member(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Misuse(f"{text!r}: KEY=VALUE is due")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    reported = one["reported"]
    return (
        one["key"],
        one["path"],
        _value(one["value"], one["units"]),
        "-" if reported is None else _value(reported["value"], one["units"]),
        one["state"],
        clock(one["since"]),
        one["reason"] or "",
    )


def _value(value: Any, units: str | None) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text} {units}" if units else text
