"""``Showing``: credentials of a device in the document's form, without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lwm2m_server.enrolment.document import TYPE
from lwm2m_server.security.material import MANAGING, NAMES, SECTIONS, Material
from lwm2m_server.security.store import Credentials
from lwm2m_server.store.records import Device, SealedCredential
from lwm2m_server.store.transaction import Reader


class Showing:
    """Of all devices. Belongs to the event loop."""

    def __init__(self, reader: Reader, credentials: Credentials, material: Material) -> None:
        self._reader, self._credentials, self._material = reader, credentials, material

    def endpoint(self, device: Device) -> str:
        """The name the device has to register with."""
        row = self._credentials.row(device.node, "management")
        if row is not None and row.endpoint is not None:
            return row.endpoint
        return device.endpoint or device.node_id or device.name

    def labels(self, device: Device) -> list[str]:
        node = self._reader.resource(device.node)
        return list(node.attributes.get("lbl", ())) if node is not None else []

    def document(self, device: Device) -> dict[str, Any]:
        """Whether there is a secret, not which."""
        row = self._credentials.row(device.node, "management")
        endpoint = self.endpoint(device)
        value: dict[str, Any] = {"client": {"endpoint": endpoint, **_client(row)}}
        sections = self._sections(device)
        if sections:
            value["bootstrap"] = sections
        identity = row.public.get("identity") if row is not None and row.mode == "psk" else None
        return {"credentialsType": TYPE, "credentialsId": identity or endpoint, "credentialsValue": value}

    def _sections(self, device: Device) -> dict[str, Any]:
        stored = self._material.stored(self._reader, device.node)
        shown = {}
        for name, side in SECTIONS.items():
            row = self._credentials.row(device.node, side)
            if name in stored:
                section = stored[name]
                shown[name] = {
                    "securityMode": section["securityMode"],
                    "clientPublicKeyOrId": section.get("clientPublicKeyOrId", ""),
                    "keySet": bool(section.get("clientSecretKey")),
                    # Until the device has it, it proves itself as `client` says.
                    "pending": name == MANAGING
                    and (section["securityMode"] == "PSK" or not _is_of(section, row)),
                }
            elif side == "bootstrap" and row is not None:
                shown[name] = {
                    "securityMode": NAMES.get(row.mode, "NO_SEC"),
                    **_public(row),
                    "pending": False,
                }
        return shown


def _client(row: SealedCredential | None) -> dict[str, Any]:
    if row is None:
        return {"securityConfigClientMode": "NO_SEC"}
    shown: dict[str, Any] = {"securityConfigClientMode": NAMES.get(row.mode, "NONE")}
    match row.mode:
        case "psk":
            shown |= {"identity": row.public["identity"], "keySet": row.sealed is not None}
        case "rpk":
            shown["key"] = row.public["publicKey"]
        case "x509":
            shown["cert"] = row.public["certificate"]
        case "oscore":
            shown |= {name: row.public[name] for name in ("recipientId", "senderId", "idContext")}
            shown["masterSecretSet"] = row.sealed is not None
    return shown


def _public(row: SealedCredential) -> dict[str, Any]:
    public = row.public.get("identity") or row.public.get("publicKey") or row.public.get("certificate")
    return {"clientPublicKeyOrId": public or "", "keySet": row.sealed is not None}


def _is_of(section: Mapping[str, str], row: SealedCredential | None) -> bool:
    return row is not None and _public(row)["clientPublicKeyOrId"] == section.get("clientPublicKeyOrId", "")
