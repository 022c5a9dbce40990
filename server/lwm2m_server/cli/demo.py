"""``lwm2m demo``: the server with simulated devices, and a running commentary."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs
import click

from lwm2m_engine.engine.events import Asleep, Event
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server import app, logs
from lwm2m_server.cli.narration import Narrator
from lwm2m_server.cli.options import given, server_options
from lwm2m_server.cli.serve import announce, run_until_stopped, taken_listeners
from lwm2m_server.configuration import load
from lwm2m_server.settings import HTTP, Address, Settings
from lwm2m_server.simulator.fleet import Fleet

AWAKE: Final = 5.0
"""Seconds a simulated sleeper stays awake; the server's awake window is the same here."""
SLEEP: Final = 30.0
NARRATED: Final = 3
"""Simulated devices whose life is told."""
PATIENCE: Final = 10.0
"""Seconds to wait for the first sleeper before the commands to try are shown anyway."""
EXAMPLE: Final = "device001"

PRESETS: Final = {
    "tenant": "demo",
    "devices.unknown": "create",
    "devices.awake_window": AWAKE,
    "credentials.readable": True,
    "log.level": "warning",
}


@click.command()
@click.option(
    "--devices", type=click.IntRange(min=0), default=2, show_default=True, help="Simulated devices."
)
@server_options
def demo(devices: int, config: Path | None, **flags: Any) -> None:
    """A server with simulated devices, to look around.

    Takes free ports where the usual ones are busy, lets every device in, shows secrets, and keeps
    nothing unless --data says where. Reads no lwm2m.toml unless --config names it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lwm2m-")))
        presets = {**PRESETS, "data": folder}
        loaded = load(config, environ=os.environ, flags=given(flags), presets=presets, implicit=False)
        settings = with_free_ports(loaded.settings)
        logs.configure(settings.log)
        temporary = settings.data == folder
        run_until_stopped(lambda stop: _run(settings, devices, temporary, stop), settings.coap_stack)


def with_free_ports(settings: Settings) -> Settings:
    """The settings, with port 0 where an address is taken."""
    taken = set(taken_listeners(settings))

    def free(name: str, address: Address) -> Address:
        return address._replace(port=0) if (name, address) in taken else address

    return attrs.evolve(
        settings,
        coap=tuple(free("coap", address) for address in settings.coap),
        coap_tcp=tuple(free("coap_tcp", address) for address in settings.coap_tcp),
        coaps=tuple(free("coaps", address) for address in settings.coaps),
        coaps_tcp=tuple(free("coaps_tcp", address) for address in settings.coaps_tcp),
        http=free("http", settings.http),
    )


async def _run(settings: Settings, count: int, temporary: bool, stop: asyncio.Event) -> None:
    tasks: list[asyncio.Task[None]] = []

    def ready(running: app.Running) -> None:
        announce(running)
        tasks.append(asyncio.create_task(_show(running, settings, count, temporary), name="demo"))

    try:
        await app.run(settings, ready=ready, stop=stop)
    finally:
        for task in tasks:
            task.cancel()
            await asyncio.wait([task])


async def _show(running: app.Running, settings: Settings, count: int, temporary: bool) -> None:
    """Bring the devices up, tell what happens, and say what to try."""
    for line in introduction(running, settings, temporary):
        _say(line)
    server = Address.parse(running.addresses.devices["coap"][0])
    fleet = Fleet.demo((server.host, server.port), count, awake=AWAKE, sleep=SLEEP)
    quiet = frozenset(device.endpoint for device in fleet.devices[NARRATED:])
    models = running.core.models
    running.core.bus.subscribe(
        Narrator(lambda: models.catalog, lambda *names: models.table.sources(*names), _say, quiet)
    )
    asleep = asyncio.Event()

    def notice(tenant: str, event: Event) -> None:
        if isinstance(event, Asleep):
            asleep.set()

    running.core.bus.subscribe(notice)
    async with fleet:
        await fleet.registered()
        if count:
            await asyncio.wait([asyncio.create_task(asleep.wait())], timeout=PATIENCE)
        for line in suggestions(running.addresses, settings):
            _say(line)
        await asyncio.Event().wait()


def introduction(running: app.Running, settings: Settings, temporary: bool) -> Iterator[str]:
    """What runs where, and where to put one's own models and plugins."""
    data = f"{settings.data} (gone at exit; --data DIR keeps it)" if temporary else str(settings.data)
    addresses = running.addresses
    devices = " ".join(
        [
            *(f"coap://{address}" for address in addresses.devices["coap"]),
            *(f"coap+tcp://{address}" for address in addresses.devices["coap_tcp"]),
        ]
    )
    yield "    ".join(
        [
            f"devices -> {devices}",
            f"console -> {running.addresses.http}/console/",
            f"API -> {running.addresses.http}",
            f"tenant {settings.tenant}",
            f"data {data}",
        ]
    )
    catalog = running.core.models.catalog
    versions = sum(len(catalog.versions(spec.id)) for spec in catalog)
    folders = " or ".join(_near(folder) for folder in settings.models.dirs)
    yield (
        f"models {len(catalog)} objects, {versions} versions; drop XML into {folders}      "
        f"plugins {_loaded(running.core.plugins)}; add yours with --plugins-dir DIR"
    )
    for row in running.core.plugins.report:
        if row.status in ("failed", "not loaded"):
            yield f"plugin {row.name} ({row.file}) {row.status}: {row.reason}"


def _loaded(plugins: PluginManager) -> str:
    """Those that ask devices something of themselves, and a person's own; the others wait for values."""
    asking = {plugin for plugin, mapping in plugins.mappings if mapping.read_at_register}
    rows = [row for row in plugins.report if row.status == "loaded"]
    named = [row.name for row in rows if row.origin != "bundled" or row.name in asking]
    more = [f"{len(rows) - len(named)} more"] if len(rows) > len(named) else []
    return " and ".join([*filter(None, [", ".join(named)]), *more])


def suggestions(addresses: app.Addresses, settings: Settings) -> Iterator[str]:
    """Commands that work as they stand."""
    base = f"{addresses.http}{settings.http_prefix}/{settings.tenant}"
    messages = f"{base}/device-communication/{EXAMPLE}"
    # The command of a virtual environment that is not active has a path.
    command = "lwm2m" if shutil.which("lwm2m") else sys.argv[0]
    elsewhere = "" if addresses.http == f"http://{HTTP}" else f" --url {addresses.http}"
    body = '{"m2m:cin":{"con":"GET /3\\n"}}'
    yield "Try, in a second terminal:"
    yield f"  curl -s '{base}/{EXAMPLE}?ty=13&rcn=8'"
    yield f"  curl -s {messages}/outgoing-msg -H 'Content-Type: application/json;ty=4' -d '{body}'"
    yield f"  curl -s {messages}/received-msg/la"
    yield (
        f"  {command} send {EXAMPLE} 'GET /3/0/9'{elsewhere}"
        "        # asks the device, prints: 3/0/9 = 72   Battery Level, %"
    )
    yield f"  your own client: coap://{addresses.devices['coap'][0]}, any endpoint name"


def _near(folder: Path) -> str:
    """A folder as seen from here."""
    here = Path.cwd()
    return f"./{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)


def _say(line: str) -> None:
    click.echo(line, err=True)
