"""``Settings``: every setting of a server, frozen. Where the values come from is ``configuration``.

A secret is never a value here: its setting ends in ``_file`` and names the file that holds it.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import attrs
from attrs.validators import and_, ge, gt, le

from lwm2m_engine.errors import SettingsError


class Address(NamedTuple):
    """Where a listener is bound. Written ``127.0.0.1:5683``, ``[::1]:5683`` or ``name:port``."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Port 0 asks for a free one; raises ``ValueError``."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} is not HOST:PORT; an IPv6 address stands in brackets, [::1]:5683")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


COAP = Address("127.0.0.1", 5683)
HTTP = Address("127.0.0.1", 8080)


@attrs.frozen
class DeviceSettings:
    """Registration and queue mode."""

    unknown: Literal["reject", "create"] = "reject"
    """What a Register with an unknown endpoint name gets: 4.03, or a new node."""
    missing_version: Literal["reject", "1.0"] = "reject"
    """What a Register that does not name its LwM2M version gets: 4.00, or version 1.0."""
    awake_window: float = attrs.field(default=93.0, validator=gt(0.0))
    """Seconds a queue-mode device is reachable after it was last heard (LwM2M Core 1.2, 6.5), unless it has
    its own (``lwm2m devices power``)."""
    registration_grace: float = attrs.field(default=0.0, validator=ge(0.0))
    """Seconds a registration outlives its lifetime."""
    log_updates_every: float = attrs.field(default=3600.0, validator=ge(0.0))
    """Seconds between lines in ``logs`` about Updates that change nothing; 0 for a line each."""
    read_pacing: float = attrs.field(default=0.0, validator=ge(0.0))
    """Seconds between the requests of a series nobody waits for in particular: automatic reads and
    observations after Register, ``GET /``."""


@attrs.frozen
class MessageSettings:
    """Messages to and from devices."""

    ttl: int = attrs.field(default=7 * 24 * 3600, validator=gt(0))
    """Seconds a message waits for its device unless it says otherwise."""
    outgoing_mni: int = attrs.field(default=100, validator=gt(0))
    """Messages that may wait for one device; more are refused (RSC 5207)."""
    outgoing_mbs: int = attrs.field(default=4_000_000, validator=gt(0))
    """Bytes that may wait for one device, and bytes of sent messages that are kept: two firmware images."""
    longest_wait: int = attrs.field(default=60, validator=gt(0))
    """Seconds a client may wait for the answer of a device (`Prefer: wait=N`)."""
    mni: int = attrs.field(default=100, validator=gt(0))
    """Messages each of the other containers keeps; the oldest is evicted."""
    mbs: int = attrs.field(default=1_000_000, validator=gt(0))
    """Bytes each of the other containers keeps."""


@attrs.frozen
class TransmissionSettings:
    """CoAP transmission parameters towards devices (RFC 7252, 4.8)."""

    ack_timeout: float = attrs.field(default=2.0, validator=gt(0.0))
    """Seconds before the first retransmission."""
    ack_random_factor: float = attrs.field(default=1.5, validator=ge(1.0))
    """Upper bound of the factor the first timeout is multiplied by."""
    max_retransmit: int = attrs.field(default=4, validator=and_(ge(0), le(10)))
    """Retransmissions of a Confirmable message."""
    response_timeout: float = attrs.field(default=120.0, validator=gt(0.0))
    """Seconds a device may take for a separate response once it has acknowledged; to each block anew."""
    composite_timeout: float = attrs.field(default=30.0, validator=gt(0.0))
    """Seconds a device may take for a composite: some acknowledge one and never answer."""
    fair_share: float = attrs.field(default=0.1, validator=gt(0.0))
    """Datagrams a second that each address, and each registered device, may send however busy the server
    is."""


@attrs.frozen
class TcpSettings:
    """What devices may take up on the CoAP/TCP listeners (RFC 8323)."""

    connections: int = attrs.field(default=10_000, validator=gt(0))
    """Connections of one listener."""
    connections_per_address: int = attrs.field(default=1_000, validator=gt(0))
    """Connections from one address, which may be that of a whole network behind NAT."""
    message_size: int = attrs.field(default=260 * 1024, validator=ge(1152))
    """Bytes of one message from a device."""
    csm_timeout: float = attrs.field(default=10.0, validator=gt(0.0))
    """Seconds from the connection to the first message, the CSM."""
    patience: float = attrs.field(default=120.0, validator=gt(0.0))
    """Seconds for the rest of a message once begun, for a Pong, and for taking what is sent."""
    idle: float = attrs.field(default=1800.0, validator=gt(0.0))
    """Seconds of silence after which a device is asked whether it is still there."""


CipherSuite: TypeAlias = Literal[
    "TLS_PSK_WITH_AES_128_CCM_8",
    "TLS_PSK_WITH_AES_128_GCM_SHA256",
    "TLS_PSK_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
]
"""By its name at IANA. LwM2M asks for both CCM_8 and both CBC ones (LwM2M Transport 1.2, 5.2)."""


@attrs.frozen
class DtlsSettings:
    """DTLS 1.2 on the CoAPS listeners (RFC 6347)."""

    suites: tuple[CipherSuite, ...] = get_args(CipherSuite)
    """Cipher suites, the preferred first."""
    mtu: int = attrs.field(default=1232, validator=and_(ge(548), le(1472)))
    """Bytes of the largest datagram of a handshake; 1232 fit into the smallest IPv6 packet everywhere."""
    sessions: int = attrs.field(default=10_000, validator=gt(0))
    """Established sessions of one listener; of more, the one that was silent for longest is closed."""
    handshakes: int = attrs.field(default=1_000, validator=gt(0))
    """Handshakes of one listener under way; more are not begun."""
    handshakes_per_address: int = attrs.field(default=100, validator=gt(0))
    """Handshakes under way with one address, which may be that of a whole network behind NAT."""
    handshake_timeout: float = attrs.field(default=30.0, validator=gt(0.0))
    """Seconds a handshake may take."""
    idle: float = attrs.field(default=86400.0, validator=gt(0.0))
    """Seconds of silence after which a session is closed."""
    certificate: Path | None = None
    """PEM file with the server's certificate and those between it and the root; without, devices with
    certificates are not let in."""
    certificate_key_file: Path | None = None
    """PEM file with the private key of ``certificate``."""
    trust: Path | None = None
    """PEM file with the authorities that issue certificates of devices; without, only certificates that
    credentials name are taken."""
    names: tuple[str, ...] = ("CN={endpoint}", "URI={endpoint}", "DNS={endpoint}")
    """Where in a certificate the endpoint name is: Common Name, URI or DNS name of the SubjectAltName, e.g.
    ``URI=urn:dev:ops:{endpoint}``. The first that leads to a device counts."""
    revoked: Path | None = None
    """PEM file with a revocation list of each authority in ``trust``."""
    raw_public_key_file: Path | None = None
    """PEM file with the private key whose public key devices with Raw Public Keys know the server by;
    without, they are not let in. Needs GnuTLS, which then shakes hands with them."""
    engine: Literal["openssl", "gnutls"] = "openssl"
    """What shakes hands with all others; only with OpenSSL there are Connection IDs."""
    compact: bool = False
    """Whether established sessions of AEAD suites leave the library and take 2 KB each."""
    survive_restart: bool = False
    """Whether established sessions of AEAD suites go on when the server was stopped and is started again.
    Meanwhile their keys lie in the data folder, sealed with the key in ``credentials.key_file``."""
    connection_id: int = attrs.field(default=0, validator=and_(ge(0), le(20)))
    """Bytes of the Connection IDs for devices that ask for them (RFC 9146); 0 gives none. They need
    ``compact``."""


@attrs.frozen
class BootstrapSettings:
    """The bootstrap server; off without an address."""

    coap: tuple[Address, ...] = ()
    """CoAP/UDP listeners for devices to bootstrap through; none unless given."""
    coaps: tuple[Address, ...] = ()
    """CoAPS/UDP listeners (DTLS) for devices to bootstrap through; none unless given."""
    sessions: int = attrs.field(default=10_000, validator=gt(0))
    """Devices that bootstrap at a time; more are asked to come again (5.03)."""
    session_timeout: float = attrs.field(default=900.0, validator=gt(0.0))
    """Seconds that the bootstrap of a device may take."""
    retry_after: float = attrs.field(default=2.0, validator=gt(0.0))
    """Seconds before a step that failed is repeated, where a configuration has `retries`."""


@attrs.frozen
class ModelSettings:
    """Where object definitions come from, besides the bundled registry."""

    dirs: tuple[Path, ...] = (Path("models/xml"),)
    """Watched folders of object XML; relative to the settings file, else to the working directory."""
    upload_size: int = attrs.field(default=16_000_000, validator=gt(0))
    """Bytes of one upload over HTTP."""
    upload_files: int = attrs.field(default=1000, validator=gt(0))
    """Files of one upload, those in archives included."""
    unpacked_size: int = attrs.field(default=50_000_000, validator=gt(0))
    """Bytes that an archive may become; also not more than 200 times its own size."""
    uploads: int = attrs.field(default=2000, validator=gt(0))
    """Models that may be uploaded for each tenant, and for all of them at the system level."""
    uploads_size: int = attrs.field(default=20_000_000, validator=gt(0))
    """Bytes that these may have."""


@attrs.frozen
class PluginSettings:
    """Where plugins come from, besides installed ones."""

    dirs: tuple[Path, ...] = ()
    """Folders of plugin files. With a settings file, ``plugins`` beside it unless given."""
    enabled: tuple[str, ...] = ()
    """Names of plugins to load that are off by default."""


@attrs.frozen
class LedgerSettings:
    """The SQLite store."""

    power_safe: bool = False
    """Commits survive loss of power, not only of the process (``synchronous=FULL``)."""


@attrs.frozen
class EventSettings:
    """What happened to devices, as it can be read again (`/api/v1/events`)."""

    keep: int = attrs.field(default=100_000, validator=gt(0))
    """Events that are kept."""
    keep_for: float = attrs.field(default=86400.0, validator=gt(0.0))
    """Seconds they are kept at most."""


@attrs.frozen
class TelemetrySettings:
    """What devices told, as it can be read again (`/api/v1/devices/{name}/telemetry`)."""

    keep_for: float = attrs.field(default=30 * 86400.0, validator=gt(0.0))
    """Seconds that history is kept; the last value of each Resource stays."""
    keep: int = attrs.field(default=100_000, validator=gt(0))
    """Values of one Resource that are kept; the oldest go."""
    series: int = attrs.field(default=1_000, validator=gt(0))
    """Resources of one device of which values are kept; those not told of for longest go."""


@attrs.frozen
class CredentialSettings:
    """Secrets of devices."""

    readable: bool = False
    """Whether the API shows them in clear to administrators."""
    key_file: Path | None = None
    """The key they are sealed with in the ledger; made by ``lwm2m credentials key``. Without the setting it
    is ``credentials.key`` in the data folder: whoever copies the folder has both."""


@attrs.frozen
class AccessSettings:
    """Who may call the HTTP API, and how often."""

    file: Path | None = None
    """TOML file with API keys, and with issuers whose tokens are good here; read again when it changes."""
    rate: float = attrs.field(default=1000.0, validator=ge(0.0))
    """Requests a second that each client may make; 0 for any number. While no clients are configured there
    is no limit."""
    burst: int = attrs.field(default=2000, validator=gt(0))
    """Requests that a client may make at once."""


@attrs.frozen
class ConsoleSettings:
    """The web console."""

    enabled: bool = True
    """Whether ``/console/`` is served."""
    idle: float = attrs.field(default=4 * 3600.0, validator=gt(0.0))
    """Seconds without a request after which one has to sign in again."""


@attrs.frozen
class AuditSettings:
    """The audit log: who changed what."""

    entries: int = attrs.field(default=1_000_000, validator=gt(0))
    """Lines that are kept; the oldest go."""
    days: int = attrs.field(default=400, validator=gt(0))
    """Days that a line is kept."""


@attrs.frozen
class DeliverySettings:
    """Notifications on their way to applications."""

    allow: tuple[str, ...] = ()
    """Addresses and networks that webhooks and brokers may have although they are this machine's,
    link-local or otherwise not for them, e.g. ``127.0.0.1``."""
    ca_file: Path | None = None
    """PEM file with authorities that are trusted besides the system's, for ``https``, ``mqtts`` and
    ``kafkas``."""
    first_retry: float = attrs.field(default=1.0, validator=gt(0.0))
    """Seconds before a notification is tried again; each time twice as many."""
    longest_retry: float = attrs.field(default=300.0, validator=gt(0.0))
    """Seconds between two attempts at most."""
    give_up_after: float = attrs.field(default=86_400.0, validator=gt(0.0))
    """Seconds after which a notification that cannot be delivered is a dead letter."""
    connect_timeout: float = attrs.field(default=5.0, validator=gt(0.0))
    """Seconds a webhook or a broker may take to accept a connection."""
    answer_timeout: float = attrs.field(default=10.0, validator=gt(0.0))
    """Seconds until a webhook has begun to answer, connecting included, or a broker has acknowledged."""
    timeout: float = attrs.field(default=30.0, validator=gt(0.0))
    """Seconds until it has answered completely."""
    at_once: int = attrs.field(default=16, validator=gt(0))
    """Notifications under way to one target, each of another subscription."""
    waiting: int = attrs.field(default=1_000_000, validator=gt(0))
    """Notifications that may wait for one target; more are dead letters at once."""
    waiting_bytes: int = attrs.field(default=2_000_000_000, validator=gt(0))
    """Bytes of all that waits; more are dead letters at once."""
    dead_letters: int = attrs.field(default=100_000, validator=gt(0))
    """Dead letters that are kept; the oldest are dropped, and the log says how many."""
    dead_letter_bytes: int = attrs.field(default=500_000_000, validator=gt(0))
    """Bytes of all dead letters."""


@attrs.frozen
class UpdateSettings:
    """Firmware and software of devices."""

    public: tuple[str, ...] = ()
    """Where devices reach this server to fetch packages, if not at the addresses it listens on:
    ``coaps://lwm2m.example:5684``, ``https://updates.example``; the preferred first."""
    largest_package: int = attrs.field(default=256 * 1024 * 1024, validator=gt(0))
    """Bytes."""
    token_lifetime: float = attrs.field(default=7 * 86400.0, validator=gt(0.0))
    """Seconds that a device has to fetch what it was offered."""
    poll: float = attrs.field(default=300.0, validator=gt(0.0))
    """Seconds between two looks at a device that does not say by itself how far it is."""
    soon: float = attrs.field(default=5.0, validator=gt(0.0))
    """Seconds after which a device is looked at that has fetched the last piece and does not say so."""
    stall: float = attrs.field(default=3600.0, validator=gt(0.0))
    """Seconds without progress after which a download is given up, and tried again."""
    install: float = attrs.field(default=3600.0, validator=gt(0.0))
    """Seconds from the order to install until the device is back."""
    settle: float = attrs.field(default=120.0, validator=gt(0.0))
    """Seconds from the success that a device reports until it must report the new version."""
    first_retry: float = attrs.field(default=60.0, validator=gt(0.0))
    """Seconds before the second attempt; four times as many before each one after."""
    longest_retry: float = attrs.field(default=3600.0, validator=gt(0.0))
    """Seconds between two attempts at most."""


@attrs.frozen
class RpcSettings:
    """RPCs to devices (`/api/v1/devices/{name}/rpc`)."""

    timeout: float = attrs.field(default=10.0, validator=ge(1.0))
    """Seconds that an answer is waited for, if the client does not say."""
    longest_wait: float = attrs.field(default=120.0, validator=ge(1.0))
    """Seconds that a client may ask to wait for it."""
    max_retries: int = attrs.field(default=5, validator=ge(0))
    """How often a persistent RPC may be sent again after the device did not answer."""
    first_retry: float = attrs.field(default=30.0, validator=gt(0.0))
    """Seconds before it is; each time twice as many. A device that says something is asked at once."""
    longest_retry: float = attrs.field(default=3600.0, validator=gt(0.0))
    """Seconds between two attempts at most."""
    keep: int = attrs.field(default=100, validator=ge(0))
    """RPCs of each device that are remembered when they have an outcome."""
    keep_for: float = attrs.field(default=604_800.0, validator=gt(0.0))
    """Seconds they are remembered at most."""


@attrs.frozen
class LogSettings:
    """What goes to standard error."""

    format: Literal["console", "json"] = "console"
    """For people or for machines."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe records that are written."""


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
