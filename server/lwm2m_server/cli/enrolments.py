"""``lwm2m enrolments``: which unknown devices may come, and who waits for somebody's word."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

BATCH: Final = 1000
"""Keys in one request."""
_BASE: Final = "/api/v1/enrolments"


@click.group()
def enrolments() -> None:
    """Devices that nobody added: which may come, and who waits."""


@enrolments.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The rules there are."""
    client = Client.of(url, tenant, token_file)
    rules = client.get(f"{_BASE}{_query(client)}")["enrolments"]
    if as_json:
        click.echo(json.dumps(rules))
        return
    show_table(("name", "by", "endpoints", "profile", "approval"), [_row(rule) for rule in rules])


@enrolments.command()
@click.argument("name")
@client_options
def show(name: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The rule NAME, as JSON, without its secret."""
    client = Client.of(url, tenant, token_file)
    click.echo(json.dumps(client.get(_one(client, name)), indent=2))


@enrolments.command("set")
@click.argument("name")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@client_options
def set_(name: str, file: TextIO, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Make the rule NAME, or make it anew, from the JSON in FILE (- is standard input)."""
    client = Client.of(url, tenant, token_file)
    try:
        rule = json.load(file)
    except ValueError as error:
        raise Misuse(f"the rule is no JSON: {error}") from error
    client.call("PUT", _one(client, name), rule)
    click.echo(f"{name} set")


@enrolments.command()
@click.argument("name")
@client_options
def remove(name: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """No more devices come by the rule NAME; those that came stay."""
    client = Client.of(url, tenant, token_file)
    client.delete(_one(client, name))
    click.echo(f"{name} removed")


@enrolments.command()
@click.argument("name")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@client_options
def keys(name: str, file: TextIO, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Give the rule NAME keys of devices that are not there yet, from a CSV FILE (- is standard input).

    \b
    identity,endpoint,key
    meter-7,urn:imei:351934546788206,6b6579206f66207369787465656e2121

    The key is in hexadecimal digits; without an endpoint it is the identity.
    """
    client = Client.of(url, tenant, token_file)
    rows, stored = list(_rows(file)), 0
    with click.progressbar(length=max(len(rows), 1), label="keys", file=sys.stderr) as bar:
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH)):
            place = f"{_BASE}/{segment(name)}/keys{_query(client)}"
            stored += client.call("POST", place, {"keys": batch})["stored"]
            bar.update(len(batch))
    click.echo(f"{stored} keys stored")


@enrolments.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def pending(as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Who came and waits."""
    client = Client.of(url, tenant, token_file)
    found = client.get(f"{_BASE}/pending{_query(client)}")["pending"]
    if as_json:
        click.echo(json.dumps(found))
        return
    heading = ("endpoint", "rule", "by", "identity", "from", "last seen", "attempts")
    show_table(heading, [_waiting(one) for one in found])


@enrolments.command()
@click.argument("endpoint")
@client_options
def approve(endpoint: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Let the device ENDPOINT in that waits; it comes again by itself."""
    client = Client.of(url, tenant, token_file)
    made = client.call("POST", f"{_BASE}/pending/{segment(endpoint)}/approve{_query(client)}")
    click.echo(f"{endpoint} let in as {made['device']}")


@enrolments.command()
@click.argument("endpoint")
@client_options
def reject(endpoint: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Never let ENDPOINT in by the rule it came by."""
    client = Client.of(url, tenant, token_file)
    client.call("POST", f"{_BASE}/pending/{segment(endpoint)}/reject{_query(client)}")
    click.echo(f"{endpoint} rejected")


def _rows(file: TextIO) -> Iterator[dict[str, str]]:
    rows = csv.DictReader(file, skipinitialspace=True)
    known = {"identity", "endpoint", "key"}
    if not {"identity", "key"} <= set(rows.fieldnames or ()) <= known:
        raise Misuse("the first line has to be identity,endpoint,key")
    for row in rows:
        if None in row or None in row.values():
            raise Misuse(f"line {rows.line_num} has not as many cells as the first")
        yield {name: cell.strip() for name, cell in row.items() if cell.strip()}


def _row(rule: Mapping[str, Any]) -> tuple[str, ...]:
    endpoints = ", ".join(rule["endpoints"])
    return rule["name"], rule["by"], endpoints, rule.get("profile") or "", rule["approval"]


def _waiting(one: Mapping[str, Any]) -> tuple[str, ...]:
    seen = clock(one["lastSeen"])
    return (
        one["endpoint"],
        one["rule"],
        one["securityMode"],
        one["identity"] or "",
        one["address"],
        seen,
        str(one["attempts"]),
    )


def _one(client: Client, name: str) -> str:
    return f"{_BASE}/{segment(name)}{_query(client)}"


def _query(client: Client) -> str:
    return f"?tenant={segment(client.tenant)}" if client.tenant else ""
