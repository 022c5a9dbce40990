"""``TreeAdmin``: what ``/api/v1`` does to the oneM2M tree, as its administrator; so that names, members and
targets are checked, and notifications sent, as ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Literal

from lwm2m_server.access.callers import OPEN
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
from lwm2m_server.onem2m.primitives import Primitive
from lwm2m_server.onem2m.queries import CREATE_CONTENT, DELETE_CONTENT, UPDATE_CONTENT, parse_query

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


class TreeAdmin:
    """Whoever calls has made sure of the role and the tenant."""

    def __init__(self, platform: Onem2m) -> None:
        self._platform = platform

    async def create(
        self,
        tenant: str,
        parent: tuple[str, ...],
        ty: int,
        body: Mapping[str, Any],
        *,
        originator: str | None = ADMIN,
    ) -> Mapping[str, Any]:
        """Below these names from the CSEBase down; ``body`` has the root key. What was made, by short names.

        Raises ``Problem``."""
        found = await self._answer("create", Address(tenant, parent, False, ""), body, ty, originator)
        (attributes,) = found.values()
        return dict(attributes)

    async def update(self, tenant: str, names: tuple[str, ...], body: Mapping[str, Any]) -> None:
        """Raises ``Problem``."""
        await self._answer("update", Address(tenant, names, False, ""), body)

    async def delete(self, tenant: str, names: tuple[str, ...]) -> None:
        """With all below it. Raises ``Problem``."""
        await self._answer("delete", Address(tenant, names, False, ""))

    async def delete_by_id(self, tenant: str, ri: str) -> None:
        """The same. Raises ``Problem``."""
        await self._answer("delete", Address(tenant, (ri,), True, ""))

    async def _answer(
        self,
        operation: Literal["create", "update", "delete"],
        address: Address,
        body: Mapping[str, Any] | None = None,
        ty: int | None = None,
        originator: str | None = ADMIN,
    ) -> Mapping[str, Any]:
        request = Primitive(
            operation,
            address,
            originator,
            _QUERIES[operation],
            OPEN,
            False,
            ty,
            None if body is None else dict(body),
        )
        with refusals():
            answer = await self._platform.answer(request)
        return answer.body or {}


@contextmanager
def refusals() -> Iterator[None]:
    """What oneM2M refuses, as the problem it is."""
    try:
        yield
    except OneM2MError as error:
        raise Problem(_STATUS.get(type(error), error.status), str(error)) from error
