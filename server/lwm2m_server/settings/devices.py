"""What is done with devices."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import ge, gt

from lwm2m_server.settings.addresses import Address


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
class CredentialSettings:
    """Secrets of devices."""

    readable: bool = False
    """Whether the API shows them in clear to administrators."""
    key_file: Path | None = None
    """The key they are sealed with in the ledger; made by ``lwm2m credentials key``. Without the setting it
    is ``credentials.key`` in the data folder: whoever copies the folder has both."""


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
