"""TLS below CoAP over TCP (RFC 8323, 9.1; ``coaps+tcp``): clients prove who they are before their CSM."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

import attrs
import structlog

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.connection import Connection, Limits
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.renewal import Renewed

log = structlog.get_logger(__name__)


@attrs.frozen
class Tls:
    """How hands are shaken, and whom that proves a client to be."""

    context: Callable[[], ssl.SSLContext]
    """Asked at each handshake: certificates may have been renewed."""
    endpoint: Callable[[bytes], str | None]
    """The endpoint name for a certificate (DER) whose chain was verified."""
    on_failed: Callable[[str, str], object] = lambda peer, reason: None
    """Hears from where each handshake came that did not come to its end, and why."""


class Host(Protocol):
    """The listener that connections are made to."""

    limits: Limits

    def reserve(self, host: str) -> str:
        """Count a connection from there, until ``release``; the result is why there is no room for it."""
        ...

    def release(self, host: str) -> None:
        """It is over."""
        ...

    def begin(self, identity: str | None) -> Connection:
        """What a connection is told that can speak CoAP now."""
        ...


class Handshakes:
    """The clients of one listener that have connected and not proved yet who they are."""

    def __init__(self, host: Host, tls: Tls) -> None:
        self._host, self._tls = host, tls
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self) -> asyncio.Protocol:
        """For a connection just made."""
        return _Handshake(self._host, self._tls, self._under_way)

    async def close(self) -> None:
        """End them all."""
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Handshake(asyncio.Protocol):
    """One of them."""

    def __init__(self, host: Host, tls: Tls, under_way: set[asyncio.Task[None]]) -> None:
        self._host, self._tls, self._under_way = host, tls, under_way

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        refusal = self._host.reserve(host) if host else ""
        if host and not refusal:
            # uvloop reads once this method is over, whatever it says, and TLS must get the first byte: it
            # gets the socket from a transport that ends here.
            accepted = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            accepted.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._shake(accepted, host, port))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        elif host:
            log.info("connection refused", peer=f"{host}:{port}", reason=refusal)
            self._host.release(host)
        transport.abort()

    async def _shake(self, accepted: socket.socket, host: str, port: int) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Proof(self._host, self._tls),
                accepted,
                ssl=self._tls.context(),
                ssl_handshake_timeout=self._host.limits.hello,
            )
        except OSError as problem:
            reason = str(problem) or type(problem).__name__
            self._tls.on_failed(f"{host}:{port}", reason)
            log.info("TLS handshake failed", peer=f"{host}:{port}", reason=reason)
        finally:
            self._host.release(host)


class _Proof(asyncio.Protocol):
    """Gets a connection whose handshake is complete, and hands it on to what speaks CoAP."""

    def __init__(self, host: Host, tls: Tls) -> None:
        self._host, self._tls = host, tls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        endpoint = self._tls.endpoint(certificate) if certificate else None
        if endpoint is None:
            peer = "{}:{}".format(*transport.get_extra_info("peername")[:2])
            reason = "the certificate is no device's"
            self._tls.on_failed(peer, reason)
            log.info("TLS handshake failed", peer=peer, reason=reason)
            transport.abort()
            return
        connection = self._host.begin(endpoint)
        transport.set_protocol(connection)
        connection.connection_made(transport)


def server_contexts(files: Certificates) -> Callable[[], ssl.SSLContext]:
    """The context for each handshake: of what is in the files now. Raises ``SettingsError``."""
    return Renewed((files.certificate, files.key, files.trust, files.revoked), lambda: server_context(files))


def server_context(files: Certificates) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with certificates on both sides; raises ``SettingsError`` that names a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"tls: {files.certificate} and {files.key} cannot be used: {error}") from error
    for file in (files.trust, files.revoked):
        if file is None:
            continue
        try:
            context.load_verify_locations(file)
        except (OSError, ValueError) as error:
            raise SettingsError(f"tls: {file} cannot be used: {error}") from error
    if files.revoked is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context
