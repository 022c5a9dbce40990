"""``/api/v1/subscriptions``: who is told of what happens to a resource of the oneM2M tree, besides what
device groups lead to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.enrolment.reading import Faults, Members, read_members, reading
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    LIMIT,
    STRING,
    TENANT,
    TEXTS,
    Parameter,
    array,
    described,
    nullable,
    obj,
    ref,
)
from lwm2m_server.http.devices import MAX_ROWS, DeviceFinder, number_of
from lwm2m_server.http.enrolment import problems, tenant_record
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of
from lwm2m_server.http.schemas.applications import CONTENTS, EVENTS
from lwm2m_server.http.tree import TreeRequests
from lwm2m_server.onem2m.notify.asked import seconds_of
from lwm2m_server.onem2m.notify.criteria import SUBSCRIPTION
from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.rendering import AE
from lwm2m_server.onem2m.tree import COMMUNICATION, Tree
from lwm2m_server.sinks.targets import Targets, masked
from lwm2m_server.store.expiration import expires
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Resource, Tenant
from lwm2m_server.store.transaction import Reader

PAGE: Final = 500
"""Subscriptions looked at, at once."""
MOST_TARGETS: Final = 16
_MILLISECOND: Final = 1000
"""Microseconds."""
_COUNT: Final = {"type": ["integer", "null"], "minimum": 1, "maximum": 1000}
_SECONDS: Final = {"type": ["number", "null"], "minimum": 0.001, "maximum": 86_400}
_NEW: Final = {
    "resource": STRING,
    "targets": TEXTS,
    "name": nullable(STRING),
    "events": TEXTS,
    "content": {"enum": [*CONTENTS, None]},
    "batch": nullable(obj(count=_COUNT, seconds=_SECONDS)),
    "latestOnly": nullable(BOOLEAN),
}
_CONDITIONS: Final = frozenset({"net"})
"""Of the criteria, those that ``events`` tells."""


@attrs.frozen(slots=True)
class _Found:
    subscription: Resource
    way: tuple[Resource, ...]
    """To what it is about, from the CSEBase (without it) down."""

    @property
    def device(self) -> str | None:
        if self.way and self.way[0].name == COMMUNICATION:
            return self.way[1].name if len(self.way) > 1 else None
        return self.way[0].name if self.way and self.way[0].key == "m2m:nod" else None


class SubscriptionApi:
    """Those that the platform makes for device groups are told of there."""

    def __init__(
        self, tree: TreeRequests, find: DeviceFinder, inventory: Inventory, ledger: Ledger, targets: Targets
    ) -> None:
        self._tree, self._find, self._targets = tree, find, targets
        self._inventory, self._ledger = inventory, ledger
        self._ids = ResourceIds(ledger.installation)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/subscriptions", self.list_all, methods=["GET"]),
            Route("/subscriptions", self.create, methods=["POST"]),
            Route("/subscriptions/{id}", self.remove, methods=["DELETE"]),
        ]

    @described(
        "Subscriptions of a tenant, the oldest first; without those that device groups lead to",
        query=(
            TENANT,
            LIMIT,
            Parameter("target", STRING, "only to this URL, or this application"),
            Parameter("device", STRING, "only about this device, its messages or its management objects"),
            Parameter("after", STRING, "`next` of the page before"),
        ),
        answers={
            200: obj(
                "tenant subscriptions", tenant=STRING, subscriptions=array(ref("Subscription")), next=STRING
            )
        },
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``conditional``: not all events are told; the criteria stand in the tree. A page may have fewer
        than ``limit``, where policies hide some."""
        tenant = tenant_record(self._find, self._inventory, request)
        limit = max(1, min(number_of(request, "limit", 100), MAX_ROWS))
        target, device = request.query_params.get("target"), request.query_params.get("device")
        found = await self._ledger.apart(
            partial(
                _some,
                inventory=self._inventory,
                ids=self._ids,
                tenant=tenant,
                targets=None if target is None else self._names(tenant, target),
                device=device,
                after=self._after(request),
                limit=limit + 1,
            )
        )
        document: dict[str, Any] = {
            "tenant": tenant.name,
            "subscriptions": [self._shown(one) for one in found[:limit] if self._sees(request, tenant, one)],
        }
        if len(found) > limit:
            document["next"] = self._ids.ri(found[limit - 1].subscription.id, SUBSCRIPTION)
        return json_answer(document)

    @described(
        "Subscribe a URL or an application to what happens to a resource",
        query=(TENANT,),
        body=obj("resource targets", **_NEW),
        answers={201: obj("*", id=STRING, resource=STRING, targets=TEXTS)},
        problems=(409, 503),
    )
    async def create(self, request: Request) -> Response:
        """``resource`` is its names from the CSEBase down: `device-communication/dev1/received-msg`. A URL is
        asked first whether it wants this: if it does not, that is a problem (409). ``events`` are those of
        children unless it says something else: what a container gets are messages."""
        tenant = tenant_record(self._find, self._inventory, request)
        with problems(), reading() as faults:
            members = read_members(await read_json(request), "subscription", tuple(_NEW))
            members.refuse_unknown(faults)
            resource = (members.text("resource", faults) or "").strip("/")
            body = _attributes(members, faults)
            if not all(resource.split("/")):
                faults.add("subscription.resource", "names from the CSEBase down are due")
        names, caller = tuple(resource.split("/")), caller_of(request)
        made = await self._tree.create(caller, tenant.name, names, SUBSCRIPTION, {"m2m:sub": body})
        shown = [masked(target) for target in body["nu"]]
        document = {"id": made["ri"], "resource": resource, "targets": shown}
        return json_answer(document, HTTPStatus.CREATED)

    @described("End a subscription", query=(TENANT,), answers={204: None}, problems=(503,))
    async def remove(self, request: Request) -> Response:
        """Who asked to hear of that (`su`) does."""
        tenant, id = tenant_record(self._find, self._inventory, request), request.path_params["id"]
        number, type = self._ids.parse(id) or (0, 0)
        found = self._ledger.reader.resource(number) if type == SUBSCRIPTION else None
        if found is None or found.type != SUBSCRIPTION or found.tenant != tenant.name:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant.name} has no subscription {id[:80]!r}")
        await self._tree.delete_by_id(caller_of(request), tenant.name, id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # --- inner ---------------------------------------------------------------------------------------

    def _sees(self, request: Request, tenant: Tenant, one: _Found) -> bool:
        return self._tree.sees(caller_of(request), tenant, (*one.way, one.subscription))

    def _after(self, request: Request) -> int:
        text = request.query_params.get("after")
        if text is None:
            return -1
        parsed = self._ids.parse(text)
        if parsed is None:
            raise Problem(HTTPStatus.BAD_REQUEST, f"after={text[:40]} is not what was given as next")
        return parsed[0]

    def _names(self, tenant: Tenant, target: str) -> Collection[str]:
        """All ways to name the same target."""
        application = self._targets.application(tenant.name, target)
        if application is None:
            return [target]
        names = (application.name, application.aei, self._ids.ri(application.id, AE))
        return [f"{before}{name}" for name in names for before in ("", f"{tenant.name}/", f"/{tenant.name}/")]

    def _shown(self, found: _Found) -> dict[str, Any]:
        one, attributes = found.subscription, found.subscription.attributes
        criteria, end = attributes.get("enc") or {}, expires(attributes)
        return {
            "id": self._ids.ri(one.id, SUBSCRIPTION),
            "name": one.name,
            "resource": "/".join(above.name for above in found.way),
            "device": found.device,
            "targets": [masked(target) for target in attributes["nu"]],
            "events": [EVENTS[event - 1] for event in criteria.get("net", (1,))],
            "conditional": not _CONDITIONS.issuperset(criteria),
            "content": CONTENTS[attributes.get("nct", 1) - 1],
            "batch": _batch(attributes.get("bn")),
            "latestOnly": bool(attributes.get("ln") or attributes.get("pn") == 1),
            "left": attributes.get("exc"),
            "creator": attributes.get("cr", ""),
            "createdAt": one.id // _MILLISECOND,
            "expiresAt": None if end is None else end // _MILLISECOND,
        }


def _some(
    reader: Reader,
    *,
    inventory: Inventory,
    ids: ResourceIds,
    tenant: Tenant,
    targets: Collection[str] | None,
    device: str | None,
    after: int,
    limit: int,
) -> list[_Found]:
    """On the thread for long reads."""
    tree, found = Tree(inventory, reader, ids), list[_Found]()
    while len(found) < limit:
        page = reader.subscriptions(tenant.name, targets=targets, not_by=PLATFORM, after=after, limit=PAGE)
        if not page:
            break
        after = page[-1]
        for id in page:
            subscription = reader.resource(id)
            way = None if subscription is None else tree.way(tenant, subscription)
            if subscription is not None and way is not None:
                one = _Found(subscription, tuple(way[:-1]))
                if device in (None, one.device):
                    found.append(one)
    return found[:limit]


def _batch(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    shown: dict[str, Any] = {}
    if "num" in given:
        shown["count"] = given["num"]
    if "dur" in given:
        shown["seconds"] = seconds_of(given["dur"])
    return shown


def _attributes(members: Members, faults: Faults) -> dict[str, Any]:
    """Of the subscription, by short names."""
    targets = members.texts("targets", faults, MOST_TARGETS)
    if not targets:
        faults.add("subscription.targets", "one at least is due")
    found: dict[str, Any] = {"nu": list(targets), "enc": {"net": _events(members, faults)}}
    if (name := members.text("name", faults)) is not None:
        found["rn"] = name
    content = members.text("content", faults)
    if content is not None and content not in CONTENTS:
        faults.add("subscription.content", f"one of {', '.join(CONTENTS)} is due")
    elif content is not None:
        found["nct"] = CONTENTS.index(content) + 1
    batch = _bundle(members, faults)
    if batch:
        found["bn"] = batch
        found |= {"ln": True} if members.flag("latestOnly", faults) else {}
    elif members.flag("latestOnly", faults):
        found["pn"] = 1
    return found


def _events(members: Members, faults: Faults) -> list[int]:
    events = members.texts("events", faults, len(EVENTS))
    if not set(events) <= set(EVENTS):
        faults.add("subscription.events", f"each is one of {', '.join(EVENTS)}")
        return []
    return [EVENTS.index(event) + 1 for event in events or ("childCreated",)]


def _bundle(members: Members, faults: Faults) -> dict[str, Any]:
    """``bn``; nothing if there are no batches."""
    given = read_members(members.get("batch"), "subscription.batch", ("count", "seconds"))
    given.refuse_unknown(faults)
    bundle: dict[str, Any] = {}
    count, seconds = given.get("count"), given.get("seconds")
    if count is not None:
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1000:
            faults.add("subscription.batch.count", "a number from 1 to 1000 is due")
        bundle["num"] = count
    if seconds is not None:
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0.001 <= seconds <= 86_400
        ):
            faults.add("subscription.batch.seconds", "seconds up to a day are due")
        else:
            bundle["dur"] = int(seconds * 1000)
    return bundle
