"""What every tenant has from the beginning: the platform's own resources below the CSEBase."""

from __future__ import annotations

from typing import Any, Final

from lwm2m_server.onem2m.origins import GROUPS, PLATFORM
from lwm2m_server.onem2m.rendering import CONTAINER
from lwm2m_server.onem2m.tree import AE, COMMUNICATION, RELEASES
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.records import Resource, Tenant
from lwm2m_server.store.transaction import Reader, Transaction

PROVISIONING, REQUESTS, RESPONSES = "device-provisioning", "request", "response"
DEVICE_GROUPS: Final = "device-group"


def put_roots(transaction: Transaction, ids: Ids, tenant: Tenant) -> None:
    """Those that are not there yet."""

    def root(parent: int, name: str, type: int, key: str, attributes: dict[str, Any]) -> int:
        found = transaction.child(parent, name)
        if found is not None:
            return found.id
        id = ids.next()
        transaction.put(Resource(id, tenant.name, parent, name, type, key, attributes, id))
        return id

    own = {"cr": PLATFORM}
    root(tenant.id, COMMUNICATION, CONTAINER, "m2m:cnt", own)
    provisioning = root(tenant.id, PROVISIONING, AE, "m2m:ae", _application(PLATFORM))
    root(provisioning, REQUESTS, CONTAINER, "m2m:cnt", own)
    root(provisioning, RESPONSES, CONTAINER, "m2m:cnt", own)
    root(tenant.id, DEVICE_GROUPS, AE, "m2m:ae", _application(GROUPS))


def below(reader: Reader, tenant: Tenant, *names: str) -> Resource:
    """One of these, by its names from the CSEBase down. Nobody can remove them."""
    return reader.below(tenant.id, names)[-1]


def _application(aei: str) -> dict[str, Any]:
    return {"api": f"N{aei[1:]}", "aei": aei, "rr": True, "srv": [RELEASES[-1]]}
