"""``lwm2m deliveries``: how notifications get to applications, and those that did not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import clock

_TARGETS: Final = ("target", "application", "waiting", "oldest", "delivered", "failed", "dead", "last error")
_LETTERS: Final = ("id", "target", "device", "at", "reason")


@click.group()
def deliveries() -> None:
    """How notifications get to the applications of a running server.

    What could not be delivered for a day is a dead letter: it can be shown, replayed and dropped.
    """


@deliveries.command("list")
@click.option("--dead", is_flag=True, help="The dead letters, the oldest first.")
@click.option("--target", metavar="TARGET", help="Only of this target, as subscriptions name it.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(
    dead: bool, target: str | None, as_json: bool, url: str, tenant: str | None, token_file: Path | None
) -> None:
    """One line a target; counts are since the server was started."""
    client = Client.of(url, tenant, token_file)
    if dead:
        rows = list(client.dead_letters(target))
    else:
        rows = [row for row in client.deliveries()["deliveries"] if target in (None, row["target"])]
    if as_json:
        click.echo(json.dumps(rows))
    elif dead:
        show_table(_LETTERS, map(_letter, rows))
    else:
        show_table(_TARGETS, map(_target, rows))


@deliveries.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def show(id: str, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The dead letter ID, with its content."""
    letter = Client.of(url, tenant, token_file).dead_letter(id)
    if as_json:
        click.echo(json.dumps(letter))
        return
    facts = [
        ("target", letter["target"]),
        ("subscription", letter["subscription"]),
        ("device", letter["device"] or "-"),
        ("happened", clock(letter["at"])),
        ("given up", clock(letter["diedAt"])),
        ("reason", letter["reason"]),
    ]
    click.echo(columns(("", ""), facts).lstrip("\n"))
    click.echo(json.dumps(letter["notification"], indent=2, ensure_ascii=False))


def _chosen(command: Callable[..., None]) -> Callable[..., None]:
    """Which dead letters it is about, and whose."""
    for option in (
        client_options,
        click.option("--target", metavar="TARGET", help="All of this target, as subscriptions name it."),
        click.option("--all", "everything", is_flag=True, help="All of them."),
        click.argument("ids", metavar="[ID]...", nargs=-1),
    ):
        command = option(command)
    return command


@deliveries.command()
@_chosen
def replay(
    ids: tuple[str, ...],
    everything: bool,
    target: str | None,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Deliver dead letters after all, behind what waits for their target."""
    client = Client.of(url, tenant, token_file)
    count = _each(ids, everything, target, client.replay, client.replay_all)
    click.echo(f"{count} to be delivered again")


@deliveries.command()
@_chosen
def drop(
    ids: tuple[str, ...],
    everything: bool,
    target: str | None,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Forget dead letters."""
    client = Client.of(url, tenant, token_file)
    click.echo(f"{_each(ids, everything, target, client.drop, client.drop_all)} dropped")


def _each(
    ids: Sequence[str],
    everything: bool,
    target: str | None,
    one: Callable[[str], None],
    many: Callable[[str | None], int],
) -> int:
    """How many it was done to."""
    if sum((bool(ids), everything, target is not None)) != 1:
        raise Misuse("name dead letters by their ids, or give --target or --all")
    if not ids:
        return many(target)
    for id in ids:
        one(id)
    return len(ids)


def _target(row: dict[str, Any]) -> Sequence[str]:
    return (
        row["target"],
        row["application"] or "-",
        str(row["waiting"]),
        clock(row["oldestWaiting"]) if row["oldestWaiting"] is not None else "-",
        str(row["delivered"]),
        str(row["failed"]),
        str(row["dead"]),
        row["lastError"] or "-",
    )


def _letter(row: dict[str, Any]) -> Sequence[str]:
    return (row["id"], row["target"], row["device"] or "-", clock(row["at"]), row["reason"])
