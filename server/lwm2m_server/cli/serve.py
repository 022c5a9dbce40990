"""``lwm2m serve``: the server, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import click

from lwm2m_engine.errors import SettingsError
from lwm2m_server import app, collector, logs
from lwm2m_server.cli.options import given, server_options
from lwm2m_server.configuration import load
from lwm2m_server.settings import Address, Settings

Main: TypeAlias = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


@click.command()
@server_options
def serve(config: Path | None, **flags: Any) -> None:
    """Run the Device-to-Cloud server.

    The first line on standard output is JSON with the address of every listener; it comes when all
    of them are bound. Everything else goes to standard error.
    """
    settings = load(config, environ=os.environ, flags=given(flags)).settings
    logs.configure(settings.log)
    taken = list(taken_listeners(settings))
    if taken:
        raise SettingsError("; ".join(f"{name} {address} is taken" for name, address in taken))
    run_server(settings, announce)


def run_server(settings: Settings, ready: Callable[[app.Running], None]) -> None:
    """Serve until a signal comes; raises ``SettingsError`` if the server cannot start."""
    collector.keep()
    try:
        run_until_stopped(lambda stop: app.run(settings, ready=ready, stop=stop), settings.coap_stack)
    except OSError as error:
        raise SettingsError(f"cannot serve: {error}") from error


def announce(running: app.Running) -> None:
    """Print the line that says the server is reachable, and where."""
    collector.relieve()
    click.echo(json.dumps(running.addresses.as_json()))
    sys.stdout.flush()


def run_until_stopped(main: Main, coap_stack: str = "native") -> None:
    """Run ``main`` with an event that SIGINT and SIGTERM set."""
    with asyncio.Runner(loop_factory=_loop_factory(coap_stack)) as runner:
        runner.run(_with_signals(main))


async def _with_signals(main: Main) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await main(stop)


def _loop_factory(coap_stack: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    # On uvloop aiocoap's socket is deaf after the first ICMP error.
    if coap_stack == "aiocoap" or find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def taken_listeners(settings: Settings) -> Iterator[tuple[str, Address]]:
    """Which of the addresses another process already has."""
    for name, addresses in (("coap", settings.coap), ("coaps", settings.coaps)):
        for address in addresses:
            if not _is_free(address, socket.SOCK_DGRAM):
                yield name, address
    for name, addresses in (("coap_tcp", settings.coap_tcp), ("coaps_tcp", settings.coaps_tcp)):
        for address in addresses:
            if not _is_free(address, socket.SOCK_STREAM):
                yield name, address
    if not _is_free(settings.http, socket.SOCK_STREAM):
        yield "http", settings.http


def _is_free(address: Address, kind: socket.SocketKind) -> bool:
    """True also for what cannot be bound for another reason: binding it will say which."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
