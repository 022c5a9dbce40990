"""``/api/v1/applications``: who gets what devices say, and where. Each is an AE of the oneM2M tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.enrolment.reading import Faults, Members, read_members, reading
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    STRING,
    TENANT,
    TEXTS,
    Parameter,
    described,
    nullable,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.enrolment import problems, tenant_record
from lwm2m_server.http.paging import PAGED, Page, pages_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of
from lwm2m_server.http.tree import TreeRequests
from lwm2m_server.onem2m.behaviours.groups import device_groups
from lwm2m_server.onem2m.rendering import AE
from lwm2m_server.onem2m.tree import as_resource
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.sinks.targets import KIND_LABEL, PAUSED_LABEL, endpoint_of, is_paused, masked
from lwm2m_server.store.expiration import expires
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Application, Tenant
from lwm2m_server.store.transaction import Reader

MOST: Final = 50
"""Labels, addresses or headers of one application."""
_MILLISECOND: Final = 1000
"""Microseconds."""
_CHANGES: Final = {
    "kind": nullable(STRING),
    "pointsOfAccess": TEXTS,
    "headers": TEXTS,
    "labels": TEXTS,
    "paused": nullable(BOOLEAN),
}
_NEW: Final = {"name": STRING, "appId": nullable(STRING), "aeId": nullable(STRING), **_CHANGES}
_ONE: Final = "/applications/{name}"


class ApplicationApi:
    """What may be secret is not shown: values of headers, and passwords in addresses."""

    def __init__(
        self,
        tree: TreeRequests,
        find: DeviceFinder,
        inventory: Inventory,
        ledger: Ledger,
        deliveries: Deliveries,
    ) -> None:
        self._tree, self._find = tree, find
        self._inventory, self._ledger, self._deliveries = inventory, ledger, deliveries
        self._ids = ResourceIds(ledger.installation)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/applications", self.list_all, methods=["GET"]),
            Route("/applications", self.create, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.change, methods=["PATCH"]),
            Route(_ONE, self.remove, methods=["DELETE"]),
        ]

    @described(
        "Applications of a tenant, in the order of their names",
        query=(
            TENANT,
            *PAGED,
            Parameter("q", STRING, "a part of the name, the AE-ID, the App-ID or an address"),
        ),
        answers={200: pages_of("applications", ref("Application"), tenant=STRING)},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``headers`` are their names only; ``groups`` are the device groups whose devices it hears of."""
        tenant = tenant_record(self._find, self._inventory, request)
        page = Page.asked(request, 100)
        part = request.query_params.get("q", "").casefold()
        found = sorted(self._inventory.applications(tenant.name), key=lambda one: one.name)
        found = [one for one in found if part in _searched(one) and self._sees(request, tenant, one)]
        groups = await self._groups(tenant)
        rows = [self._shown(one, groups) for one in page.of(found)]
        return json_answer(page.document("applications", rows, len(found), tenant=tenant.name))

    @described("An application", query=(TENANT,), answers={200: ref("Application")})
    async def show(self, request: Request) -> Response:
        tenant = tenant_record(self._find, self._inventory, request)
        return json_answer(self._shown(self._named(tenant, request), await self._groups(tenant)))

    @described(
        "Register an application",
        query=(TENANT,),
        body=obj("name", **_NEW),
        answers={201: ref("Application")},
        problems=(409, 503),
    )
    async def create(self, request: Request) -> Response:
        """``kind`` is how it is reached, `WebHook` unless it says otherwise; without ``pointsOfAccess`` it
        fetches its notifications at a polling channel. ``headers`` (`Name: value`) go with each request."""
        tenant = tenant_record(self._find, self._inventory, request)
        with problems(), reading() as faults:
            members = read_members(await read_json(request), "application", tuple(_NEW))
            members.refuse_unknown(faults)
            name = members.text("name", faults)
            app_id, ae_id = members.text("appId", faults), members.text("aeId", faults)
            changes = _changes(members, None, faults)
            if name is None:
                faults.add("application.name", "a name is due")
        body = {"rn": name, "api": app_id or f"N{name}", **changes}
        await self._tree.register(caller_of(request), tenant.name, body, ae_id)
        assert name is not None
        return json_answer(
            self._shown(self._of(tenant, name), await self._groups(tenant)), HTTPStatus.CREATED
        )

    @described(
        "Change where an application is reached, its labels, or pause it",
        query=(TENANT,),
        body=obj(**_CHANGES),
        answers={200: ref("Application")},
        problems=(409, 503),
    )
    async def change(self, request: Request) -> Response:
        """What is not mentioned stays. While it is paused its notifications wait; those that wait too long
        become dead letters. An address with `***` in place of a password keeps the one there is."""
        tenant = tenant_record(self._find, self._inventory, request)
        former = self._named(tenant, request)
        with problems(), reading() as faults:
            members = read_members(await read_json(request), "application", tuple(_CHANGES))
            members.refuse_unknown(faults)
            changes = _changes(members, former, faults)
        if changes:
            await self._tree.update(caller_of(request), tenant.name, (former.name,), {"m2m:ae": changes})
        now = self._of(tenant, former.name)
        if not is_paused(now):
            # What waited for a reason that is no more is not to wait longer.
            self._deliveries.try_now(endpoint_of(now))
        return json_answer(self._shown(now, await self._groups(tenant)))

    @described("Remove an application", query=(TENANT,), answers={204: None}, problems=(503,))
    async def remove(self, request: Request) -> Response:
        """Device groups send it nothing any more, and what lies below it goes."""
        tenant = tenant_record(self._find, self._inventory, request)
        name = self._named(tenant, request).name
        await self._tree.delete(caller_of(request), tenant.name, (name,))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # --- inner ---------------------------------------------------------------------------------------

    def _named(self, tenant: Tenant, request: Request) -> Application:
        """That the caller may see. Raises ``Problem``."""
        found = self._of(tenant, request.path_params["name"])
        if not self._sees(request, tenant, found):
            raise Problem(HTTPStatus.FORBIDDEN, f"who may look at {found.name} is said there, by a policy")
        return found

    def _sees(self, request: Request, tenant: Tenant, one: Application) -> bool:
        return self._tree.sees(caller_of(request), tenant, (as_resource(one, tenant),))

    def _of(self, tenant: Tenant, name: str) -> Application:
        """Raises ``Problem``."""
        found = self._inventory.application(tenant.name, name)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant.name} has no application {name[:80]!r}")
        return found

    async def _groups(self, tenant: Tenant) -> Mapping[str, Sequence[str]]:
        """By name or id of an application, the groups that name it so."""
        return await self._ledger.apart(partial(_groups, tenant=tenant))

    def _shown(self, one: Application, groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        endpoint, id = endpoint_of(one), self._ids.ri(one.id, AE)
        end = expires(one.attributes)
        return {
            "name": one.name,
            "id": id,
            "aeId": one.aei,
            "appId": one.api,
            "kind": endpoint.kind,
            "pointsOfAccess": [masked(address) for address in one.attributes.get("poa") or ()],
            "headers": [line.partition(":")[0] for line in one.attributes.get("poah") or ()],
            "labels": [label for label in one.attributes.get("lbl") or () if not _is_ours(label)],
            "groups": sorted({*groups.get(one.name, ()), *groups.get(id, ())}),
            "paused": is_paused(one),
            "createdAt": one.id // _MILLISECOND,
            "modifiedAt": one.modified // _MILLISECOND,
            "expiresAt": None if end is None else end // _MILLISECOND,
        }


def _searched(one: Application) -> str:
    return "\n".join([one.name, one.aei, one.api, *map(masked, one.attributes.get("poa") or ())]).casefold()


def _groups(reader: Reader, tenant: Tenant) -> dict[str, list[str]]:
    """On the thread for long reads: the documents of groups may be large."""
    found: dict[str, list[str]] = {}
    for group in device_groups(reader, tenant):
        for member in group.attributes.get("aes", ()):
            found.setdefault(member, []).append(group.name)
    return found


def _changes(members: Members, former: Application | None, faults: Faults) -> dict[str, Any]:
    """Attributes of the AE, by short names; those that are not mentioned are left out."""
    known = {} if former is None else former.attributes
    given: dict[str, Any] = {}
    if "pointsOfAccess" in members.values:
        kept = {masked(address): address for address in known.get("poa") or ()}
        found = members.texts("pointsOfAccess", faults, MOST)
        given["poa"] = [kept.get(address, address) for address in found] or None
    if "headers" in members.values:
        given["poah"] = list(members.texts("headers", faults, MOST)) or None
    if {"kind", "labels", "paused"} & members.values.keys():
        given["lbl"] = _labels(members, tuple(known.get("lbl") or ()), faults) or None
    return given


def _labels(members: Members, former: Sequence[str], faults: Faults) -> list[str]:
    kind, labels = members.text("kind", faults), members.texts("labels", faults, MOST)
    if "labels" not in members.values:
        labels = tuple(label for label in former if not _is_ours(label))
    elif any(map(_is_ours, labels)):
        faults.add("application.labels", "kind and paused have members of their own")
    if kind is not None:
        kinds = [f"{KIND_LABEL}{kind}"]
    else:
        kinds = [label for label in former if label.startswith(KIND_LABEL)]
    paused = members.flag("paused", faults) if "paused" in members.values else PAUSED_LABEL in former
    return [*kinds, *([PAUSED_LABEL] if paused else []), *labels]


def _is_ours(label: str) -> bool:
    return label == PAUSED_LABEL or label.startswith(KIND_LABEL)
