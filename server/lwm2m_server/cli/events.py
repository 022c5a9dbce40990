"""``lwm2m events``: what happened to the devices of a tenant, and what happens from now on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_server.cli.client import Client, ServerError
from lwm2m_server.cli.options import client_options

SHOWN: Final = 8
"""Values of a message that are shown in its line."""
AGAIN: Final = 2.0
"""Seconds before a connection that broke is made again."""

_TOLD: Final = (
    "event",
    "package",
    "state",
    "reason",
    "detail",
    "text",
    "diagnostic",
    "error",
    "responseCode",
    "resourceName",
)
"""Members of a message that its line has, in this order."""


@click.command()
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), help="Begin behind the event with this number.")
@click.option("--device", metavar="NAME", multiple=True, help="Only of this device; may be repeated.")
@click.option("--kind", metavar="KIND", multiple=True, help="Only such as notification; may be repeated.")
@click.option("--path", metavar="PATH", multiple=True, help="Only about this or below; may be repeated.")
@click.option("--label", metavar="TEXT", multiple=True, help="Only of devices with it; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@client_options
def events(
    follow: bool,
    after: int | None,
    device: tuple[str, ...],
    kind: tuple[str, ...],
    path: tuple[str, ...],
    label: tuple[str, ...],
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """What happened to devices: registrations, messages, values, errors.

    Without options, those of the last 100 events that are yours; each begins with its number.

    \b
    lwm2m events --follow --device device001 --kind notification --kind send
    """
    client = Client.of(url, tenant, token_file)
    wanted = {"device": device, "kind": kind, "path": path, "label": label}
    for number, name, message in _followed(client, after, wanted) if follow else _kept(client, after, wanted):
        click.echo(_json(number, name, message) if as_json else _line(number, name, message))


def _kept(
    client: Client, after: int | None, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    while True:
        page = client.events(after, **wanted)
        for event in page["events"]:
            yield event["id"], event["kind"], event["message"]
        if after is None or page["next"] == after:
            return
        after = page["next"]


def _followed(
    client: Client, after: int | None, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """A server that was there once is waited for."""
    connected = False
    try:
        while True:
            try:
                for number, name, message in client.follow_events(after, **wanted):
                    after, connected = number, True
                    if message is not None:
                        yield number, name, message
            except ServerError as error:
                if error.status or not connected:
                    raise
            time.sleep(AGAIN)
    except KeyboardInterrupt:
        return


def _json(number: int, kind: str, message: Mapping[str, Any]) -> str:
    return json.dumps({"id": number, "kind": kind, "message": message}, ensure_ascii=False)


def _line(number: int, kind: str, message: Mapping[str, Any]) -> str:
    """``17 20:15:03.120 device001 notification /3303/0 /3303/0/5700 = 21.5``"""
    if kind == "gap":
        return f"{number} gap: the events {message['from']} to {message['to']} are kept no more"
    return " ".join(
        (str(number), _moment(message["time"]), message["nodeResourceName"], kind, *_told(message))
    )


def _moment(milliseconds: float) -> str:
    seconds, thousandths = divmod(int(milliseconds), 1000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{thousandths:03}"


def _told(message: Mapping[str, Any]) -> Iterator[str]:
    if message.get("operation"):
        yield message["operation"]
    if message.get("resourcePath"):
        yield f"/{message['resourcePath']}"
    values = {f"/{path}": value for path, value in (message.get("dataValue") or {}).items()}
    values |= message.get("attributes") or {}
    for name in _TOLD:
        if name in message and message[name] != "":
            yield str(message[name])
    shown = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    yield ", ".join(shown[:SHOWN]) + (f", … {len(shown)} values" if len(shown) > SHOWN else "")
