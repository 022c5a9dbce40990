"""Flags that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

folders = click.option(
    "--models",
    "folders",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="One more folder (or file) of object XML; may be repeated.",
)

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

SERVER_FLAGS = {
    "coap": "coap",
    "coap_tcp": "coap_tcp",
    "coaps": "coaps",
    "coaps_tcp": "coaps_tcp",
    "coap_stack": "coap_stack",
    "http": "http",
    "http_cert": "http_cert",
    "http_key": "http_key_file",
    "http_plain": "http_plain",
    "data": "data",
    "tenant": "tenant",
    "unknown_devices": "devices.unknown",
    "names": "names",
    "models": "models.dirs",
    "plugins_dir": "plugins.dirs",
    "strict": "strict",
}
"""Which setting each flag of ``serve`` is."""

_config = click.option(
    "--config", metavar="FILE", type=_FILE, help="Settings file; default ./lwm2m.toml if present."
)

_SERVER_OPTIONS = (
    click.option("--coap", metavar="HOST:PORT", multiple=True, help="CoAP/UDP listener; may be repeated."),
    click.option(
        "--coap-tcp", metavar="HOST:PORT", multiple=True, help="CoAP/TCP listener; may be repeated."
    ),
    click.option(
        "--coaps", metavar="HOST:PORT", multiple=True, help="CoAPS/UDP listener (DTLS); may be repeated."
    ),
    click.option(
        "--coaps-tcp", metavar="HOST:PORT", multiple=True, help="CoAP/TCP listener with TLS; may be repeated."
    ),
    click.option("--coap-stack", type=click.Choice(["native", "aiocoap"]), help="What is below CoAP/UDP."),
    click.option("--http", metavar="HOST:PORT", help="HTTP listener."),
    click.option("--http-cert", metavar="FILE", type=_FILE, help="Certificate (PEM) of the HTTP listener."),
    click.option("--http-key", metavar="FILE", type=_FILE, help="Private key (PEM) of the certificate."),
    click.option(
        "--http-plain", is_flag=True, default=None, help="Beyond this machine without TLS, behind a proxy."
    ),
    click.option("--data", metavar="DIR", type=_DIRECTORY, help="Folder of the stores."),
    click.option("--tenant", metavar="NAME", help="Name of the tenant."),
    click.option(
        "--unknown-devices", type=click.Choice(["create", "reject"]), help="What an unknown device gets."
    ),
    click.option("--names", type=click.Choice(["long", "short"]), help="oneM2M attribute names in answers."),
    click.option(
        "--models", metavar="DIR", multiple=True, type=_DIRECTORY, help="One more folder of object XML."
    ),
    click.option(
        "--plugins-dir", metavar="DIR", multiple=True, type=_DIRECTORY, help="One more folder of plugins."
    ),
    click.option("--strict/--no-strict", default=None, help="Refuse what is tolerated by default."),
    _config,
)

_token_file = click.option(
    "--token-file",
    metavar="FILE",
    envvar="LWM2M_TOKEN_FILE",
    type=_FILE,
    help="File with a bearer token, or with client id and secret as 'clients add --save' writes it.",
)

_CLIENT_OPTIONS = (
    click.option(
        "--url",
        envvar="LWM2M_URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        help="The server's HTTP address.",
    ),
    click.option("--tenant", metavar="NAME", help="Tenant; default the caller's or the server's own."),
    _token_file,
)

_OFFICE_OPTIONS = (
    click.option(
        "--url", envvar="LWM2M_URL", help="The server's HTTP address; default that of the settings."
    ),
    _token_file,
    click.option("--data", metavar="DIR", type=_DIRECTORY, help="Folder of the stores, if no server runs."),
    _config,
)


def server_options(command: F) -> F:
    """The flags of ``serve`` and ``demo``."""
    for option in reversed(_SERVER_OPTIONS):
        command = option(command)
    return command


def client_options(command: F) -> F:
    """The flags of every command that talks to a running server."""
    for option in reversed(_CLIENT_OPTIONS):
        command = option(command)
    return command


def office_options(command: F) -> F:
    """The flags of commands that ask the server if one runs, and else open its folder."""
    for option in reversed(_OFFICE_OPTIONS):
        command = option(command)
    return command


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The settings that flags on the command line decide."""
    return {
        SERVER_FLAGS[name]: value
        for name, value in flags.items()
        if name in SERVER_FLAGS and value is not None and value != ()
    }
