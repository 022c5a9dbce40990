"""``lwm2m updates``: packages on their way to single devices."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Exit
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import clock

_UNDER_WAY: Final = ("queued", "offered", "transferring", "downloaded", "awaiting-approval")
_AT_ITS_END: Final = ("installing", "rebooting", "verifying", "succeeded", "failed", "cancelled")
_STATES: Final = (*_UNDER_WAY, *_AT_ITS_END)
_SEVERITIES: Final = ("critical", "mandatory", "optional")
_OVER: Final = frozenset(("succeeded", "failed", "cancelled"))
_COLUMNS: Final = ("id", "device", "package", "state", "progress", "since", "reason")

_json = click.option("--json", "as_json", is_flag=True, help="As the API has it.")
_watch = click.option("--watch", is_flag=True, help="Follow it until it is over; 1 unless it succeeds.")
_name = click.argument("name")
_id = click.argument("id", type=click.IntRange(1))


@click.group()
def updates() -> None:
    """Packages on their way to single devices; for many at a time see 'lwm2m campaigns'."""


@updates.command("list")
@click.argument("name", required=False)
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@click.option("--campaign", metavar="CAMPAIGN", help="Only of this campaign.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(name: str | None, state: str | None, campaign: str | None, as_json: bool, **flags: Any) -> None:
    """Of the device NAME the newest first, or of all devices the oldest."""
    client = Client.of(**flags)
    if name is None:
        found = list(_all(client, state=state, campaign=campaign))
    else:
        found = [
            one
            for one in client.get(_path(client, name))["updates"]
            if state in (None, one["state"]) and campaign in (None, one["campaign"])
        ]
    if as_json:
        click.echo(json.dumps(found))
    else:
        show_table(_COLUMNS, map(_row, found))


@updates.command()
@_name
@click.argument("package")
@click.option("--method", type=click.Choice(("auto", "push", "pull")), default="auto", show_default=True)
@click.option("--approval", is_flag=True, help="Wait for 'lwm2m updates approve' before it is installed.")
@click.option("--install-after", metavar="TIME", help="Not before: ISO 8601, or milliseconds since 1970.")
@click.option("--force", is_flag=True, help="Also if the version runs already.")
@click.option("--comparison", type=click.Choice(("exact", "semantic")), help="Of versions; default exact.")
@click.option("--version-from", type=click.Choice(("auto", "package", "device")), help="What tells it.")
@click.option("--attempts", type=click.IntRange(1, 10), help="Default 3.")
@click.option("--instance", type=click.IntRange(0, 65534), help="Of object 9 or 33629.")
@click.option("--component", metavar="TEXT", help="Of object 33629, by its name.")
@click.option("--severity", type=click.Choice(_SEVERITIES), help="What the device is told of it.")
@click.option("--defer-period", metavar="SECONDS", type=click.IntRange(0), help="It may be put off so long.")
@_watch
@_json
@client_options
def begin(
    name: str,
    package: str,
    install_after: str | None,
    version_from: str | None,
    severity: str | None,
    defer_period: int | None,
    watch: bool,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
    **options: Any,
) -> None:
    """Update the device NAME with PACKAGE."""
    client = Client.of(url, tenant, token_file)
    given = {option: value for option, value in options.items() if value not in (None, False)}
    if version_from is not None:
        given["versionFrom"] = version_from
    if severity is not None:
        given["severity"] = _SEVERITIES.index(severity)
    if defer_period is not None:
        given["deferPeriod"] = defer_period
    if install_after is not None:
        given["installAfter"] = int(install_after) if install_after.isdecimal() else install_after
    update = client.call("POST", _path(client, name), {"package": package, **given})
    _finish(client, update, watch, as_json)


@updates.command()
@_name
@_id
@_watch
@_json
@client_options
def show(name: str, id: int, watch: bool, as_json: bool, **flags: Any) -> None:
    """The update ID of the device NAME, and how it got where it is."""
    client = Client.of(**flags)
    update = client.get(_path(client, name, str(id)))
    if watch:
        _finish(client, update, watch, as_json)
    elif as_json:
        click.echo(json.dumps(update))
    else:
        click.echo(columns(("", ""), _facts(update)).lstrip("\n"))
        rows = [(clock(one["at"]), one["state"], one["reason"] or "-") for one in update["timeline"]]
        show_table(("at", "state", "reason"), rows)


def _acting(action: str, text: str) -> click.Command:
    """A command that does something with an update and tells what it is then."""

    @click.command(action, help=text)
    @_name
    @_id
    @_watch
    @_json
    @client_options
    def command(name: str, id: int, watch: bool, as_json: bool, **flags: Any) -> None:
        client = Client.of(**flags)
        update = client.call("POST", _path(client, name, str(id), action))
        _finish(client, update, watch, as_json)

    return command


for _action, _text in {
    "approve": "Let the update ID of the device NAME be installed.",
    "cancel": "Cancel the update ID of the device NAME; not once the device installs.",
    "retry": "Begin the update ID of the device NAME anew, after its end.",
}.items():
    updates.add_command(_acting(_action, _text))


# --- helpers ------------------------------------------------------------------------------------------


def _path(client: Client, name: str, *more: str) -> str:
    return client.api("/".join((f"/devices/{segment(name)}/updates", *more)))


def _all(client: Client, **wanted: str | None) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    filters = {name: value for name, value in wanted.items() if value is not None}
    while after is not None:
        page = client.get(client.api("/updates", after=after, **filters))
        yield from page["updates"]
        after = page.get("next")


def _finish(client: Client, update: dict[str, Any], watch: bool, as_json: bool) -> None:
    if watch:
        path = _path(client, update["device"], str(update["id"]))
        update = _follow(lambda: client.get(path), update)
    reason = f": {update['reason']}" if update["reason"] else ""
    told = f"update {update['id']} of {update['device']} is {update['state']}{reason}"
    click.echo(json.dumps(update) if as_json else told)
    if watch and update["state"] != "succeeded":
        raise click.exceptions.Exit(Exit.FAILED)


def _follow(look: Callable[[], dict[str, Any]], update: dict[str, Any], every: float = 0.5) -> dict[str, Any]:
    """Until it is over; a bar on standard error, if that is a terminal, else a line for each state."""
    if not sys.stderr.isatty():
        shown = None
        while update["state"] not in _OVER:
            if update["state"] != shown:
                shown = update["state"]
                click.echo(_state(update), err=True)
            time.sleep(every)
            update = look()
        return update
    # Takes longer to import than most commands take to run.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    told = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*told, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(_state(update), total=100.0)
        while update["state"] not in _OVER:
            progress.update(task, description=_state(update), completed=update["progress"] or 0.0)
            time.sleep(every)
            update = look()
        progress.update(task, description=_state(update), completed=update["progress"] or 0.0)
    return update


def _state(update: dict[str, Any]) -> str:
    return f"{update['state']}: {update['reason']}" if update["reason"] else str(update["state"])


def _facts(update: dict[str, Any]) -> list[tuple[str, str]]:
    facts = {
        "device": update["device"],
        "package": f"{update['package']} ({update['title']} {update['version']})",
        "campaign": update["campaign"],
        "state": _state(update),
        "progress": _progress(update),
        "method": update["method"],
        "path": update["path"],
        "failed attempts": str(update["attempts"]),
        "next": clock(update["dueAt"]) if update["dueAt"] else None,
    }
    return [(name, value) for name, value in facts.items() if value]


def _progress(update: dict[str, Any]) -> str:
    if update["progress"] is None:
        return f"{update['bytes']} bytes"
    return f"{update['progress']:g} %"


def _row(update: dict[str, Any]) -> Sequence[str]:
    return (
        str(update["id"]),
        update["device"],
        update["package"],
        update["state"],
        _progress(update),
        clock(update["changedAt"]),
        update["reason"] or "-",
    )
