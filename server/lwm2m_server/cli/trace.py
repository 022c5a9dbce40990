"""``lwm2m trace``: what is said between the server and one device."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from lwm2m_engine.formats import ContentFormat
from lwm2m_server.cli.client import Client
from lwm2m_server.cli.options import client_options

SHOWN = 8
"""Values of a message that are shown in its line."""
ARROWS = {"up": "<-", "down": "->"}


@click.command()
@click.argument("endpoint")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C; traces the device meanwhile.")
@click.option("--on", "switch", flag_value="on", help="Trace the device from now on.")
@click.option("--off", "switch", flag_value="off", help="Trace it no more, and forget what was said.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the payloads.")
@client_options
def trace(
    endpoint: str,
    follow: bool,
    switch: str | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """What is said with a device: -> to it, <- from it.

    Without options, what was said since the trace was switched on with --on.

    \b
    lwm2m trace device001 --follow
    """
    client = Client.of(url, tenant, token_file)
    if switch == "off":
        client.stop_trace(endpoint)
        return
    known = client.trace(endpoint)
    if switch == "on":
        client.start_trace(endpoint)
    if follow:
        _follow(client, endpoint, as_json, keep=known["tracing"] or switch == "on")
    elif switch is None:
        if not known["tracing"]:
            click.echo(f"{endpoint} is not traced; --on or --follow switches it on", err=True)
        for message in known["messages"]:
            _show(message, as_json)


def _follow(client: Client, endpoint: str, as_json: bool, keep: bool) -> None:
    client.start_trace(endpoint)
    try:
        for message in client.follow_trace(endpoint):
            _show(message, as_json)
    except KeyboardInterrupt:
        return
    finally:
        if not keep:
            client.stop_trace(endpoint)
    click.echo("the trace was ended by the server", err=True)


def _show(message: Mapping[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(message) if as_json else " ".join(_words(message)))


def _words(message: Mapping[str, Any]) -> Iterator[str]:
    """``20:15:03.120 <- 2.05 /3/0/9 text 2 B: /3/0/9 = 72 (7.4 ms)``"""
    seconds, thousandths = divmod(message["time"], 1000)
    yield f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{thousandths:03}"
    yield ARROWS[message["direction"]]
    yield message["message"]
    query = f"?{message['query']}" if "query" in message else ""
    yield f"{message['path']}{query}"
    for word in ("type", "location"):
        if word in message:
            yield str(message[word])
    if "observe" in message:
        yield f"observe={message['observe']}"
    if "payloadSize" in message:
        yield from _payload(message)
    if "duration" in message:
        yield f"({message['duration']:.1f} ms)"


def _payload(message: Mapping[str, Any]) -> Iterator[str]:
    if "contentFormat" in message:
        yield _format_name(message["contentFormat"])
    yield f"{message['payloadSize']} B:"
    if "values" in message:
        values = [f"/{path} = {json.dumps(value)}" for path, value in message["values"].items()]
        yield ", ".join(values[:SHOWN]) + (f", … {len(values)} values" if len(values) > SHOWN else "")
    elif "paths" in message:
        yield " ".join(f"/{path}" for path in message["paths"])
    elif "masked" in message:
        yield "masked, for it holds keys"
    else:
        yield _raw(message)


def _raw(message: Mapping[str, Any]) -> str:
    if "text" in message:
        return json.dumps(message["text"], ensure_ascii=False)
    reason = "cut off" if "cut" in message else f"not decoded: {message['error']}"
    return f"{reason}; base64 {message['payload']}"


def _format_name(number: int) -> str:
    known = number in ContentFormat.__members__.values()
    return ContentFormat(number).label if known else str(number)
