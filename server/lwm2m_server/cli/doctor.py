"""``lwm2m doctor``: whether what a server needs is there, on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from OpenSSL import SSL

from lwm2m_server.cli.checkup import Finding, checkup
from lwm2m_server.cli.exits import Exit
from lwm2m_server.cli.options import given, server_options
from lwm2m_server.coap import oscore_contexts
from lwm2m_server.coap.batches import Batches
from lwm2m_server.coap.dtls import psk
from lwm2m_server.coap.dtls.gnutls_library import LibraryMissing, library, version
from lwm2m_server.configuration import load
from lwm2m_server.sinks.extras import FOR_KAFKA, FOR_MQTT, Extra


@click.command()
@server_options
def doctor(config: Path | None, **flags: Any) -> None:
    """Try what a server with these settings needs: libraries, data folder, keys, certificates, ports.

    Changes nothing. Exit code 1 if something that a server needs fails.
    """
    settings = load(config, environ=os.environ, flags=given(flags)).settings
    found = [*findings(), *checkup(settings)]
    width = max(len(one.subject) for one in found)
    for one in found:
        mark = "ok" if one.trouble is None else "BAD" if one.needed else "--"
        click.echo(f"{mark:<4} {one.subject:<{width}}  {one.trouble or one.what}")
    if any(one.trouble is not None and one.needed for one in found):
        raise SystemExit(Exit.FAILED)


def findings() -> Iterator[Finding]:
    name = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    yield Finding("DTLS by OpenSSL", f"{name}: a handshake with a pre-shared key", psk.problem())
    yield _gnutls()
    what = "a request as RFC 8613 has it; for CoAP over UDP with coap_stack native, not over TCP"
    yield Finding("OSCORE by aiocoap", what, oscore_contexts.problem())
    yield from map(_client, (FOR_MQTT, FOR_KAFKA))
    batches = "datagrams are read and sent many at a time"
    trouble = None if Batches.available() else "datagrams are read and sent one by one, which takes longer"
    yield Finding("sockets", batches, trouble, needed=False)


def _client(extra: Extra) -> Finding:
    """Only applications that want it so need it."""
    subject, found = f"deliveries, {extra.kind}", extra.version
    if found is None:
        return Finding(subject, "", extra.hint, needed=False)
    return Finding(subject, f"{extra.package} {found}")


def _gnutls() -> Finding:
    """Only Raw Public Keys need it."""
    subject = "DTLS by GnuTLS"
    try:
        found = version(library())
    except LibraryMissing as error:
        return Finding(subject, "", f"no Raw Public Keys: {error}", needed=False)
    return Finding(subject, f"GnuTLS {found}: Raw Public Keys")
