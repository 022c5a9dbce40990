"""``Settings``: every setting of a server, frozen. Where the values come from is ``configuration``.

A secret is never a value here: its setting ends in ``_file`` and names the file that holds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from lwm2m_engine.errors import SettingsError
from lwm2m_server.settings.addresses import Address
from lwm2m_server.settings.applications import (
    AccessSettings,
    AuditSettings,
    ConsoleSettings,
    DeliverySettings,
    EventSettings,
)
from lwm2m_server.settings.devices import (
    BootstrapSettings,
    CredentialSettings,
    DeviceSettings,
    MessageSettings,
    RpcSettings,
    TelemetrySettings,
    UpdateSettings,
)
from lwm2m_server.settings.house import LedgerSettings, LogSettings, ModelSettings, PluginSettings
from lwm2m_server.settings.transport import CipherSuite, DtlsSettings, TcpSettings, TransmissionSettings

__all__ = [
    "COAP",
    "HTTP",
    "AccessSettings",
    "Address",
    "AuditSettings",
    "BootstrapSettings",
    "CipherSuite",
    "ConsoleSettings",
    "CredentialSettings",
    "DeliverySettings",
    "DeviceSettings",
    "DtlsSettings",
    "EventSettings",
    "LedgerSettings",
    "LogSettings",
    "MessageSettings",
    "ModelSettings",
    "PluginSettings",
    "RpcSettings",
    "Settings",
    "TcpSettings",
    "TelemetrySettings",
    "TransmissionSettings",
    "UpdateSettings",
    "refuse_exposure",
]

COAP = Address("127.0.0.1", 5683)
HTTP = Address("127.0.0.1", 8080)


@attrs.frozen
class Settings:
    """All settings of one server. ``coap = ["127.0.0.1:5683", "[::1]:5683"]`` binds both families."""

    coap: tuple[Address, ...] = (COAP,)
    """CoAP/UDP listeners; port 0 takes a free one."""
    coap_tcp: tuple[Address, ...] = ()
    """CoAP/TCP listeners; none unless given."""
    coaps: tuple[Address, ...] = ()
    """CoAPS/UDP listeners (DTLS); none unless given."""
    coaps_tcp: tuple[Address, ...] = ()
    """CoAP/TCP listeners with TLS, for devices with certificates of an authority in ``dtls.trust``; the
    server's own is ``dtls.certificate``."""
    coap_stack: Literal["native", "aiocoap"] = "native"
    """What is below CoAP/UDP: the server's own message layer, or that of aiocoap."""
    http: Address = HTTP
    """HTTP listener; loopback only as long as no API clients are configured."""
    http_hosts: tuple[str, ...] = ()
    """Names under which the HTTP API may be asked, besides those of this machine, e.g. by a proxy; as long as
    no API clients are configured."""
    http_cert: Path | None = None
    """PEM file with the certificate of the HTTP listener and those between it and the root: then it speaks
    HTTPS only. Read again when it changes."""
    http_key_file: Path | None = None
    """PEM file with the private key of ``http_cert``."""
    http_plain: bool = False
    """Whether the HTTP listener may be reached from other machines without TLS, e.g. by a proxy that has
    it."""
    http_prefix: str = "/device-management-orchestrator/v3"
    """Base path of the oneM2M API; the tenant's name follows."""
    data: Path = Path("lwm2m-data")
    """Folder of the stores; locked while a server runs."""
    tenant: str = "main"
    """Name of the default tenant."""
    names: Literal["long", "short"] = "long"
    """oneM2M attribute names in answers to clients that do not say which they want."""
    timestamp_unit: Literal["ms", "s"] = "ms"
    """Unit of the lifecycle labels of nodes."""
    message_extras: bool = True
    """Whether ``received-msg`` also has ``responseCode``, ``operation``, ``requestID``, ``resourcePaths`` and
    ``location``."""
    strict: bool = False
    """Refuse what is tolerated by default: sloppy devices, incomplete oneM2M requests, bad plugins."""
    devices: DeviceSettings = DeviceSettings()
    messages: MessageSettings = MessageSettings()
    transmission: TransmissionSettings = TransmissionSettings()
    tcp: TcpSettings = TcpSettings()
    dtls: DtlsSettings = DtlsSettings()
    bootstrap: BootstrapSettings = BootstrapSettings()
    models: ModelSettings = ModelSettings()
    plugins: PluginSettings = PluginSettings()
    ledger: LedgerSettings = LedgerSettings()
    events: EventSettings = EventSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    credentials: CredentialSettings = CredentialSettings()
    access: AccessSettings = AccessSettings()
    console: ConsoleSettings = ConsoleSettings()
    audit: AuditSettings = AuditSettings()
    deliveries: DeliverySettings = DeliverySettings()
    updates: UpdateSettings = UpdateSettings()
    rpc: RpcSettings = RpcSettings()
    log: LogSettings = LogSettings()


def refuse_exposure(settings: Settings, *, has_clients: bool) -> None:
    """Without API clients anyone who can connect may administer, and without TLS anyone on the way can read
    tokens: on loopback only.

    Raises ``SettingsError``.
    """
    if (settings.http_cert is None) != (settings.http_key_file is None):
        raise SettingsError("http_cert and http_key_file belong together")
    if settings.http.is_loopback:
        return
    if not has_clients:
        raise SettingsError(
            f"http: {settings.http} can be reached from other machines, and no API clients are configured "
            "to tell friend from foe; 'lwm2m clients add NAME --role admin' adds one"
        )
    if settings.http_cert is None and not settings.http_plain:
        raise SettingsError(
            f"http: {settings.http} can be reached from other machines, and tokens would be sent in clear; "
            "give --http-cert and --http-key, or --http-plain if something in front has TLS"
        )
