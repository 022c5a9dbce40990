"""``lwm2m tenants``: organizations that share a server. Asks it if one runs, or opens its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from lwm2m_server.cli.office import open_office
from lwm2m_server.cli.options import office_options
from lwm2m_server.cli.tables import show_table


@click.group()
def tenants() -> None:
    """Organizations that share a server and nothing else."""


@tenants.command()
@click.argument("name")
@click.option("--names", type=click.Choice(["long", "short"]), help="oneM2M attribute names in its answers.")
@office_options
def add(
    name: str,
    names: Literal["long", "short"] | None,
    url: str | None,
    token_file: Path | None,
    data: Path | None,
    config: Path | None,
) -> None:
    """Add the tenant NAME; it is in service at once."""
    with open_office(url, token_file, data, config) as office:
        office.add_tenant(name, names)
    click.echo(f"{name} added")


@tenants.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@office_options
def list_(
    as_json: bool, url: str | None, token_file: Path | None, data: Path | None, config: Path | None
) -> None:
    """All tenants; without the role system, those of the caller."""
    with open_office(url, token_file, data, config) as office:
        found = office.tenants()
    if as_json:
        click.echo(json.dumps(list(found)))
        return
    show_table(("tenant", "names"), [(one["name"], one["names"] or "-") for one in found])


@tenants.command()
@click.argument("name")
@office_options
def remove(
    name: str, url: str | None, token_file: Path | None, data: Path | None, config: Path | None
) -> None:
    """Remove the tenant NAME and its clients; not while it has devices or applications."""
    with open_office(url, token_file, data, config) as office:
        office.remove_tenant(name)
    click.echo(f"{name} removed")
