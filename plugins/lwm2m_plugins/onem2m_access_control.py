"""Who may do what on a device, in oneM2M's words: from LwM2M Object 2 (Access Control).

It is shown and enforced by the device; who may use this server's API is another matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map

from lwm2m_engine import Catalog, Mapping, Rule, hookimpl
from lwm2m_engine.mapping.managed import AttributeValue

CREATE, RETRIEVE, UPDATE, DELETE, NOTIFY, DISCOVERY = 1, 2, 4, 8, 16, 32
OPERATIONS = {
    1: RETRIEVE | NOTIFY | DISCOVERY,  # Read, Observe, Discover, Write-Attributes
    2: UPDATE,  # Write
    4: UPDATE,  # Execute
    8: DELETE,
    16: CREATE,
}
EVERYBODY = 0
"""The Short Server ID of those that have no entry of their own."""


def privileges(rights: Map[int, int]) -> AttributeValue:
    """One rule a server; ``acor`` has Short Server IDs."""
    return {
        "acr": [
            {"acor": ["all" if server == EVERYBODY else str(server)], "acop": operations(bits)}
            for server, bits in rights.items()
        ]
    }


def operations(bits: int) -> int:
    """oneM2M's accessControlOperations for the bits of an ACL entry."""
    found = 0
    for bit, allowed in OPERATIONS.items():
        found |= allowed if bits & bit else 0
    return found


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "lwm2m:accessControl",
        name="access-control-{instance}",
        rules=[
            Rule("/2/*/object_id", "controlledObject"),
            Rule("/2/*/object_instance_id", "controlledInstance"),
            Rule("/2/*/acl/*", "privileges", convert=privileges),
            Rule("/2/*/access_control_owner", "owner"),
        ],
        examples=[
            (
                {"/2/4/0": 3, "/2/4/1": 0, "/2/4/2/0": 1, "/2/4/2/101": 15, "/2/4/3": 101},
                {
                    "controlledObject": 3,
                    "controlledInstance": 0,
                    "privileges": {"acr": [{"acor": ["all"], "acop": 50}, {"acor": ["101"], "acop": 62}]},
                    "owner": 101,
                },
            )
        ],
    )
