"""``lwm2m audit``: who changed what on a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

HEADING: Final = ("when", "client", "as", "did", "to", "status")


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="So many, the newest first."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def audit(limit: int, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Who changed what, the newest first; takes the role admin."""
    found = list(islice(_entries(Client.of(url, tenant, token_file)), limit))
    if as_json:
        click.echo(json.dumps(found))
        return
    show_table(HEADING, [_row(entry) for entry in found])


def _entries(client: Client) -> Iterator[Mapping[str, Any]]:
    before: int | None = 0
    while before is not None:
        page = client.audit(before)
        yield from page["entries"]
        before = page.get("next")


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    what = entry["facts"].get("created", entry["target"])
    return (
        clock(entry["at"]),
        entry["client"],
        entry["origin"] or "-",
        entry["action"],
        what,
        str(entry["status"]),
    )
