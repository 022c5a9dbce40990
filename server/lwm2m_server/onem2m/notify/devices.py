"""Which device a container is about, and what its node wants added to what is forwarded."""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from lwm2m_server.onem2m.rendering import JSON_CONTENT, NODE
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Message, Resource
from lwm2m_server.store.transaction import Transaction

PREFIXES: Final = ("d2c-uplink-property_", "UplinkProperty_")
"""Labels of a node that are properties; the second is the older form."""
MEMBER: Final = "uplinkProperties"
KNOWN: Final = 20_000
"""Containers whose nodes are kept in memory."""
_BOXES: Final = range(NodeIds(0).communication, NodeIds.COUNT)


@attrs.frozen(slots=True)
class Described:
    """A device, as its messages tell of it."""

    name: str
    """``rn`` of the node."""
    properties: dict[str, str]

    def extend(self, representation: dict[str, Any], what: Resource | Message) -> dict[str, Any]:
        """A contentInstance with the properties: in its content if that is an object, else beside it."""
        if not self.properties or not isinstance(what, Message):
            return representation
        text = what.content
        if what.content_info != JSON_CONTENT or not text.startswith("{") or text == "{}":
            return {**representation, MEMBER: self.properties}
        members = orjson.dumps({MEMBER: self.properties})
        longer = f"{text[:-1]},{members[1:].decode()}"
        return {**representation, "con": orjson.Fragment(longer), "cs": what.size + len(members) - 1}


class Boxes:
    """Containers of devices: their nodes are known by the ids they were born with."""

    def __init__(self) -> None:
        self._nodes: dict[int, int | None] = {}

    def device(self, transaction: Transaction, container: int) -> Described | None:
        """``None`` for any other resource."""
        if container not in self._nodes:
            if len(self._nodes) >= KNOWN:
                self._nodes.clear()
            self._nodes[container] = _node(transaction, container)
        id = self._nodes[container]
        node = transaction.resource(id) if id is not None else None
        return Described(node.name, _properties(node.attributes.get("lbl", ()))) if node else None


def _node(transaction: Transaction, container: int) -> int | None:
    for offset in _BOXES:
        found = transaction.resource(container - offset)
        if found is not None and found.type == NODE:
            return found.id
    return None


def _properties(labels: Any) -> dict[str, str]:
    found = {}
    for label in labels:
        for prefix in PREFIXES:
            if label.startswith(prefix):
                key, _, value = label[len(prefix) :].partition(":")
                found[key] = value.strip()
    return found
