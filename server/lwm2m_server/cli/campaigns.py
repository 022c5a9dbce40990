"""``lwm2m campaigns``: packages for many devices, wave by wave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import click

from lwm2m_server.cli.campaign_flags import definition_flags, definition_from
from lwm2m_server.cli.campaign_progress import follow
from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Exit, Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import clock

_STATES: Final = ("waiting", "active", "succeeded", "failed", "skipped", "cancelled")

_json = click.option("--json", "as_json", is_flag=True, help="As the API has it.")
_name = click.argument("name")


@click.group()
def campaigns() -> None:
    """Packages for many devices, wave by wave."""


@campaigns.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(as_json: bool, **flags: Any) -> None:
    """One line a campaign."""
    client = Client.of(**flags)
    found = client.get(client.api("/campaigns"))["campaigns"]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        (one["name"], one["state"], one["package"], _number(one["total"]), clock(one["startedAt"]) or "-")
        for one in found
    ]
    show_table(("campaign", "state", "package", "devices", "started"), rows)


@campaigns.command()
@_name
@click.option("--file", type=click.File("rb"), metavar="FILE", help="JSON of it; flags count more.")
@definition_flags
@click.option("--start", is_flag=True, help="Start it at once.")
@_json
@client_options
def create(
    name: str,
    file: IO[bytes] | None,
    start: bool,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Any,
    **members: Any,
) -> None:
    """Define the campaign NAME: which package is for which devices, and how it gets to them.

    All of --device, --group, --profile and the patterns must fit; in a pattern * is any text.
    """
    client = Client.of(url, tenant, token_file)
    document = {**_document(file), **definition_from(**members), "name": name}
    made = client.call("POST", client.api("/campaigns"), document)
    if start:
        made = client.call("POST", _path(client, name, "start"))
    _tell(made, as_json)


@campaigns.command()
@_name
@_json
@client_options
def show(name: str, as_json: bool, **flags: Any) -> None:
    """How far the campaign NAME is, wave by wave, and why devices failed."""
    client = Client.of(**flags)
    found = client.get(_path(client, name))
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(columns(("", ""), _facts(found)).lstrip("\n"))
    if found["waves"]:
        show_table(("wave", "devices", "approved", "to approve", *_STATES), map(_wave, found["waves"]))
    if found["failures"]:
        rows = [(str(one["count"]), one["reason"] or "-") for one in found["failures"]]
        show_table(("failed", "reason"), rows)


@campaigns.command()
@_name
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def devices(name: str, state: str | None, as_json: bool, **flags: Any) -> None:
    """Devices of the campaign NAME, in the order in which their turn comes."""
    client = Client.of(**flags)
    found = list(_devices(client, name, state))
    if as_json:
        click.echo(json.dumps(found))
        return
    show_table(("device", "wave", "state", "update", "reason"), map(_device, found))


@campaigns.command()
@_name
@_json
@client_options
def start(name: str, as_json: bool, **flags: Any) -> None:
    """Start a draft: its devices are looked for, and its first wave begins."""
    _act(name, "start", as_json, **flags)


@campaigns.command()
@_name
@_json
@client_options
def pause(name: str, as_json: bool, **flags: Any) -> None:
    """Begin and install nothing for now; what installs goes on."""
    _act(name, "pause", as_json, **flags)


@campaigns.command()
@_name
@_json
@client_options
def resume(name: str, as_json: bool, **flags: Any) -> None:
    """Go on; failures up to now do not count any more."""
    _act(name, "resume", as_json, **flags)


@campaigns.command()
@_name
@_json
@client_options
def abort(name: str, as_json: bool, **flags: Any) -> None:
    """End it; what installs is let finish."""
    _act(name, "abort", as_json, **flags)


@campaigns.command()
@_name
@click.option("--wave", metavar="N", type=click.IntRange(1), help="Only of this wave, from 1; default all.")
@_json
@client_options
def approve(name: str, wave: int | None, as_json: bool, **flags: Any) -> None:
    """Let devices install."""
    _act(name, "approve", as_json, {} if wave is None else {"wave": wave}, **flags)


@campaigns.command()
@_name
@_json
@client_options
def retry(name: str, as_json: bool, **flags: Any) -> None:
    """Try the devices that failed once more."""
    _act(name, "retry", as_json, **flags)


@campaigns.command()
@_name
@client_options
def remove(name: str, **flags: Any) -> None:
    """Forget a campaign that is no longer going on."""
    client = Client.of(**flags)
    client.delete(_path(client, name))
    click.echo(f"{name} removed")


@campaigns.command()
@_name
@click.option("--every", metavar="SECONDS", type=click.FloatRange(0.1), default=1.0, show_default=True)
@client_options
def watch(name: str, every: float, **flags: Any) -> None:
    """Follow the campaign NAME until it is over; ends with 1 unless all of it went well."""
    client = Client.of(**flags)
    done = follow(lambda: client.get(_path(client, name)), every)
    if done["state"] != "finished" or done["counts"]["failed"]:
        raise click.exceptions.Exit(Exit.FAILED)


# --- helpers ------------------------------------------------------------------------------------------


def _path(client: Client, name: str, *more: str) -> str:
    return client.api("/".join(("/campaigns", segment(name), *more)))


def _act(name: str, action: str, as_json: bool, body: Any = None, **flags: Any) -> None:
    client = Client.of(**flags)
    _tell(client.call("POST", _path(client, name, action), body), as_json)


def _tell(campaign: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(campaign) if as_json else f"{campaign['name']} is {_state(campaign)}")


def _state(campaign: dict[str, Any]) -> str:
    reason = campaign["reason"]
    return f"{campaign['state']}: {reason}" if reason else str(campaign["state"])


def _document(file: IO[bytes] | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        document = json.loads(file.read())
    except ValueError as error:
        raise Misuse(f"{file.name}: {error}") from error
    if not isinstance(document, dict):
        raise Misuse(f"{file.name}: a JSON object is due")
    return document


def _devices(client: Client, name: str, state: str | None) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    wanted = {} if state is None else {"state": state}
    while after is not None:
        path = client.api(f"/campaigns/{segment(name)}/devices", after=after, limit=1000, **wanted)
        page = client.get(path)
        yield from page["devices"]
        after = page.get("next")


def _facts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    definition = found["definition"]
    yield "campaign", found["name"]
    yield "state", _state(found)
    yield "package", definition["package"]
    yield "for", ", ".join(f"{kind} {_text(value)}" for kind, value in definition["target"].items())
    yield "devices", _number(found["total"])
    yield "done", f"{found['progress']:.0%}"
    for label, name in (("started", "startedAt"), ("ended", "endedAt"), ("expires", "expiresAt")):
        if found[name] is not None:
            yield label, clock(found[name])
    if found["updates"]:
        yield "under way", ", ".join(f"{count} {state}" for state, count in found["updates"].items())
    yield "", ""


def _wave(wave: dict[str, Any]) -> Sequence[str]:
    return (
        str(wave["wave"]),
        str(wave["size"]),
        "yes" if wave["approved"] else "no",
        str(wave["awaitingApproval"]),
        *(str(wave["counts"][state]) for state in _STATES),
    )


def _device(row: dict[str, Any]) -> Sequence[str]:
    update = row["update"]
    shown = "-" if update is None else update["state"]
    if update is not None and update["progress"] is not None and row["state"] == "active":
        shown = f"{shown} {update['progress']:.0%}"
    reason = row["reason"] or (update or {}).get("reason")
    return row["device"], str(row["wave"]), row["state"], shown, reason or "-"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
