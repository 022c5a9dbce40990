"""How CoAP is spoken: over UDP, TCP and DTLS."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, get_args

import attrs
from attrs.validators import and_, ge, gt, le


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
