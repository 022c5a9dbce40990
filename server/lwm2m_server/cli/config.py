"""``lwm2m config show``: every setting, its value and its origin."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from lwm2m_server.cli.options import given, server_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.configuration import load


@click.group()
def config() -> None:
    """Settings: lwm2m.toml, LWM2M_* variables and flags."""


@config.command()
@server_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, by setting.")
def show(config: Path | None, as_json: bool, **flags: Any) -> None:
    """Print each setting with its value and where the value came from."""
    loaded = load(config, environ=os.environ, flags=given(flags))
    rows = [(key, _plain(value), origin) for key, value, origin in loaded.rows()]
    if as_json:
        click.echo(
            json.dumps({key: {"value": value, "origin": origin} for key, value, origin in rows}, indent=2)
        )
        return
    show_table(("setting", "value", "origin"), [(key, _text(value), origin) for key, value, origin in rows])


def _plain(value: object) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [str(item) for item in value]
    return str(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return json.dumps(value) if isinstance(value, bool) else str(value)
