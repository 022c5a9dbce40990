"""``TreeRequests``: what ``/api/v1`` does to the oneM2M tree, so that names, members, targets and policies
are checked, and notifications sent, as ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import quote

from lwm2m_server.access.callers import OPEN, Caller, Role
from lwm2m_server.http.problems import Problem
from lwm2m_server.onem2m.addresses import Address
from lwm2m_server.onem2m.errors import (
    AlreadyRegistered,
    InvalidChildType,
    NotImplementedYet,
    OneM2MError,
    SubscriptionNotVerified,
)
from lwm2m_server.onem2m.origins import ADMIN
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.policies import RETRIEVE, UPDATE
from lwm2m_server.onem2m.primitives import Primitive
from lwm2m_server.onem2m.queries import CREATE_CONTENT, DELETE_CONTENT, UPDATE_CONTENT, parse_query
from lwm2m_server.onem2m.tree import AE, Target
from lwm2m_server.store.records import Resource, Tenant

_CREATE, _UPDATE, _DELETE = (
    parse_query("", contents) for contents in (CREATE_CONTENT, UPDATE_CONTENT, DELETE_CONTENT)
)
_QUERIES: Final = {"create": _CREATE, "update": _UPDATE, "delete": _DELETE}
_STATUS: Final[Mapping[type[OneM2MError], int]] = {
    AlreadyRegistered: HTTPStatus.CONFLICT,
    SubscriptionNotVerified: HTTPStatus.CONFLICT,
    InvalidChildType: HTTPStatus.BAD_REQUEST,
    NotImplementedYet: HTTPStatus.BAD_REQUEST,
}
"""Where oneM2M over HTTP has one that says something else to everybody but oneM2M."""
_LONGEST: Final = 200
"""Letters of a client's id in what it speaks as."""


class TreeRequests:
    """Whoever calls has made sure of the role and the tenant. A caller that is kept to certain AEs speaks as
    the first of them, an administrator as ``CAdmin``, others as an AE that no policy names."""

    def __init__(self, platform: Onem2m) -> None:
        self._platform = platform

    async def create(
        self, caller: Caller, tenant: str, parent: tuple[str, ...], ty: int, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Below these names from the CSEBase down; ``body`` has the root key. What was made, by short names.

        Raises ``Problem``."""
        found = await self._answer(caller, "create", Address(tenant, parent, False, ""), body, ty)
        (attributes,) = found.values()
        return dict(attributes)

    async def register(self, caller: Caller, tenant: str, body: Mapping[str, Any], ae_id: str | None) -> None:
        """An AE, which is created as itself. Raises ``Problem``."""
        request = Primitive(
            "create",
            Address(tenant, (), False, ""),
            ae_id,
            _CREATE,
            caller,
            False,
            AE,
            {"m2m:ae": dict(body)},
        )
        with refusals():
            await self._platform.answer(request)

    async def update(
        self, caller: Caller, tenant: str, names: tuple[str, ...], body: Mapping[str, Any]
    ) -> None:
        """Raises ``Problem``."""
        await self._answer(caller, "update", Address(tenant, names, False, ""), body)

    async def delete(self, caller: Caller, tenant: str, names: tuple[str, ...]) -> None:
        """With all below it. Raises ``Problem``."""
        await self._answer(caller, "delete", Address(tenant, names, False, ""))

    async def delete_by_id(self, caller: Caller, tenant: str, ri: str) -> None:
        """The same. Raises ``Problem``."""
        await self._answer(caller, "delete", Address(tenant, (ri,), True, ""))

    def sees(self, caller: Caller, tenant: Tenant, way: tuple[Resource, ...]) -> bool:
        """Whether policies let it look at the last of them."""
        return self._platform.permits(
            speaker(caller, tenant.name), RETRIEVE, Target(tenant, way[-1], "", way)
        )

    def need_update(self, caller: Caller, tenant: Tenant, way: tuple[Resource, ...]) -> None:
        """Raises ``Problem`` if they do not let it change that."""
        if not self._platform.permits(speaker(caller, tenant.name), UPDATE, Target(tenant, way[-1], "", way)):
            raise Problem(HTTPStatus.FORBIDDEN, f"who may change {way[-1].name} is said there, by a policy")

    async def _answer(
        self,
        caller: Caller,
        operation: Literal["create", "update", "delete"],
        address: Address,
        body: Mapping[str, Any] | None = None,
        ty: int | None = None,
    ) -> Mapping[str, Any]:
        origin = speaker(caller, address.tenant or "")
        # Only an AE that is one is believed of a caller; the role was asked for before.
        known = caller if caller.origins or origin == ADMIN else OPEN
        given = None if body is None else dict(body)
        request = Primitive(operation, address, origin, _QUERIES[operation], known, False, ty, given)
        with refusals():
            answer = await self._platform.answer(request)
        return answer.body or {}


def speaker(caller: Caller, tenant: str) -> str:
    """Which AE-ID a caller has here."""
    if caller.origins:
        return min(caller.origins)
    if caller.may(Role.ADMIN, tenant):
        return ADMIN
    return f"C/api/v1/{quote(caller.client[:_LONGEST], safe=':')}"[:_LONGEST]


@contextmanager
def refusals() -> Iterator[None]:
    """What oneM2M refuses, as the problem it is."""
    try:
        yield
    except OneM2MError as error:
        raise Problem(_STATUS.get(type(error), error.status), str(error)) from error
