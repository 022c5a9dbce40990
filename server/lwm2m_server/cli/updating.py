"""The options of ``lwm2m simulate`` about updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import click

from lwm2m_server.simulator.updating import Delivery, UpdateFaults, UpdateOptions

FAULTS = {
    "result": "the Update Result they end with: result=8",
    "power-loss": "power is lost once, after so many bytes: power-loss=5000",
    "power-loss-installing": "power is lost once while they install",
    "forgetful": "they do not go on with a download after power was lost",
    "lost": "they do not come back from the installation",
    "lying": "they report success and run what they ran before",
}
_Command = TypeVar("_Command", bound=Callable[..., Any])


@attrs.frozen(slots=True)
class FaultyPart:
    """What goes wrong at every so many-th device."""

    name: str
    value: int | None
    every: int

    def afflict(self, faults: UpdateFaults, number: int) -> None:
        """The device with this number, from 1."""
        if number % self.every:
            return
        match self.name:
            case "result":
                faults.result = self.value
            case "power-loss":
                faults.power_loss_at = self.value
            case "power-loss-installing":
                faults.power_loss_installing = True
            case "forgetful":
                faults.forgetful = True
            case "lost":
                faults.lost = True
            case "lying":
                faults.lying = True


def _parts(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[FaultyPart, ...]:
    return tuple(_part(value) for value in values)


def _part(value: str) -> FaultyPart:
    what, _, every = value.partition("@")
    name, has_value, number = what.partition("=")
    if name not in FAULTS:
        raise click.BadParameter(f"{name!r} is none of {', '.join(FAULTS)}")
    if (name in ("result", "power-loss")) != bool(has_value) or (has_value and not number.isdecimal()):
        raise click.BadParameter(f"{what!r}: {FAULTS[name]}")
    if every and not (every.isdecimal() and int(every)):
        raise click.BadParameter(f"{value!r}: a number is due after @, 10 for every tenth device")
    return FaultyPart(name, int(number) if has_value else None, int(every or 1))


def updating_options(command: _Command) -> _Command:
    """Adds them to a command."""
    for option in reversed(
        (
            click.option(
                "--delivery",
                type=click.Choice([one.name.lower() for one in Delivery]),
                default=Delivery.BOTH.name.lower(),
                show_default=True,
                help="How they take an image (/5/0/9).",
            ),
            click.option(
                "--install",
                metavar="SECONDS",
                type=click.FloatRange(0),
                default=1.0,
                show_default=True,
                help="Before they fall silent to restart.",
            ),
            click.option(
                "--reboot",
                metavar="SECONDS",
                type=click.FloatRange(0),
                default=2.0,
                show_default=True,
                help="How long they are silent.",
            ),
            click.option(
                "--software",
                metavar="N",
                type=click.IntRange(0, 100),
                default=0,
                help="Instances of Software Management (9).",
            ),
            click.option(
                "--component",
                metavar="NAME",
                multiple=True,
                help="An Instance of Advanced Firmware Update (33629); may be repeated.",
            ),
            click.option(
                "--update-fault",
                metavar="NAME[=NUMBER][@EVERY]",
                multiple=True,
                callback=_parts,
                help="What goes wrong with updates; @10: at every tenth device. "
                + "; ".join(f"{name}: {text}" for name, text in FAULTS.items())
                + ". May be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def update_options(
    delivery: str, install: float, reboot: float, software: int, component: tuple[str, ...]
) -> UpdateOptions:
    """As they were given."""
    return UpdateOptions(
        delivery=Delivery[delivery.upper()],
        install=install,
        reboot=reboot,
        software=software,
        components=component,
    )
