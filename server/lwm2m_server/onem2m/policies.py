"""accessControlPolicies: what an originator may do to resources that name some (TS-0003, 7.1.3).

A resource is governed by the policies that it names in ``acpi``, else by those of the nearest one above that
names some, else by the role of the caller alone. A policy itself is governed by its ``pvs``; the result of a
request, which may hold what others may not see, is for its originator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import attrs

from lwm2m_server.onem2m.addresses import parse_reference
from lwm2m_server.onem2m.errors import BadRequest, NoPrivilege, NotFound
from lwm2m_server.onem2m.names import REQUEST
from lwm2m_server.onem2m.origins import ADMIN, GROUPS, PLATFORM
from lwm2m_server.onem2m.tree import Target, Tree
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Resource, Tenant
from lwm2m_server.store.transaction import Reader

POLICY: Final = 1
"""``ty``"""
CREATE, RETRIEVE, UPDATE, DELETE, DISCOVERY = 1, 2, 4, 8, 32
"""Bits of ``acop``; 16 is NOTIFY."""
OPERATIONS: Final = {"create": CREATE, "retrieve": RETRIEVE, "update": UPDATE, "delete": DELETE}
EXEMPT: Final = frozenset({ADMIN, PLATFORM, GROUPS})
"""Nobody locks out the administrator; policies of a client are none for the platform."""


class Policies:
    """Reads them anew for each request. Belongs to the thread of its reader."""

    def __init__(self, inventory: Inventory, reader: Reader, resource_ids: ResourceIds) -> None:
        self._inventory, self._resource_ids = inventory, resource_ids
        self._tree = Tree(inventory, reader, resource_ids)

    def reading(self, reader: Reader) -> Policies:
        """The same for another thread."""
        return Policies(self._inventory, reader, self._resource_ids)

    def check(self, originator: str, operation: int, target: Target) -> None:
        """Raises ``NoPrivilege``."""
        for one in reversed(target.way if originator not in EXEMPT else ()):
            if governs(one):
                self._check(originator, operation, target.tenant, one)
                return

    def check_link(self, originator: str, target: Target) -> None:
        """Whether ``acpi`` may be changed: by who may UPDATE one of the policies that it names now."""
        own = target.way[-1:]
        if originator in EXEMPT or not own or "acpi" not in own[0].attributes:
            self.check(originator, UPDATE, target)
            return
        policies = self.linked(target.tenant, own[0].attributes["acpi"])
        if not any(_permits(one.attributes["pvs"], originator, UPDATE) for one in policies):
            raise NoPrivilege(f"{originator} may not change the policies of {own[0].name}")

    def permits(self, originator: str, operation: int, tenant: Tenant, resource: Resource) -> bool:
        """Of a resource that governs itself."""
        if resource.type == POLICY:
            return _permits(resource.attributes["pvs"], originator, operation)
        if resource.type == REQUEST:
            return bool(resource.attributes["org"] == originator)
        policies = self.linked(tenant, resource.attributes["acpi"])
        return any(_permits(one.attributes["pv"], originator, operation) for one in policies)

    def linked(self, tenant: Tenant, references: Iterable[str]) -> list[Resource]:
        """The policies that ``acpi`` names, without those that are gone: they permit nothing any more."""
        found = (self._policy(tenant, reference) for reference in references)
        return [one for one in found if one is not None]

    def _policy(self, tenant: Tenant, reference: str) -> Resource | None:
        try:
            target = self._tree.locate(parse_reference(reference, tenant.name))
        except (NotFound, BadRequest):
            return None
        what = target.what
        is_policy = isinstance(what, Resource) and what.type == POLICY and target.tenant.id == tenant.id
        return target.resource if is_policy else None

    def _check(self, originator: str, operation: int, tenant: Tenant, resource: Resource) -> None:
        if not self.permits(originator, operation, tenant, resource):
            raise NoPrivilege(
                f"who may do that to {resource.name} is said there, and {originator} is not among them"
            )


@attrs.frozen(slots=True)
class Sight:
    """Which children an originator may see, of a resource that it may see."""

    policies: Policies
    originator: str
    operation: int
    tenant: Tenant

    def __call__(self, child: Resource) -> bool:
        return not governs(child) or self.policies.permits(
            self.originator, self.operation, self.tenant, child
        )

    def reading(self, reader: Reader) -> Sight:
        """The same for another thread."""
        return attrs.evolve(self, policies=self.policies.reading(reader))


def governs(resource: Resource) -> bool:
    """Whether it says itself who may do what to it."""
    return "acpi" in resource.attributes or resource.type in (POLICY, REQUEST)


def changes_links(body: object) -> bool:
    """Whether an UPDATE is about ``acpi``."""
    given = next(iter(body.values()), None) if isinstance(body, dict) else None
    return isinstance(given, dict) and not {"acpi", "accessControlPolicyIDs"}.isdisjoint(given)


def _permits(privileges: Mapping[str, Any], originator: str, operation: int) -> bool:
    rules: Sequence[Mapping[str, Any]] = privileges["acr"]
    return any(rule["acop"] & operation and _names(rule["acor"], originator) for rule in rules)


def _names(patterns: Iterable[str], originator: str) -> bool:
    return any(one in ("all", originator) or ("*" in one and _like(one, originator)) for one in patterns)


def _like(pattern: str, originator: str) -> bool:
    return _compiled(pattern).fullmatch(originator) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Runs of asterisks mean one; so many of them are no pattern that takes for ever.
    return re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", pattern)))
