"""``Batches``: pre-shared keys of devices that are not there yet, uploaded one by one or derived from one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import attrs

from lwm2m_server.enrolment.reading import Faulty, read_members, reading
from lwm2m_server.enrolment.rules import Rule, derived_key
from lwm2m_server.security.credentials import BadCredentials, Psk
from lwm2m_server.security.vault import Vault
from lwm2m_server.store.records import BatchKey

MAX_KEYS: Final = 1000
"""In one request."""


@attrs.frozen(slots=True)
class Batches:
    """Belongs to the event loop; what it gives is sealed but for ``opened`` and ``derived``."""

    vault: Vault

    def opened(self, row: BatchKey) -> bytes:
        """Raises ``SettingsError`` if it was sealed with another key."""
        return self.vault.open(row.sealed, _about(row.tenant, row.rule, row.identity))

    def derived(self, rule: Rule, identity: str) -> bytes | None:
        """Raises ``SettingsError`` as ``opened``."""
        if rule.master is None:
            return None
        return derived_key(self.vault.open(rule.master, about_master(rule.tenant, rule.name)), identity)

    def read(self, tenant: str, rule: str, given: object) -> Sequence[BatchKey]:
        """``{"keys": [{identity, endpoint?, key}]}``; raises ``Faulty``, which holds no secret."""
        rows = given.get("keys") if isinstance(given, dict) and given.keys() == {"keys"} else None
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_KEYS:
            raise Faulty({"keys": f"a list of 1 to {MAX_KEYS} objects with identity and key is due"})
        return [self._row(tenant, rule, place, one) for place, one in enumerate(rows)]

    def _row(self, tenant: str, rule: str, place: int, given: Any) -> BatchKey:
        at = f"keys[{place}]"
        with reading() as faults:
            members = read_members(given, at, ("identity", "endpoint", "key"))
            members.refuse_unknown(faults)
            identity = members.text("identity", faults)
            endpoint = members.text("endpoint", faults) or identity
            try:
                key = bytes.fromhex(members.get("key", ""))
                Psk(identity, base64.b64encode(key).decode("ascii")).check()
            except (TypeError, ValueError):
                key = b""
                faults.add(f"{at}.key", "an even number of hexadecimal digits is due")
            except BadCredentials as error:
                faults.add(at, str(error))
            if identity is None:
                faults.add(f"{at}.identity", "the PSK identity is due")
        assert identity is not None
        assert endpoint is not None
        sealed = self.vault.seal(key, _about(tenant, rule, identity))
        return BatchKey(identity, endpoint, tenant, rule, sealed)


def about_master(tenant: str, rule: str) -> bytes:
    """What a master key belongs to."""
    return f"enrolment/{len(tenant)}:{tenant}/{rule}".encode()


def _about(tenant: str, rule: str, identity: str) -> bytes:
    return f"batch/{len(tenant)}:{tenant}/{len(rule)}:{rule}/{identity}".encode()
