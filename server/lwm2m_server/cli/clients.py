"""``lwm2m clients``: who may call the HTTP API of a server. Asks it if it runs, or opens its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access.clients import ROLES
from lwm2m_server.cli.office import open_office
from lwm2m_server.cli.options import office_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

HEADING: Final = ("client", "tenant", "role", "speaks as", "added")


@click.group()
def clients() -> None:
    """Programs that may call the HTTP API, each with an id and a secret."""


@clients.command()
@click.argument("id")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do.")
@click.option("--tenant", metavar="NAME", help="Tenant; default the caller's or the server's own.")
@click.option(
    "--origin", "origins", metavar="AE-ID", multiple=True, help="The AE it speaks as; may be repeated."
)
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write id and secret there, for --token-file, instead of showing them.",
)
@office_options
def add(
    id: str,
    role: str,
    tenant: str | None,
    origins: Sequence[str],
    save: Path | None,
    url: str | None,
    token_file: Path | None,
    data: Path | None,
    config: Path | None,
) -> None:
    """Let the program ID call the API. Its secret is shown this once.

    As long as there are no clients, everybody on this machine may do everything; the first one ends that.
    """
    if save is not None and save.exists():
        raise SettingsError(f"--save: {save} exists")
    with open_office(url, token_file, data, config) as office:
        added = office.add_client(id, role, tenant, list(origins) or None)
    if save is None:
        click.echo(f"client id      {added['id']}\nclient secret  {added['secret']}")
        return
    _write(save, added)
    click.echo(f"{id} added; id and secret are in {save}")


@clients.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@office_options
def list_(
    as_json: bool, url: str | None, token_file: Path | None, data: Path | None, config: Path | None
) -> None:
    """Who may call; never the secrets."""
    with open_office(url, token_file, data, config) as office:
        found = office.clients()
    if as_json:
        click.echo(json.dumps(list(found)))
        return
    show_table(HEADING, [_row(client) for client in found])


@clients.command()
@click.argument("id")
@office_options
def revoke(id: str, url: str | None, token_file: Path | None, data: Path | None, config: Path | None) -> None:
    """The program ID may call no more; tokens it has are good no more."""
    with open_office(url, token_file, data, config) as office:
        office.revoke_client(id)
    click.echo(f"{id} revoked")


@clients.command("rotate-key")
@click.option("--at-once", is_flag=True, help="Tokens signed with the old one are good no more.")
@office_options
def rotate_key(
    at_once: bool, url: str | None, token_file: Path | None, data: Path | None, config: Path | None
) -> None:
    """Sign tokens with a new key; the server does so by itself every 30 days."""
    with open_office(url, token_file, data, config) as office:
        office.rotate_key(at_once=at_once)
    click.echo("tokens are signed with a new key")


def _row(client: Mapping[str, Any]) -> tuple[str, ...]:
    origins = client["origins"]
    return (
        client["id"],
        client["tenant"] or "-",
        client["role"],
        "any AE" if origins is None else ", ".join(origins),
        clock(client["created"]),
    )


def _write(file: Path, added: Mapping[str, Any]) -> None:
    """For its owner only."""
    document = {"client_id": added["id"], "client_secret": added["secret"]}
    if added["origins"]:
        document["origin"] = added["origins"][0]
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        # It is stored: the secret must not be lost.
        click.echo(json.dumps(document))
        raise SettingsError(f"--save: {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as opened:
        opened.write(json.dumps(document, indent=2) + "\n")
