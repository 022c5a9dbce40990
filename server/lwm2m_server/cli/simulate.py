"""``lwm2m simulate``: devices for a server under test, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import click

from lwm2m_engine.errors import SettingsError
from lwm2m_server.cli.serve import run_until_stopped
from lwm2m_server.cli.updating import FaultyPart, update_options, updating_options
from lwm2m_server.settings import COAP, Address
from lwm2m_server.simulator.fleet import Fleet


def _address(context: click.Context, parameter: click.Parameter, value: str) -> Address:
    try:
        return Address.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _other_address(context: click.Context, parameter: click.Parameter, value: str | None) -> Address | None:
    return None if value is None else _address(context, parameter, value)


@click.command()
@click.option(
    "--coap",
    metavar="HOST:PORT",
    default=str(COAP),
    show_default=True,
    callback=_address,
    help="The server's CoAP/UDP address.",
)
@click.option(
    "--bootstrap",
    metavar="HOST:PORT",
    callback=_other_address,
    help="A bootstrap server (CoAP/UDP) that tells the devices where to register, instead of --coap.",
)
@click.option(
    "--coaps",
    metavar="HOST:PORT",
    callback=_other_address,
    help="The server's CoAPS/UDP address (DTLS), instead of --coap.",
)
@click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --coaps: hexadecimal of the pre-shared key of every device. Its name is its identity.",
)
@click.option("--devices", metavar="N", type=click.IntRange(1, 60000), default=1, show_default=True)
@click.option("--version", type=click.Choice(["1.0", "1.1", "1.2"]), default="1.0", show_default=True)
@click.option("--lifetime", metavar="SECONDS", type=click.IntRange(1), default=300, show_default=True)
@click.option("--queue-mode", is_flag=True, help="Sleep between two Updates.")
@click.option("--awake", metavar="SECONDS", type=float, default=93.0, show_default=True)
@click.option("--sleep", metavar="SECONDS", type=float, help="Default: until the lifetime needs an Update.")
@click.option("--prefix", default="device", show_default=True, help="device gives device001, device002 …")
@click.option(
    "--loss",
    metavar="PART",
    type=click.FloatRange(0, 0.9),
    default=0.0,
    help="The part of all datagrams that gets lost, each way: 0.2",
)
@click.option(
    "--block-size",
    type=click.Choice(["16", "32", "64", "128", "256", "512", "1024"]),
    default="1024",
    show_default=True,
    help="The most they send or take in one datagram.",
)
@updating_options
def simulate(
    coap: Address,
    bootstrap: Address | None,
    coaps: Address | None,
    key_file: Path | None,
    devices: int,
    version: str,
    lifetime: int,
    queue_mode: bool,
    awake: float,
    sleep: float | None,
    prefix: str,
    loss: float,
    block_size: str,
    update_fault: tuple[FaultyPart, ...],
    **updating: Any,
) -> None:
    """Run simulated LwM2M devices against a server."""

    if (coaps is None) != (key_file is None):
        raise click.UsageError("--coaps and --key-file belong together")
    if coaps is not None and bootstrap is not None:
        raise click.UsageError("--bootstrap tells the devices where to register, not --coaps")
    key = None if key_file is None else _key(key_file)
    options = update_options(**updating)

    async def main(stop: asyncio.Event) -> None:
        server, make = (coaps or coap, Fleet.of) if bootstrap is None else (bootstrap, Fleet.bootstrapped)
        fleet = make(
            await _resolve(server),
            devices,
            prefix=prefix,
            version=version,
            lifetime=lifetime,
            queue_mode=queue_mode,
            awake=awake,
            sleep=sleep,
            block_size=int(block_size),
            updating=options,
        )
        for number, device in enumerate(fleet.devices, 1):
            device.faults.loss = loss
            for part in update_fault:
                part.afflict(device.update_faults, number)
        if key is not None:
            fleet.secure(key)
        async with fleet:
            scheme = "coap" if key is None else "coaps"
            click.echo(f"{devices} devices -> {scheme}://{server}; Ctrl-C ends them", err=True)
            registered = asyncio.ensure_future(fleet.registered())
            registered.add_done_callback(_say_registered)
            await stop.wait()
            registered.cancel()
            await fleet.stop(deregister=True)

    run_until_stopped(main)


def _key(file: Path) -> bytes:
    try:
        return bytes.fromhex(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--key-file: {file}: {error}") from error


def _say_registered(registered: asyncio.Future[None]) -> None:
    if not registered.cancelled():
        click.echo("all registered", err=True)


async def _resolve(server: Address) -> tuple[str, int]:
    """One look-up for all devices."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(*server, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise click.ClickException(f"{server.host}: {error.strerror}") from error
    host, port, *_ = found[0][4]
    return str(host), int(port)
