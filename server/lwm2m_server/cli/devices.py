"""``lwm2m devices``: what a running server knows of its devices; add one, remove one, say when it listens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.enrolment import add, import_
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.power import power, power_text
from lwm2m_server.cli.queue import message_text
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import UNITS, clock

HEADING = ("name", "endpoint", "state", "lwm2m", "last seen", "waiting")


@click.group()
def devices() -> None:
    """Devices of a running server."""


devices.add_command(power)
devices.add_command(add)
devices.add_command(import_)


@devices.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """One line a device, in the order they were added."""
    found = Client.of(url, tenant, token_file).devices()
    if as_json:
        click.echo(json.dumps(list(found)))
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
