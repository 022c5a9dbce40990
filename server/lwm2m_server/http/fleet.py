"""``/api/v1/devices``: the list of devices, searched, filtered, sorted and in pages."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final, get_args

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.describing import (
    COUNT,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.devices import MAX_ROWS, DeviceApi, DeviceFinder, number_of
from lwm2m_server.http.finding import Asked, Finder, Moment
from lwm2m_server.http.problems import Problem
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.profiles.opening import ProfileServer
from lwm2m_server.store.finding import Case, Cases, Members, Sort, Wanted
from lwm2m_server.store.protocols import Ledger

TURN: Final = 10
"""Rows made before others may run."""
LONGEST: Final = 200
"""Characters of a text to look for."""
_SORTS: Final = (*get_args(Sort), *get_args(Moment))
_STATES: Final[Mapping[str, bool | None]] = {
    "registered": True,
    "unregistered": False,
    "awake": True,
    "asleep": True,
}
"""And whether devices in that state are registered."""
_FLAGS: Final = {"true": True, "false": False}


class FleetApi:
    """Never more rows are made than shown."""

    def __init__(
        self,
        api: DeviceApi,
        find: DeviceFinder,
        ledger: Ledger,
        devices: Devices,
        profiles: ProfileServer,
    ) -> None:
        self._api, self._find, self._reader = api, find, ledger.reader
        self._finder, self._profiles = Finder(ledger, devices), profiles

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/devices", self.list_devices, methods=["GET"])]

    @described(
        "Devices; in the order of their creation, if nothing else is asked for",
        query=(
            TENANT,
            LIMIT,
            Parameter("offset", PLACE, "leave out so many"),
            Parameter("q", STRING, "a part of the name, the endpoint name or the node id"),
            Parameter("registered", enum("true", "false"), "only those that are, or are not"),
            Parameter("state", enum(*_STATES), "only those in this state; `awake` can be reached now"),
            Parameter("profile", STRING, "only those this device profile is for"),
            Parameter("group", STRING, "only members of this device group"),
            Parameter("sort", enum(*_SORTS), "what to sort by; by a moment, those not registered come first"),
            Parameter("order", enum("asc", "desc"), "downwards or not"),
        ),
        answers={
            200: obj(
                "tenant devices total",
                tenant=STRING,
                devices=array(ref("Device")),
                nextOffset=COUNT,
                total=COUNT,
            )
        },
        problems=(400,),
    )
    async def list_devices(self, request: Request) -> Response:
        """``total`` is how many there are in all pages."""
        asked = await self._asked(request)
        found, total = await self._finder.page(asked)
        rows: list[tuple[int, dict[str, Any]]] = []
        for number, node in enumerate(found):
            if number % TURN == 0:
                await asyncio.sleep(0)
            device = self._reader.device(node)
            if device is not None:
                rows.append((node, self._api.row(device)))
        tenant = asked.wanted.tenant
        await self._api.add_groups(tenant, rows)
        document: dict[str, Any] = {"tenant": tenant, "devices": [row for _, row in rows], "total": total}
        if asked.offset + len(found) < total:
            document["nextOffset"] = asked.offset + asked.limit
        return json_answer(document)

    async def _asked(self, request: Request) -> Asked:
        """Raises ``Problem``."""
        wanted, sort = await self._wanted(request), _one_of(request, "sort", _SORTS)
        moments: tuple[Moment, ...] = get_args(Moment)
        state = _one_of(request, "state", _STATES)
        return Asked(
            wanted,
            min(number_of(request, "limit", MAX_ROWS), MAX_ROWS),
            number_of(request, "offset", 0),
            state == "asleep" if state in ("awake", "asleep") else None,
            next((moment for moment in moments if moment == sort), None),
        )

    async def _wanted(self, request: Request) -> Wanted:
        """Raises ``Problem``."""
        query = request.query_params
        text = query.get("q")
        if text is not None and len(text) > LONGEST:
            raise Problem(400, f"q: at most {LONGEST} characters")
        registered = _one_of(request, "registered", _FLAGS)
        state = _one_of(request, "state", _STATES)
        wanted = Wanted(
            self._find.tenant(request),
            text,
            _FLAGS[registered] if registered is not None else None,
            sort=_sort(request),
            descending=_one_of(request, "order", ("asc", "desc")) == "desc",
        )
        if state is not None:
            is_registered = _STATES[state]
            if wanted.registered is not None and wanted.registered is not is_registered:
                raise Problem(400, f"state={state} and registered={registered} leave nothing")
            wanted = attrs.evolve(wanted, registered=is_registered)
        return await self._among(wanted, query.get("profile"), query.get("group"))

    async def _among(self, wanted: Wanted, profile: str | None, group: str | None) -> Wanted:
        """Only those of a profile, or of a group. Raises ``Problem`` if there is none of this name."""
        tenant, memberships = wanted.tenant, self._profiles.memberships
        if profile is not None:
            wanted = attrs.evolve(wanted, cases=await self._cases(tenant, profile))
        if group is not None:
            if not memberships.exists(tenant, group):
                raise Problem(404, f"tenant {tenant} has no device group {group[:80]!r}")
            wanted = attrs.evolve(wanted, members=memberships.found(tenant, group))
        return wanted

    async def _cases(self, tenant: str, name: str) -> Cases:
        profile = self._profiles.profiles.named(tenant, name)
        if profile is None:
            raise Problem(404, f"tenant {tenant} has no profile {name[:80]!r}")
        assignments = self._profiles.profiles.assignments(tenant)
        found = assignments.cases(profile, partial(self._profiles.memberships.found, tenant))
        if found is not None:
            return found
        nodes: set[int] = set()
        async for page in self._profiles.fleet.devices(tenant, profile.name):
            nodes.update(device.node for device, _ in page)
        return Cases((Case(True, members=Members((), nodes)),), otherwise=False)


def _sort(request: Request) -> Sort:
    asked = request.query_params.get("sort")
    known: tuple[Sort, ...] = get_args(Sort)
    return next((sort for sort in known if sort == asked), "created")


def _one_of(request: Request, name: str, known: Collection[str]) -> str | None:
    """A query argument; raises ``Problem``."""
    text = request.query_params.get(name)
    if text is not None and text not in known:
        raise Problem(400, f"{name}={text[:40]}: one of {', '.join(known)} is expected")
    return text
