"""This server as an entry of ``bootstrap``, so that an editor need not ask for its keys and ports."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from lwm2m_engine.errors import SettingsError
from lwm2m_server.profiles.checks import NOWHERE
from lwm2m_server.profiles.document import SERVER
from lwm2m_server.settings import Address, DtlsSettings

SHORT_ID: Final = 123
"""Of this server, where nothing else is said."""
Entries: TypeAlias = Callable[[str], Sequence[dict[str, Any]]]


def defaults_of(settings: DtlsSettings, bound: Mapping[str, Sequence[str]]) -> Entries:
    """``bound`` has the listeners by the names of their settings. Raises ``SettingsError`` for files that
    cannot be used."""
    is_secure = bool(bound.get("coaps") or bound.get("bootstrap_coaps"))
    keys: Mapping[str, Mapping[str, str]] = dict(_keys(settings)) if is_secure else {}
    entries = [
        {**SERVER, **_address(address), **entry}
        for is_bootstrap, prefix in ((False, ""), (True, "bootstrap_"))
        for name, modes in (("coap", {"NO_SEC": {}}), ("coaps", keys))
        for address in bound.get(f"{prefix}{name}", ())
        for entry in _entries(is_bootstrap, modes)
    ]

    def at(host: str) -> Sequence[dict[str, Any]]:
        """Where it listens on all addresses, the one it was asked at is as good as any."""
        return [
            entry if entry["host"] not in NOWHERE else {**entry, "host": host or entry["host"]}
            for entry in entries
        ]

    return at


def _entries(is_bootstrap: bool, modes: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    short_id = None if is_bootstrap else SHORT_ID
    for mode, keys in modes.items():
        yield {
            "securityMode": mode,
            "bootstrapServerIs": is_bootstrap,
            "shortServerId": short_id,
            **keys,
        }


def _address(text: str) -> dict[str, Any]:
    host, port = Address.parse(text)
    return {"host": host, "port": port}


def _keys(settings: DtlsSettings) -> Iterator[tuple[str, Mapping[str, str]]]:
    """What devices know the server by, in each mode it can have."""
    yield "PSK", {}
    if settings.raw_public_key_file is not None:
        key = load_pem_private_key(_read(settings.raw_public_key_file), None).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        yield "RPK", {"serverPublicKey": _base64(spki)}
    if settings.certificate is not None:
        chain = x509.load_pem_x509_certificates(_read(settings.certificate))
        yield "X509", {"serverCertificate": _base64(chain[0].public_bytes(Encoding.DER))}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
