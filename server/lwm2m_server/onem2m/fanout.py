"""Fan-out: one request to all members of a group (TS-0004, 7.4.14.3; ``<group>/fopt``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

from lwm2m_server.onem2m.addresses import Address, parse_reference
from lwm2m_server.onem2m.behaviours.membership import GROUP
from lwm2m_server.onem2m.errors import NoMembers, NotFound, OneM2MError
from lwm2m_server.onem2m.primitives import OK, Answer, Primitive
from lwm2m_server.onem2m.privileges import Privileges
from lwm2m_server.onem2m.tree import Target

FAN_OUT: Final = "fopt"


def to_group(address: Address) -> Address:
    """That of the group, if it is one of a group's members; else the same."""
    if FAN_OUT not in address.names:
        return address
    return attrs.evolve(address, names=address.names[: address.names.index(FAN_OUT)])


class FanOut:
    """Asks each member in turn; what one refuses stops no other."""

    def __init__(self, answer: Callable[[Primitive], Awaitable[Answer]], privileges: Privileges) -> None:
        """``answer`` is what answers a request to one resource, or to the members of another group."""
        self._answer, self._privileges = answer, privileges

    async def answer(self, request: Primitive) -> Answer:
        """The answers of all members, in their order. Raises ``OneM2MError`` if there is no such group."""
        address = to_group(request.address)
        below = request.address.names[len(address.names) + 1 :]
        group = self._privileges.target(attrs.evolve(request, address=address))
        self._privileges.originator(request, group)
        if group.what.id in request.passed:
            raise NotFound(f"{group.what.name} is a member of itself")
        passed = request.passed | {group.what.id}
        answers = [
            await self._of_member(attrs.evolve(request, address=address, passed=passed), member)
            for member, address in _members(group, below)
        ]
        return Answer(OK, {"m2m:agr": {"m2m:rsp": answers}})

    async def _of_member(self, request: Primitive, member: str) -> dict[str, Any]:
        try:
            answer = await self._answer(request)
            rsc, body = answer.rsc, answer.body
        except OneM2MError as error:
            rsc, body = error.rsc, {"m2m:dbg": str(error)}
        response = {"rsc": rsc, "rqi": request.id, "to": member}
        return response if body is None else {**response, "pc": body}


def _members(target: Target, below: tuple[str, ...]) -> list[tuple[str, Address]]:
    """Members, and where each is asked: at what lies ``below`` it."""
    group = target.what
    if target.resource.type != GROUP:
        raise NotFound(f"{group.name} is no group and has no {FAN_OUT}")
    members = target.resource.attributes["mid"]
    if not members:
        raise NoMembers(f"{group.name} has no members")
    addresses = (parse_reference(member, target.tenant.name) for member in members)
    return [
        (member, attrs.evolve(address, names=(*address.names, *below), root=target.root))
        for member, address in zip(members, addresses, strict=True)
    ]
