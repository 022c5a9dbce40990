"""``Material``: what bootstrap is to give to one device, and what becomes true when it has got it.

The document is that of credentials in device profiles: ``client``, and ``bootstrap`` with the sections
``bootstrapServer`` and ``lwm2mServer``. Only sections that say something else than the credentials of the
device are stored, sealed; it is for the bootstrap server, and no API shows it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from lwm2m_server.security.credentials import X509, Credential, NoSec, Psk, Rpk, Side
from lwm2m_server.security.store import Credentials
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader, Transaction

Section: TypeAlias = Mapping[str, str]
"""``securityMode``, ``clientPublicKeyOrId`` and ``clientSecretKey``."""
ACCOUNT: Final = "bootstrapServer"
MANAGING: Final = "lwm2mServer"
SECTIONS: Final[Mapping[str, Side]] = {ACCOUNT: "bootstrap", MANAGING: "management"}
NAMES: Final[Mapping[str, str]] = {
    "nosec": "NO_SEC",
    "psk": "PSK",
    "rpk": "RPK",
    "x509": "X509",
    "oscore": "OSCORE",
}
"""Security modes as profiles call them."""


class Material:
    """Of all devices. Belongs to the event loop; ``write`` and ``taken`` to commits."""

    def __init__(self, reader: Reader, credentials: Credentials) -> None:
        self._reader, self._credentials = reader, credentials

    def of(self, device: Device) -> dict[str, Any] | None:
        """The document, with secrets; ``None`` if there is nothing to say. For the bootstrap server only."""
        return self.of_node(device.node)

    def of_node(self, node: int) -> dict[str, Any] | None:
        stored = self.stored(self._reader, node)
        found: dict[str, Section] = {}
        for name, side in SECTIONS.items():
            is_set = name in stored or self._credentials.row(node, side) is not None
            told = stored.get(name) or section_of(self._credentials.find(node, side))
            if is_set and told is not None:
                found[name] = told
        row = self._credentials.row(node, "bootstrap")
        if not found and row is None:
            return None
        # How it proves itself at bootstrap is the profile's to say, unless it was said.
        client = {} if row is None else {"securityConfigClientMode": NAMES.get(row.mode, "NO_SEC")}
        return {"client": client, "bootstrap": found}

    def stored(self, reader: Reader, node: int) -> dict[str, Section]:
        """The sections that were set; raises ``SettingsError`` if they were sealed with another key."""
        sealed = reader.material(node)
        if sealed is None:
            return {}
        found: dict[str, Section] = orjson.loads(self._credentials.open(sealed, _about(node)))
        return found

    def write(self, transaction: Transaction, node: int, sections: Mapping[str, Section]) -> None:
        """In place of what there was."""
        if not sections:
            transaction.remove_material(node)
            return
        text = orjson.dumps(dict(sections)).decode()
        transaction.put_material(node, self._credentials.seal(text, _about(node)))

    def taken(self, transaction: Transaction, node: int, name: str) -> None:
        """The device has it: nothing is left to be given."""
        sections = self.stored(transaction, node)
        if sections.pop(name, None) is not None:
            self.write(transaction, node, sections)


def section_of(credential: Credential) -> Section | None:
    """What makes a device prove itself so; ``None`` if that takes a secret that only it has."""
    match credential:
        case NoSec():
            return {"securityMode": "NO_SEC"}
        case Psk(psk_identity=str(identity)) if credential.key is not None:
            return section("PSK", identity, credential.key.hex())
        case _:
            return None


def credential_of(section: Section) -> Credential:
    """How a device proves itself that was given this."""
    mode, public = section["securityMode"], section.get("clientPublicKeyOrId", "")
    match mode:
        case "PSK":
            key = bytes.fromhex(section["clientSecretKey"])
            return Psk(public, base64.b64encode(key).decode("ascii"))
        case "RPK":
            return Rpk(base64.b64decode(public))
        case "X509":
            return X509(base64.b64decode(public))
        case _:
            return NoSec()


def section(mode: str, public: str, secret: str) -> Section:
    return {"securityMode": mode, "clientPublicKeyOrId": public, "clientSecretKey": secret}


def _about(node: int) -> bytes:
    return f"bootstrap material/{node}".encode()
