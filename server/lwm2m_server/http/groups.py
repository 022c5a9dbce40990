"""``/api/v1/groups``: device groups, which say whose messages go to which applications, and what profile and
which campaigns devices are in."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.enrolment.reading import Faults, Members, read_members, reading
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    STRING,
    TENANT,
    TEXTS,
    Parameter,
    described,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.enrolment import problems, tenant_record
from lwm2m_server.http.paging import PAGED, Page, pages_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of
from lwm2m_server.http.tree import TreeRequests, refusals
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.groups import MemberChange, change_members, device_groups
from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS, below
from lwm2m_server.onem2m.rendering import NODE
from lwm2m_server.onem2m.routing import FLEX_CONTAINER, GROUP_KEY, TURN
from lwm2m_server.store.expiration import expires
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Resource, Tenant
from lwm2m_server.store.transaction import Reader

DEFINITION: Final = "com.telekom.iot.orchestrator.deviceGroup"
MOST: Final = 10_000
"""Members in one request."""
LARGEST: Final = 1_000_000
"""Bytes of one."""
MOST_LABELS: Final = 50
_MILLISECOND: Final = 1000
"""Microseconds."""
_LISTS: Final = {"devices": "nds", "applications": "aes"}
_NEW: Final = {"name": STRING, "devices": TEXTS, "applications": TEXTS, "labels": TEXTS}
_CHANGES: Final = {
    "addDevices": TEXTS,
    "removeDevices": TEXTS,
    "addApplications": TEXTS,
    "removeApplications": TEXTS,
    "labels": TEXTS,
}
_ONE: Final = "/groups/{name}"


class GroupApi:
    """Members are devices and applications, by name or by id; those that are gone stay until they leave."""

    def __init__(
        self, tree: TreeRequests, context: Context, find: DeviceFinder, inventory: Inventory, ledger: Ledger
    ) -> None:
        self._tree, self._context, self._find = tree, context, find
        self._inventory, self._ledger = inventory, ledger
        self._ids = ResourceIds(ledger.installation)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/groups", self.list_all, methods=["GET"]),
            Route("/groups", self.create, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.change, methods=["PATCH"]),
            Route(_ONE, self.remove, methods=["DELETE"]),
            Route(f"{_ONE}/devices", self.members, methods=["GET"]),
        ]

    @described(
        "Device groups of a tenant, in the order of their names",
        query=(
            TENANT,
            *PAGED,
            Parameter("q", STRING, "a part of the name or of a label"),
        ),
        answers={200: pages_of("groups", ref("DeviceGroup"), tenant=STRING)},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``devices`` is how many it has; ``profiles`` are those that are for it."""
        tenant = tenant_record(self._find, self._inventory, request)
        page, part = Page.asked(request, 100), request.query_params.get("q", "").casefold()
        found = await self._ledger.apart(partial(device_groups, tenant=tenant))
        seen = [one for one in found if part in _searched(one) and self._sees(request, tenant, one)]
        found = sorted(seen, key=lambda one: one.name)
        rows = [self._shown(one) for one in page.of(found)]
        return json_answer(page.document("groups", rows, len(found), tenant=tenant.name))

    @described("A device group", query=(TENANT,), answers={200: ref("DeviceGroup")})
    async def show(self, request: Request) -> Response:
        tenant = tenant_record(self._find, self._inventory, request)
        return json_answer(self._shown(await self._group(tenant, request)))

    @described(
        "Devices of a group, in the order they came",
        query=(
            TENANT,
            *PAGED,
            Parameter("q", STRING, "a part of the name"),
        ),
        answers={200: pages_of("devices", ref("GroupMember"), group=STRING)},
        problems=(400,),
    )
    async def members(self, request: Request) -> Response:
        """``member`` is how the group names it; ``name`` is that of the device, `null` if it is gone."""
        tenant = tenant_record(self._find, self._inventory, request)
        page, part = Page.asked(request, 100), request.query_params.get("q", "").casefold()
        name = request.path_params["name"]
        await self._group(tenant, request)
        among = partial(_some, tenant=tenant, name=name, part=part, ids=self._ids, page=page)
        found = await self._ledger.apart(among)
        if found is None:
            raise _missing(tenant, name)
        rows, total = found
        return json_answer(page.document("devices", rows, total, group=name))

    @described(
        "Make a device group",
        query=(TENANT,),
        body=obj("name", **_NEW),
        answers={201: ref("DeviceGroup")},
        problems=(409, 503),
    )
    async def create(self, request: Request) -> Response:
        tenant = tenant_record(self._find, self._inventory, request)
        with problems(), reading() as faults:
            members = read_members(await read_json(request, LARGEST), "group", tuple(_NEW))
            members.refuse_unknown(faults)
            name = members.text("name", faults)
            body: dict[str, Any] = {short: _texts(members, long, faults) for long, short in _LISTS.items()}
            labels = members.texts("labels", faults, MOST_LABELS)
            if name is None:
                faults.add("group.name", "a name is due")
        body |= {"rn": name, "cnd": DEFINITION, **({"lbl": list(labels)} if labels else {})}
        caller = caller_of(request)
        await self._tree.create(caller, tenant.name, (DEVICE_GROUPS,), FLEX_CONTAINER, {GROUP_KEY: body})
        assert name is not None
        return json_answer(self._shown(await self._of(tenant, name)), HTTPStatus.CREATED)

    @described(
        "Let devices and applications join or leave a group, or change its labels",
        query=(TENANT,),
        body=obj(**_CHANGES),
        answers={200: ref("DeviceGroup")},
        problems=(409, 503),
    )
    async def change(self, request: Request) -> Response:
        """What others change at the same time stays changed; what is not mentioned stays. A device that
        leaves is not in it any more, whether the group has it by its name or by its id."""
        tenant, caller = tenant_record(self._find, self._inventory, request), caller_of(request)
        group = await self._group(tenant, request)
        with problems(), reading() as faults:
            members = read_members(await read_json(request, LARGEST), "group", tuple(_CHANGES))
            members.refuse_unknown(faults)
            changes = [
                MemberChange(
                    "nds", *(_texts(members, f"{verb}Devices", faults) for verb in ("add", "remove"))
                ),
                MemberChange(
                    "aes", *(_texts(members, f"{verb}Applications", faults) for verb in ("add", "remove"))
                ),
            ]
            labels = members.texts("labels", faults, MOST_LABELS)
        self._tree.need_update(caller, tenant, (group,))
        if "labels" in members.values:
            body = {GROUP_KEY: {"lbl": list(labels) or None}}
            await self._tree.update(caller, tenant.name, (DEVICE_GROUPS, group.name), body)
        devices = await self._however_named(tenant, changes[0].leaving)
        changes[0] = attrs.evolve(changes[0], leaving=devices)
        wanted = [one for one in changes if one.joining or one.leaving]
        if wanted:
            with stored(), refusals():
                await change_members(self._context, tenant, group, wanted)
        return json_answer(self._shown(await self._group(tenant, request)))

    @described("Remove a device group", query=(TENANT,), answers={204: None}, problems=(503,))
    async def remove(self, request: Request) -> Response:
        """Its devices stay; its applications hear of them no more, unless by another group."""
        tenant = tenant_record(self._find, self._inventory, request)
        group = await self._group(tenant, request)
        await self._tree.delete(caller_of(request), tenant.name, (DEVICE_GROUPS, group.name))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # --- inner ---------------------------------------------------------------------------------------

    async def _group(self, tenant: Tenant, request: Request) -> Resource:
        """That the caller may see. Raises ``Problem``."""
        found = await self._of(tenant, request.path_params["name"])
        if not self._sees(request, tenant, found):
            raise Problem(HTTPStatus.FORBIDDEN, f"who may look at {found.name} is said there, by a policy")
        return found

    async def _however_named(self, tenant: Tenant, members: Collection[str]) -> Collection[str]:
        """With the names and the ids of the devices that these are."""
        found = set(members)
        for count, member in enumerate(members, 1):
            node = self._context.routes.node(tenant, member)
            device = None if node is None else self._context.reader.resource(node)
            if device is not None:
                found |= {device.name, self._ids.ri(device.id, NODE)}
            if count % TURN == 0:
                await asyncio.sleep(0)
        return found

    def _sees(self, request: Request, tenant: Tenant, group: Resource) -> bool:
        return self._tree.sees(caller_of(request), tenant, (group,))

    async def _of(self, tenant: Tenant, name: str) -> Resource:
        """Raises ``Problem``."""
        found = await self._ledger.apart(partial(_named, tenant=tenant, name=name))
        if found is None:
            raise _missing(tenant, name)
        return found

    def _shown(self, group: Resource) -> dict[str, Any]:
        attributes, end = group.attributes, expires(group.attributes)
        profiles = self._inventory.profiles.of(group.tenant)
        return {
            "name": group.name,
            "id": self._ids.ri(group.id, FLEX_CONTAINER),
            "devices": len(attributes.get("nds", ())),
            "applications": list(attributes.get("aes", ())),
            "profiles": sorted(one.name for one in profiles if group.name in one.groups),
            "labels": list(attributes.get("lbl") or ()),
            "createdAt": group.id // _MILLISECOND,
            "modifiedAt": group.modified // _MILLISECOND,
            "expiresAt": None if end is None else end // _MILLISECOND,
        }


def _texts(members: Members, name: str, faults: Faults) -> Sequence[str]:
    return list(members.texts(name, faults, MOST))


def _searched(group: Resource) -> str:
    return "\n".join([group.name, *(group.attributes.get("lbl") or ())]).casefold()


def _named(reader: Reader, tenant: Tenant, name: str) -> Resource | None:
    """On the thread for long reads: the document may be large."""
    found = reader.child(below(reader, tenant, DEVICE_GROUPS).id, name)
    return found if found is not None and found.key == GROUP_KEY else None


def _some(
    reader: Reader, tenant: Tenant, name: str, part: str, ids: ResourceIds, page: Page
) -> tuple[list[dict[str, Any]], int] | None:
    """On the same: a page of members, and how many there are; ``None`` if there is no such group."""
    group = _named(reader, tenant, name)
    if group is None:
        return None
    found = group.attributes.get("nds", ())
    if part:
        found = [one for one in found if part in one.casefold()]
    rows = [{"member": one, "name": _name(reader, tenant, one, ids)} for one in page.of(found)]
    return rows, len(found)


def _name(reader: Reader, tenant: Tenant, member: str, ids: ResourceIds) -> str | None:
    """Of a device that a group names by name or by id, as it is called now."""
    node = reader.child(tenant.id, member)
    if node is None:
        id, type = ids.parse(member) or (0, 0)
        node = reader.resource(id) if type == NODE else None
    is_device = node is not None and node.type == NODE and node.tenant == tenant.name
    return node.name if node is not None and is_device else None


def _missing(tenant: Tenant, name: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant.name} has no device group {name[:80]!r}")
