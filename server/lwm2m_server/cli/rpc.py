"""``lwm2m rpc``: ask a device something by method, and see what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click

from lwm2m_server.cli.client import TIMEOUT, Client, segment
from lwm2m_server.cli.exits import Misuse, Unanswered
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import UNITS, clock

HEADING: Final = ("id", "method", "about", "state", "since", "result")
WAITING: Final = ("QUEUED", "SENT", "DELIVERED")
_LISTS: Final = ("ids", "keys")
_SHARE: Final = 5.0
"""Seconds that an answer may take on its way from the server."""


class _Rpc(click.Group):
    """What is no command is a device to call."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["call", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Rpc, subcommand_metavar="NAME METHOD [PARAM]... | COMMAND [ARGS]...")
def rpc() -> None:
    """Ask a device something: lwm2m rpc NAME METHOD [PARAM]...

    METHOD is Read, WriteReplace, Execute, Observe, DiscoverAll … PARAM is id=/3/0/9, key=batteryLevel,
    value=5 and so on, a path or a key name alone, or all of them as one JSON object.
    """


@rpc.command()
@click.argument("name")
@click.argument("method")
@click.argument("params", metavar="[PARAM]...", nargs=-1)
@click.option("--one-way", is_flag=True, help="Do not wait for the answer.")
@click.option("--persistent", is_flag=True, help="It waits until the device can be asked.")
@click.option("--retries", metavar="N", type=int, help="Send it again so often; needs --persistent.")
@click.option("--timeout", metavar="SECONDS", type=float, help="How long to wait for the answer.")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def call(
    name: str,
    method: str,
    params: tuple[str, ...],
    one_way: bool,
    persistent: bool,
    retries: int | None,
    timeout: float | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """The long form, for a device that goes by the name of a command."""
    client = Client.of(url, tenant, token_file)
    if timeout is not None:
        client = attrs.evolve(client, patience=max(timeout + _SHARE, TIMEOUT))
    more = {
        "oneway": one_way or None,
        "persistent": persistent or None,
        "retries": retries,
        "timeout": None if timeout is None else int(timeout * 1000),
    }
    given = {key: value for key, value in more.items() if value is not None}
    body = {"method": method, "params": read_params(params), **given}
    found = client.call("POST", client.api(f"/devices/{segment(name)}/rpc"), body)
    if as_json:
        click.echo(json.dumps(found))
    else:
        _tell(found)
    if "error" in found and found["state"] not in WAITING:
        raise click.ClickException(found["error"])
    if found["state"] in WAITING and not one_way and not persistent:
        raise Unanswered(f"{name} sleeps; 'lwm2m rpc show {found['id']}' tells what comes of it")


@rpc.command("list")
@click.argument("name")
@click.option("--state", metavar="STATE", help="Only those in this state, e.g. QUEUED.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(
    name: str, state: str | None, as_json: bool, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """What the device NAME was asked, the newest first."""
    client = Client.of(url, tenant, token_file)
    found = list(_pages(client, name, state))
    if as_json:
        click.echo(json.dumps(found))
    elif found:
        show_table(HEADING, map(_row, found))
    else:
        click.echo(f"{name} was asked nothing", err=True)


@rpc.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def show(id: str, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The RPC ID, and what came of it."""
    client = Client.of(url, tenant, token_file)
    found = client.get(client.api(f"/rpc/{segment(id)}"))
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(columns(("", ""), list(_facts(found))).lstrip("\n"))
    if "value" in found:
        click.echo()
        _tell(found)


@rpc.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@client_options
def cancel(ids: tuple[str, ...], url: str, tenant: str | None, token_file: Path | None) -> None:
    """Take RPCs back that wait; forget those that have an outcome."""
    client = Client.of(url, tenant, token_file)
    for id in ids:
        ended = client.call("DELETE", client.api(f"/rpc/{segment(id)}"))
        click.echo(f"{id} forgotten" if ended is None else f"{id} taken back")


def read_params(words: Sequence[str]) -> dict[str, Any]:
    """From the command line: ``id=/3/0/9``, a path or key name alone, or one JSON object."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            found: dict[str, Any] = json.loads(words[0])
        except json.JSONDecodeError as error:
            raise Misuse(f"the params are not JSON: {error}") from None
        return found
    params: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            key, text = ("id" if "/" in word else "key"), word
        if key in params:
            raise Misuse(f"{key} is given twice")
        params[key] = text.split(",") if key in _LISTS and not text.startswith("[") else _value(key, text)
    return params


def _value(key: str, text: str) -> Any:
    """JSON, or else a text; paths and names are texts whatever they look like."""
    if key in ("id", "key", "contentFormat"):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _pages(client: Client, name: str, state: str | None) -> Iterator[dict[str, Any]]:
    more: dict[str, str] = {} if state is None else {"state": state}
    while True:
        page = client.get(client.api(f"/devices/{segment(name)}/rpc", **more))
        yield from page["rpcs"]
        if "next" not in page:
            return
        more["after"] = page["next"]


def _tell(found: Mapping[str, Any]) -> None:
    """Values with their names and units, or what there is else."""
    for note in found["notes"]:
        click.echo(note, err=True)
    if found.get("entries"):
        show_table(("path", "name", "value", "units"), map(_entry, found["entries"]))
    elif found["state"] in WAITING:
        click.echo(f"{found['id']} {found['state']} until {clock(found['expiresAt'])}")
    elif isinstance(found.get("value"), list):
        for one in found["value"]:
            click.echo(json.dumps(one, ensure_ascii=False))
    elif "error" not in found:
        value = found.get("value")
        shown = f" {json.dumps(value, ensure_ascii=False)}" if value is not None else ""
        click.echo(f"{found['code']} {found['result']}{shown}")


def _entry(one: Mapping[str, Any]) -> tuple[str, ...]:
    units = one.get("units") or ""
    return (
        one["path"],
        one.get("name") or "",
        json.dumps(one.get("value"), ensure_ascii=False),
        UNITS.get(units, units),
    )


def _row(found: Mapping[str, Any]) -> tuple[str, ...]:
    params = found["params"] if isinstance(found["params"], dict) else {}
    about = next((params[key] for key in ("key", "id", "keys", "ids") if params.get(key)), "")
    return (
        found["id"],
        found["method"],
        ",".join(about) if isinstance(about, list) else str(about),
        found["state"],
        clock(found["createdAt"]),
        found.get("error") or found.get("result") or "",
    )


def _facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield found["id"], found["state"]
    yield "device", found["device"]
    yield "asked", f"{found['method']} {json.dumps(found['params'], ensure_ascii=False)}"
    yield "since", clock(found["createdAt"])
    for key, title in (("sentAt", "sent"), ("retryAt", "sent again"), ("finishedAt", "ended")):
        if found.get(key) is not None:
            yield title, clock(found[key])
    if found["state"] in WAITING:
        yield "until", clock(found["expiresAt"])
    if "code" in found:
        yield "answer", f"{found['code']} {found['result']}"
    for key in ("error", "location"):
        if found.get(key):
            yield key, found[key]
