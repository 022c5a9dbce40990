"""``lwm2m devices power``: when a device listens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.options import client_options

F = TypeVar("F", bound=Callable[..., Any])


def _seconds(flag: str, help: str) -> Callable[[F], F]:
    seconds = click.FloatRange(min=0.0, min_open=True)
    return click.option(flag, metavar="SECONDS", type=seconds, help=help)


@click.command()
@click.argument("name")
@_seconds("--awake-window", "How long it listens after each message of its own.")
@click.option("--psm", is_flag=True, help="It sleeps between its messages, queue mode or not.")
@_seconds("--active-timer", "With PSM, how long it listens after each message (T3324).")
@_seconds("--tau", "With PSM, how often it listens though it has nothing to say (T3412).")
@_seconds("--edrx-cycle", "With eDRX, how often it listens though it has nothing to say.")
@_seconds("--paging-window", "With eDRX, for how long it does.")
@click.option("--default", "forget", is_flag=True, help="Back to what it says itself when it registers.")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def power(
    name: str,
    awake_window: float | None,
    psm: bool,
    active_timer: float | None,
    tau: float | None,
    edrx_cycle: float | None,
    paging_window: float | None,
    forget: bool,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """When the device NAME listens. With options, that is set, all of it anew; without, it is shown.

    \b
    lwm2m devices power meter7 --active-timer 20 --tau 86400
    lwm2m devices power meter7 --edrx-cycle 40.96 --paging-window 5.12
    """
    client = Client.of(url, tenant, token_file)
    document = {
        "awakeWindow": awake_window,
        "psm": _group(psm, activeTimer=active_timer, tau=tau),
        "edrx": _group(False, cycle=edrx_cycle, pagingTimeWindow=paging_window),
    }
    is_set = any(value is not None for value in document.values())
    if forget and is_set:
        raise click.UsageError("--default stands alone")
    if forget:
        client.unset_power(name)
    elif is_set:
        client.set_power(name, document)
    found = client.power(name)
    click.echo(json.dumps(found) if as_json else power_text(found))


def _group(is_there: bool, **members: float | None) -> dict[str, float] | None:
    given = {key: value for key, value in members.items() if value is not None}
    return given if given or is_there else None


def power_text(power: Mapping[str, Any] | None) -> str:
    """``PSM: 20 s after each message, and every 86400 s``"""
    if power is None:
        return "as it says itself when it registers"
    psm, edrx = power["psm"], power["edrx"]
    if psm is not None:
        often = f", and every {psm['tau']:g} s" if psm["tau"] is not None else ""
        return f"PSM: {_after(psm['activeTimer'])}{often}"
    if edrx is not None:
        times = f"for {edrx['pagingTimeWindow']:g} s every {edrx['cycle']:g} s"
        return f"eDRX: {_after(power['awakeWindow'])}, and {times}"
    return _after(power["awakeWindow"])


def _after(seconds: float | None) -> str:
    return f"{seconds:g} s after each message" if seconds is not None else "for a while after each message"
