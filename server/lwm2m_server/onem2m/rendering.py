"""One resource as JSON, in short or in long form; the order of the keys is the D2C documents'."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, Protocol

import attrs
import orjson

from lwm2m_server.onem2m.names import BY_TY, FLEX_CONTAINER, long_key, long_names
from lwm2m_server.onem2m.tables import MEMBERS
from lwm2m_server.security.credentials import Psk
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings
from lwm2m_server.store.ids import ResourceIds, timestamp
from lwm2m_server.store.records import Message, Resource, Tenant
from lwm2m_server.store.transaction import Reader

JSON_CONTENT: Final = "application/json:0"
MASK: Final = "***"
"""Stands for a secret that is kept and not shown."""
UNDEFINED: Final = "UNDEFINED"
LIFECYCLE_LABELS: Final = (
    "updates_timestamp",
    "registrations_timestamp",
    "deregistrations_timestamp",
    "expirations_timestamp",
)

_MGMT_HEAD: Final = ("dc", "mgd", "dlb")
CSE_BASE, CONTAINER, CONTENT_INSTANCE, MGMT_OBJ, NODE = 5, 3, 4, 13, 14
AE: Final = 2
MAX_TYPES: Final = 10_000
"""Parents whose types are kept in memory."""


class Sight(Protocol):
    """Which children the client may see of what it may see."""

    def __call__(self, child: Resource) -> bool: ...
    def reading(self, reader: Reader) -> Sight:
        """The same for another thread."""
        ...


@attrs.frozen(slots=True)
class Style:
    """How the client that asks wants it, and what it may see."""

    long: bool
    secrets: bool = False
    """Secrets in clear."""
    sees: Sight | None = None
    """``None`` for all children."""

    def shows(self, child: Resource | Message) -> bool:
        """A contentInstance is seen by who sees its container."""
        return self.sees is None or isinstance(child, Message) or self.sees(child)


@attrs.frozen(slots=True)
class Items:
    """The devices of an onboarding request, of which there may be thousands: read when they are shown."""

    reader: Reader
    request: int

    def named(self, long: bool) -> orjson.Fragment:
        """With short or with long names."""
        return orjson.Fragment(f"[{self.reader.onboarding_text(self.request, long=long)}]")


class Renderer:
    """Makes representations; reads counters, and registrations for lifecycle labels."""

    def __init__(
        self, resource_ids: ResourceIds, reader: Reader, settings: Settings, credentials: Credentials
    ) -> None:
        self._ids, self._reader, self._credentials = resource_ids, reader, credentials
        self._per_second = 1000 if settings.timestamp_unit == "ms" else 1
        self._types: dict[int, int] = {}
        """Of parents; an id is never given again."""

    def reading(self, reader: Reader) -> Renderer:
        """The same on another thread, with its reader. Secrets it can only mask."""
        other = copy.copy(self)
        other._reader = reader
        return other

    def ri(self, what: Resource | Message, tenant: Tenant) -> str:
        """The resource id; of a CSEBase the tenant's name."""
        if isinstance(what, Message):
            return self._ids.ri(what.id, CONTENT_INSTANCE)
        return tenant.name if what.type == CSE_BASE else self._ids.ri(what.id, what.type)

    def represent(self, what: Resource | Message, tenant: Tenant, *, secrets: bool = False) -> dict[str, Any]:
        """All attributes by short name."""
        if isinstance(what, Message):
            return self._message(what)
        own = dict(what.attributes)
        if what.key == "m2m:crds":
            own |= self._psk(what.parent, secrets)
        elif what.type == NODE:
            self._label(own, what.id)
        elif what.key == "dtiot:noPRt":
            own["reqLt"] = Items(self._reader, what.id)
        elif what.type == CONTAINER:
            counters = self._reader.counters(what.id)
            own |= {"cni": counters.instances, "cbs": counters.bytes, "st": counters.state_tag}
        universal = {
            "rn": what.name,
            "ty": what.type,
            "ri": self.ri(what, tenant),
            "pi": self._parent(what, tenant),
            "ct": timestamp(what.id),
            "lt": timestamp(what.modified),
        }
        if what.type != MGMT_OBJ:
            return own | universal
        return {name: own.pop(name) for name in _MGMT_HEAD if name in own} | universal | own

    def _message(self, message: Message) -> dict[str, Any]:
        moment = timestamp(message.id)
        is_json = message.content_info == JSON_CONTENT
        own: dict[str, Any] = {"con": orjson.Fragment(message.content) if is_json else message.content}
        if message.content_info is not None:
            own["cnf"] = message.content_info
        own |= {
            "ty": CONTENT_INSTANCE,
            "cs": message.size,
            "st": message.state_tag,
            "cr": message.creator,
            "rn": message.name,
            "ri": self._ids.ri(message.id, CONTENT_INSTANCE),
            "pi": self._ids.ri(message.container, CONTAINER),
            "ct": moment,
            "lt": moment,
        }
        if message.expires is not None:
            own["et"] = timestamp(message.expires)
        if message.labels is not None:
            own["lbl"] = list(message.labels)
        return own

    def _parent(self, resource: Resource, tenant: Tenant) -> str:
        if resource.type == CSE_BASE:
            return ""
        if resource.parent == tenant.id:
            return tenant.name
        return self._ids.ri(
            resource.parent, NODE if resource.type == MGMT_OBJ else self._type(resource.parent)
        )

    def _type(self, id: int) -> int:
        """Of a resource that has children."""
        type = self._types.get(id)
        if type is None:
            # Applications are in the other store.
            found = self._reader.resource(id)
            type = AE if found is None else found.type
            if len(self._types) >= MAX_TYPES:
                self._types.clear()
            self._types[id] = type
        return type

    def _psk(self, node: int, secrets: bool) -> dict[str, str]:
        """``crid`` and ``crse`` are always there; they live in the credentials store."""
        row = self._reader.credential(node, "management")
        if row is None or row.mode != "psk":
            return {"crid": UNDEFINED, "crse": UNDEFINED}
        secret: str | None = None if row.sealed is None else MASK
        if secret is not None and secrets:
            found = self._credentials.find(node, "management")
            secret = found.text if isinstance(found, Psk) else None
        return {"crid": row.public["identity"] or UNDEFINED, "crse": secret or UNDEFINED}

    def _label(self, own: dict[str, Any], node: int) -> None:
        """Lifecycle labels come from the registration record and are stored nowhere else."""
        labels = [*own.get("lbl", ()), *self._lifecycle(node)]
        if labels:
            own["lbl"] = labels

    def _lifecycle(self, node: int) -> list[str]:
        moments = self._reader.moments(node)
        if moments is None:
            return []
        return [
            f"{name}: {int(moment * self._per_second)}"
            for name, moment in zip(LIFECYCLE_LABELS, moments, strict=True)
            if moment is not None
        ]


def without_lifecycle(labels: list[str]) -> list[str]:
    """Labels as a client sends them back, without those that only tell of the registration."""
    return [label for label in labels if label.partition(":")[0].strip() not in LIFECYCLE_LABELS]


def shows_instances(parent: Resource) -> bool:
    """Whether it is a container whose contentInstances can be retrieved (``disr``)."""
    return parent.type == CONTAINER and not parent.attributes.get("disr", False)


def root_key(what: Resource | Message, long: bool) -> str:
    """``m2m:nod`` or ``node``. All flexContainers are that in long form; ``cnd`` tells which.

    The answer to an onboarding request always is, as in the D2C API.
    """
    if isinstance(what, Message):
        key = BY_TY[CONTENT_INSTANCE].key
    elif what.key == "dtiot:prRRe" or (long and what.type == FLEX_CONTAINER):
        return BY_TY[FLEX_CONTAINER].long
    else:
        key = what.key
    return long_key(key) if long else key


def named(representation: Mapping[str, Any], long: bool) -> dict[str, Any]:
    """The same attributes under the names the client wants; values stay as they are."""
    if "reqLt" in representation and isinstance(representation["reqLt"], Items):
        representation = {**representation, "reqLt": representation["reqLt"].named(long)}
    if not long:
        return dict(representation)
    names = long_names(representation.get("cnd"))
    found = {names.get(name, name): value for name, value in representation.items()}
    for name, members in MEMBERS.items():
        if name in representation:
            found[names[name]] = {members[short]: value for short, value in representation[name].items()}
    return found
