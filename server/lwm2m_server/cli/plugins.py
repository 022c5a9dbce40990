"""``lwm2m plugins``: see which plugins run, check one, start a new one. Needs no server."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources
from lwm2m_engine.plugins.checking import check_files
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_engine.plugins.registry import PluginRow
from lwm2m_server.cli.tables import show_table
from lwm2m_server.sinks.kinds import OWN_KINDS

HEADING = ("name", "status", "writes", "origin", "reason")

TEMPLATE = '''\
"""The battery of a device as oneM2M's management object battery, from LwM2M Object 3 (Device)."""

from lwm2m_engine import Mapping, Rule, hookimpl


def battery_status(status: int) -> int:
    """oneM2M counts from 1 what LwM2M counts from 0: normal, charging, charge complete ..."""
    return status + 1


@hookimpl
def lwm2m_mappings(catalog):
    yield Mapping(
        "m2m:battery",  # what it is
        name="battery",  # its name below the device's node
        read_at_register=True,
        rules=[
            Rule("/3/0/battery_level", "batteryLevel"),  # /3/0/9 says the same
            Rule("/3/0/battery_status", "batteryStatus", convert=battery_status),
        ],
        examples=[
            ({"/3/0/9": 72, "/3/0/20": 1}, {"batteryLevel": 72, "batteryStatus": 2}),
        ],
    )
'''

models = click.option(
    "--models",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="One more folder (or file) of object XML; may be repeated.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")


@click.group()
def plugins() -> None:
    """Plugins: list them, check one, start a new one."""


@plugins.command("list")
@click.option(
    "--plugins-dir",
    "directories",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="One more folder of plugins; may be repeated.",
)
@click.option("--enable", metavar="NAME", multiple=True, help="A plugin that is off by default.")
@models
@click.option("--strict", is_flag=True, help="Exit code 1 if a plugin cannot be used.")
@as_json
def list_(
    directories: tuple[Path, ...],
    enable: tuple[str, ...],
    models: tuple[Path, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """List the plugins, what each writes, and why one does not run."""
    manager = PluginManager.default(directories, enabled=enable)
    manager.codecs()
    manager.sinks(OWN_KINDS)
    manager.table(Catalog.of(Sources.standard(models, plugins=manager.models())))
    _show(manager.report, as_json)
    if strict and any(row.status == "failed" for row in manager.report):
        raise click.exceptions.Exit(1)


@plugins.command()
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@models
@as_json
def check(files: tuple[Path, ...], models: tuple[Path, ...], as_json: bool) -> None:
    """Load plugins, compile their mappings and run the examples; exit code 1 if one is not good."""
    rows = check_files(files, models)
    if as_json:
        _show(rows, as_json)
    for row in rows:
        if row.status != "loaded":
            click.echo(row.reason, err=True)
        elif not as_json:
            click.echo(f"{row.file}: good{', writes ' if row.mappings else ''}{', '.join(row.mappings)}")
    if any(row.status != "loaded" for row in rows):
        raise click.exceptions.Exit(1)


@plugins.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
def new(file: Path) -> None:
    """Write a small complete mapping to start from; never over a file that is there."""
    if file.suffix != ".py":
        raise click.UsageError(f"{file} does not end in .py")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as target:
            target.write(TEMPLATE)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    click.echo(f"{file} is written. Next:")
    click.echo(f"  lwm2m plugins check {file}")
    click.echo(f"  lwm2m demo --plugins-dir {file.parent}")


def _show(rows: tuple[PluginRow, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([attrs.asdict(row) for row in rows], indent=2))
        return
    show_table(
        HEADING, ((row.name, row.status, " ".join(row.mappings), row.origin, row.reason) for row in rows)
    )
