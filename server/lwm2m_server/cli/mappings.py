"""``lwm2m devices mappings``: what a device told, and what mappings made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import UNITS, clock

_HEADING: Final = ("  LwM2M", "told", "at", "rule", "oneM2M", "value")


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def mappings(name: str, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The management objects of the device NAME: LwM2M left, oneM2M right, the rule between."""
    client = Client.of(url, tenant, token_file)
    document = client.get(client.api(f"/devices/{segment(name)}/mappings"))
    if as_json:
        click.echo(json.dumps(document))
        return
    for one in document["managed"]:
        changed = f", changed {clock(one['modifiedAt'])}" if one["exists"] else ", not there yet"
        click.echo(f"\n{one['name']} ({one['kind']}) of plugin {', '.join(one['plugins'])}{changed}")
        show_table(_HEADING, (row for each in one["attributes"] for row in _rows(each)))
    if not document["managed"]:
        click.echo(f"nothing is made of what {name} has told", err=True)
    _show_unmapped(document["unmapped"])


def _rows(one: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """One line a source; the attribute stands beside the first."""
    right = (
        _between(one),
        one["attribute"],
        _text(one["value"]) if one["value"] is not None else one["state"],
    )
    sources = one["sources"] or [one["executes"]]
    for place, source in enumerate(sources):
        yield (*_left(source), *(right if not place else ("", "", "")))


def _left(source: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if source is None:
        return "  -", "", ""
    told = _text(source["value"]) if source["state"] == "told" else source["state"]
    units = UNITS.get(source["units"], source["units"]) if source["state"] == "told" else None
    place = " ".join(word for word in (source["path"], source["name"]) if word)
    return f"  {place}", f"{told} {units}" if units else told, clock(source["at"])


def _between(one: Mapping[str, Any]) -> str:
    """``geo``, ``milliseconds, writable``, ``executes /5/0/2``"""
    words = [one["convert"] or ""]
    if one["executes"] is not None:
        words.append(f"executes {one['executes']['path']}")
        words.append(f"when {one['condition']}" if one["condition"] else "")
    elif one["writable"]:
        words.append("writable")
    return ", ".join(word for word in words if word)


def _show_unmapped(unmapped: Mapping[str, Any]) -> None:
    objects = [f"/{one['id']} {one['name'] or ''}".rstrip() for one in unmapped["objects"]]
    if objects:
        click.echo(f"\nnothing is made of {', '.join(objects)}")
    absent = [f"{one['name']} (/{', /'.join(map(str, one['objects']))})" for one in unmapped["managed"]]
    if absent:
        click.echo(f"not announced: {', '.join(absent)}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
