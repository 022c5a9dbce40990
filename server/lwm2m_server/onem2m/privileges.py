"""Who may do what in the tree: a caller in its tenants, with its role, as one of its AEs (TS-0003, 7.1)."""

from __future__ import annotations

import re
from typing import Final

from lwm2m_server.access.callers import OPEN, Role
from lwm2m_server.onem2m.errors import NoPrivilege, NotFound
from lwm2m_server.onem2m.origins import ADMIN, PLATFORM
from lwm2m_server.onem2m.policies import DISCOVERY, EXEMPT, OPERATIONS, Policies, Sight, changes_links
from lwm2m_server.onem2m.primitives import Primitive
from lwm2m_server.onem2m.tree import Target, Tree
from lwm2m_server.store.protocols import Inventory

_AE_ID: Final = re.compile(r"C[!-~]{0,254}")


class Privileges:
    """Asked by every request before it touches anything."""

    def __init__(self, inventory: Inventory, tree: Tree, policies: Policies) -> None:
        self._inventory, self._tree, self._policies = inventory, tree, policies

    def target(self, request: Primitive) -> Target:
        """What the request is about. Raises ``NoPrivilege``; ``NotFound``, also for what is another tenant's.

        A tenant that the caller does not belong to is refused before it is looked for.
        """
        caller, address = request.caller, request.address
        role = Role.READ if request.operation == "retrieve" else Role.OPERATE
        if address.tenant is not None and not caller.may(role, address.tenant):
            raise _refusal(request, role, address.tenant)
        target = self._tree.locate(address)
        tenant = target.tenant.name
        if not caller.may(role, tenant):
            if caller.may(Role.READ, tenant):
                raise _refusal(request, role, tenant)
            raise NotFound(f"there is no resource {address.names[0]!r}")
        return target

    def originator(self, request: Primitive, target: Target) -> str:
        """The AE that asks: one of the tenant, and of the caller. None is the administrator, who is, as the
        platform is, for the role admin. Policies may have more to say. Raises ``NoPrivilege``.

        Without API clients any AE-ID is believed.
        """
        originator = self._known(request, target)
        if request.operation == "update" and changes_links(request.body):
            self._policies.check_link(originator, target)
        else:
            self._policies.check(originator, _operation(request), target)
        return originator

    def sight(self, request: Primitive, originator: str, target: Target) -> Sight | None:
        """Which children it may see; ``None`` for all."""
        if originator in EXEMPT:
            return None
        return Sight(self._policies, originator, _operation(request), target.tenant)

    def _known(self, request: Primitive, target: Target) -> str:
        originator, caller, tenant = request.originator or ADMIN, request.caller, target.tenant.name
        _check_form(originator)
        if caller is OPEN:
            return originator
        _check_own(request, originator)
        if originator in (ADMIN, PLATFORM):
            if caller.may(Role.ADMIN, tenant):
                return originator
            sent = "X-M2M-Origin is missing" if not request.originator else f"{originator} is not for you"
            raise NoPrivilege(f"{sent}: only role admin speaks as {ADMIN} or {PLATFORM}")
        if self._inventory.application_by_aei(tenant, originator) is None:
            raise NoPrivilege(f"X-M2M-Origin {originator[:40]!r} is no AE of {tenant}; create it first")
        return originator

    def newcomer(self, request: Primitive) -> str | None:
        """Who is about to be an AE; ``None`` if it wants an AE-ID made up. Raises ``NoPrivilege``."""
        if not request.originator:
            if request.caller.origins is not None:
                raise NoPrivilege("X-M2M-Origin is missing: you may register as certain AEs only")
            return None
        _check_form(request.originator)
        _check_own(request, request.originator)
        return request.originator

    def sees_secrets(self, request: Primitive, target: Target) -> bool:
        """Where the settings let anybody see them."""
        return request.caller.may(Role.ADMIN, target.tenant.name)


def _operation(request: Primitive) -> int:
    return DISCOVERY if request.query.discovery else OPERATIONS[request.operation]


def _check_form(originator: str) -> None:
    if not _AE_ID.fullmatch(originator):
        raise NoPrivilege(f"X-M2M-Origin {originator[:40]!r} is no AE-ID: C and up to 254 visible characters")


def _check_own(request: Primitive, originator: str) -> None:
    origins = request.caller.origins
    if origins is not None and originator not in origins:
        raise NoPrivilege(f"{request.caller.client} may not speak as {originator[:40]!r}")


def _refusal(request: Primitive, role: Role, tenant: str) -> NoPrivilege:
    client = request.caller.client
    if request.caller.may(Role.READ, tenant):
        return NoPrivilege(f"{client} may not {request.operation}: this takes the role {role.name.lower()}")
    return NoPrivilege(f"{client} does not belong to the tenant {tenant[:80]!r}")
