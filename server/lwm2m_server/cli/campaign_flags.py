"""The flags of ``lwm2m campaigns create`` that say what the campaign is to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_WINDOW: Final = re.compile(r"(?:([a-z,]+) )?([\d:]+)-([\d:]+)(?: (\S+))?")
_TARGETS: Final = ("group", "profile", "endpoint", "manufacturer", "model")


def _moment(context: click.Context, parameter: click.Parameter, value: datetime | None) -> int | None:
    """Local time as milliseconds."""
    return None if value is None else round(value.astimezone().timestamp() * 1000)


def _waves(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[dict[str, float]]:
    return [_share(value) for value in values]


def _limit(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, float] | None:
    return None if value is None else _share(value)


def _share(value: str) -> dict[str, float]:
    """``10%`` or ``10``"""
    try:
        return {"percent": float(value[:-1])} if value.endswith("%") else {"count": int(value)}
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number of devices nor a share as 10%") from error


def _window(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    if value is None:
        return None
    found = _WINDOW.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not as 'mon,fri 22:00-05:00 Europe/Berlin'")
    days, begin, end, zone = found.groups()
    window: dict[str, Any] = {"from": begin, "to": end}
    return window | ({"days": days.split(",")} if days else {}) | ({"zone": zone} if zone else {})


_FLAGS: Final = (
    click.option("--package", metavar="NAME", help="The package."),
    click.option("--device", "devices", metavar="NAME", multiple=True, help="A device; may be repeated."),
    click.option("--group", metavar="NAME", help="Devices of this device group."),
    click.option("--profile", metavar="NAME", help="Devices that this profile is for."),
    click.option("--endpoint", metavar="PATTERN", help="Devices with such an endpoint name."),
    click.option("--manufacturer", metavar="PATTERN", help="What they say in /3/0/0."),
    click.option("--model", metavar="PATTERN", help="What they say in /3/0/1."),
    click.option("--current-version", metavar="PATTERN", help="What they say in /3/0/3."),
    click.option(
        "--wave",
        "waves",
        metavar="N|N%",
        multiple=True,
        callback=_waves,
        help="So many devices, then the next wave; may be repeated. The last one is of all that are left.",
    ),
    click.option("--max", "maxInProgress", metavar="N", type=int, help="So many at a time. [default: 100]"),
    click.option(
        "--failures", "threshold", metavar="N|N%", callback=_limit, help="Stop when so many have failed."
    ),
    click.option("--on-failures", type=click.Choice(["pause", "abort"]), default="pause", show_default=True),
    click.option(
        "--approval",
        type=click.Choice(["none", "campaign", "wave"]),
        help="What is approved before anything is installed. [default: none]",
    ),
    click.option(
        "--window",
        metavar="'[DAYS] FROM-TO [ZONE]'",
        callback=_window,
        help="When it may be installed: 'mon,fri 22:00-05:00 Europe/Berlin'.",
    ),
    click.option("--window-covers", type=click.Choice(["install", "all"]), default="install"),
    click.option("--attempts", metavar="N", type=int, help="Of each device. [default: 3]"),
    click.option("--method", type=click.Choice(["auto", "push", "pull"]), help="[default: auto]"),
    click.option("--force", is_flag=True, default=None, help="Also where the version runs already."),
    click.option(
        "--start-at", "startAt", type=click.DateTime(), callback=_moment, help="Not before this local time."
    ),
    click.option(
        "--expires-at", "expiresAt", type=click.DateTime(), callback=_moment, help="[default: in 30 days]"
    ),
)


def definition_flags(command: F) -> F:
    """Adds them to a command."""
    for option in reversed(_FLAGS):
        command = option(command)
    return command


def definition_from(
    *,
    devices: tuple[str, ...],
    current_version: str | None,
    waves: list[dict[str, float]],
    threshold: dict[str, Any] | None,
    on_failures: str,
    window: dict[str, Any] | None,
    window_covers: str,
    **members: Any,
) -> dict[str, Any]:
    """What was said, as the API takes it."""
    target = {name: members.pop(name) for name in _TARGETS}
    target |= {"version": current_version, "devices": list(devices) or None}
    found = {name: value for name, value in target.items() if value is not None}
    if threshold is not None:
        threshold |= {"action": on_failures}
    if window is not None:
        window |= {"covers": window_covers}
    members |= {
        "target": found or None,
        "waves": waves or None,
        "failureThreshold": threshold,
        "window": window,
    }
    return {name: value for name, value in members.items() if value is not None}
