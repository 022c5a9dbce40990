"""``lwm2m devices``: what a running server knows of its devices; add one, remove one, say when it listens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.enrolment import add, import_
from lwm2m_server.cli.mappings import mappings
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.power import power, power_text
from lwm2m_server.cli.queue import message_text
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import UNITS, clock

HEADING = ("name", "endpoint", "profile", "state", "lwm2m", "last seen", "waiting")
STATES = ("registered", "unregistered", "awake", "asleep")
SORTS = ("created", "name", "endpoint", "registeredAt", "lastSeen")
PAGE = 1000
"""Devices that the server tells at once."""
SHOWN = 5
"""Exchanges that are shown of a device."""


@click.group()
def devices() -> None:
    """Devices of a running server."""


devices.add_command(power)
devices.add_command(add)
devices.add_command(import_)
devices.add_command(mappings)


@devices.command("list")
@click.option("--search", metavar="TEXT", help="Only those with this in a name or id.")
@click.option("--registered/--unregistered", default=None, help="Only those that are, or are not.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--profile", metavar="NAME", help="Only those this device profile is for.")
@click.option("--group", metavar="NAME", help="Only members of this device group.")
@click.option("--sort", type=click.Choice(SORTS), help="What to sort by; default when they were added.")
@click.option("--reverse", is_flag=True, help="Downwards.")
@click.option("--first", metavar="N", type=click.IntRange(1), help="Only so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(
    search: str | None,
    registered: bool | None,
    state: str | None,
    profile: str | None,
    group: str | None,
    sort: str | None,
    reverse: bool,
    first: int | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """One line a device: all of them, or those that are looked for."""
    wanted = {
        "q": search,
        "registered": None if registered is None else str(registered).lower(),
        "state": state,
        "profile": profile,
        "group": group,
        "sort": sort,
        "order": "desc" if reverse else None,
        "limit": None if first is None else str(min(first, PAGE)),
    }
    found = list(islice(Client.of(url, tenant, token_file).devices(**wanted), first))
    if as_json:
        click.echo(json.dumps(found))
        return
    show_table(HEADING, [_row(device) for device in found])


@devices.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def show(name: str, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """What the device NAME supports, what can be read and written, whether it is awake, what waits for it."""
    device = Client.of(url, tenant, token_file).device(name)
    if as_json:
        click.echo(json.dumps(device))
        return
    click.echo(columns(("", ""), _facts(device)).lstrip("\n"))
    for spec in device["objects"]:
        click.echo(f"\n{_title(spec)}")
        if spec["resources"]:
            show_table(("  id", "name", "may", "type", "units"), _resource_rows(spec["resources"]))


@devices.command()
@click.argument("name")
@client_options
def remove(name: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Forget the device NAME with all its messages; its registration ends."""
    client = Client.of(url, tenant, token_file)
    client.delete(f"{client.base}/{segment(name)}")
    click.echo(f"{name} removed")


def _row(device: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        device["name"],
        device["endpoint"] or "",
        device["profile"] or "",
        _state(device),
        device["version"] or "",
        clock(device["lastSeen"]),
        str(device["waiting"]),
    )


def _state(device: Mapping[str, Any]) -> str:
    if not device["registered"]:
        return "not registered"
    if device["awake"] is None:
        return "registered"
    if device["awake"]:
        return f"awake until {clock(device['awakeUntil'])}"
    return "asleep" if device["listensAt"] is None else f"asleep until {clock(device['listensAt'])}"


def _facts(device: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield device["name"], _state(device)
    yield "endpoint", device["endpoint"] or "has not registered yet"
    yield "node id", device["nodeId"]
    if device["profile"] is not None:
        yield "profile", device["profile"]
    if device["labels"]:
        yield "labels", ", ".join(device["labels"])
    if device["registered"]:
        yield "speaks", f"LwM2M {device['version']}, lifetime {device['lifetime']} s, {_mode(device)}"
        yield "at", device["address"]
        yield "last seen", clock(device["lastSeen"])
        for warning in device["registration"]["warnings"]:
            yield "tolerated", warning
    if device["powerSaving"] is not None:
        yield "listens", power_text(device["powerSaving"])
    for observation in device["observations"]:
        yield "observed", _observed(observation)
    for message in device["messages"]:
        under_way = "   (under way)" if message["inFlight"] else ""
        yield "waiting", f"{message_text(message['content'])}{under_way}"
    for exchange in device["exchanges"][:SHOWN]:
        yield "said", _said(exchange)


def _said(exchange: Mapping[str, Any]) -> str:
    """``14:03:59 response read /3/0/9 2.05``"""
    words = (exchange.get(name) for name in ("kind", "operation", "path", "code", "reason", "text"))
    moment = clock(int(exchange["time"])) if "time" in exchange else ""
    return " ".join(str(word) for word in (moment, *words) if word)


def _mode(device: Mapping[str, Any]) -> str:
    if device["queueMode"]:
        return "queue mode: sleeps between Updates"
    return "no queue mode: always awake" if device["awake"] is None else "no queue mode: saves power"


def _observed(observation: Mapping[str, Any]) -> str:
    prefix = f"/{observation['prefix']}" if observation["prefix"] else ""
    words = [f"{prefix}{path}" for path in observation["paths"]]
    if observation["attributes"]:
        words.append(observation["attributes"])
    if not observation["active"]:
        words.append("  (wanted; the device will be asked again)")
    return " ".join(words)


def _title(spec: Mapping[str, Any]) -> str:
    instances = ", ".join(map(str, spec["instances"])) or "none"
    if spec["name"] is None:
        return f"/{spec['id']} version {spec['version']}: no definition loaded; instances {instances}"
    return f"/{spec['id']} {spec['name']}, version {spec['version']}; instances {instances}"


def _resource_rows(resources: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for resource in resources:
        yield (
            f"  {resource['id']}",
            resource["name"],
            resource["operations"],
            resource["type"],
            UNITS.get(resource["units"], resource["units"]),
        )
