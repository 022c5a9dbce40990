"""``lwm2m queue``: what waits for a device; and taking a message back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

_STATES = {"waiting": "", "in flight": "under way"}
HEADING = ("id", "message", "since", "until", "for", "")


@click.command()
@click.argument("endpoint")
@click.option("--cancel", "canceled", metavar="ID", help="Take this message back.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def queue(
    endpoint: str,
    canceled: str | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """What waits for a device, in the order it will be sent: since when, and until when."""
    client = Client.of(url, tenant, token_file)
    if canceled is not None:
        client.delete(client.api(f"/devices/{segment(endpoint)}/queue/{segment(canceled)}"))
        click.echo(f"{canceled} taken back")
        return
    messages = client.get(client.api(f"/devices/{segment(endpoint)}/queue"))["queue"]
    if as_json:
        click.echo(json.dumps(messages))
    elif messages:
        show_table(HEADING, map(_row, messages))
    else:
        click.echo(f"nothing waits for {endpoint}", err=True)


def _row(message: Mapping[str, Any]) -> tuple[str, ...]:
    state, transferred = _STATES.get(message["state"], message["state"]), message["transferred"]
    if transferred is not None:
        state += f", {transferred['bytes']} of {transferred['of']} bytes"
    return (
        message["id"],
        message_text(message["content"]),
        clock(message["since"]),
        clock(message["until"]),
        _behalf(message["by"]),
        state,
    )


def _behalf(by: Mapping[str, Any]) -> str:
    """``rpc Read``, ``CMyApp``, ``platform``"""
    return f"rpc {by['method']}" if by["kind"] == "rpc" else str(by.get("origin", by["kind"]))


def message_text(content: str) -> str:
    """A message in a line; one that was sent as JSON reads as one that was sent as text."""
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return " ".join(content.split())
    value = document.get("value", "")
    parts = (
        document.get("method"),
        document.get("path"),
        value if isinstance(value, str) else json.dumps(value),
    )
    return " ".join(str(part) for part in parts if part not in (None, ""))
