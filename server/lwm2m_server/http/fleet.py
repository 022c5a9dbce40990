"""``/api/v1/devices``: the list of devices, searched, filtered, sorted and in pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
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
    nullable,
    obj,
    ref,
)
from lwm2m_server.http.devices import MAX_ROWS, DeviceApi, DeviceFinder, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.profiles.groups import NODE
from lwm2m_server.profiles.opening import ProfileServer
from lwm2m_server.store.finding import Sort, Wanted
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Reader

TURN: Final = 10
"""Rows made before others may run."""
LONGEST: Final = 200
"""Characters of a text to look for."""
_SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
_STATES: Final[Mapping[str, bool | None]] = {
    "registered": True,
    "unregistered": False,
    "awake": True,
    "asleep": True,
}
"""And whether devices in that state are registered."""
_FLAGS: Final = {"true": True, "false": False}


class FleetApi:
    """What takes long is looked for on the thread for long reads, and never more rows made than shown."""

    def __init__(
        self,
        api: DeviceApi,
        find: DeviceFinder,
        ledger: Ledger,
        devices: Devices,
        profiles: ProfileServer,
    ) -> None:
        self._api, self._find, self._ledger, self._reader = api, find, ledger, ledger.reader
        self._devices, self._profiles = devices, profiles
        self._ids = ResourceIds(ledger.installation)

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
            Parameter("sort", enum(*_SORTS), "what to sort by"),
            Parameter("order", enum("asc", "desc"), "downwards or not"),
        ),
        answers={
            200: obj(
                "tenant devices total",
                tenant=STRING,
                devices=array(ref("Device")),
                nextOffset=COUNT,
                total=nullable(COUNT),
            )
        },
        problems=(400,),
    )
    async def list_devices(self, request: Request) -> Response:
        """``total`` is how many there are in all pages, ``null`` where only a look at each would tell."""
        limit = min(number_of(request, "limit", MAX_ROWS), MAX_ROWS)
        offset = number_of(request, "offset", 0)
        wanted, state = await self._wanted(request), _one_of(request, "state", _STATES)
        if state in ("awake", "asleep"):
            nodes = await self._ledger.apart(_all(wanted))
            found: Sequence[int] = await self._in_state(nodes, state == "awake", offset, limit + 1)
            total: int | None = None
        else:
            found, total = await self._ledger.apart(partial(_page, wanted, limit + 1, offset))
        document: dict[str, Any] = {"tenant": wanted.tenant, "devices": [], "total": total}
        for number, node in enumerate(found[:limit]):
            if number % TURN == 0:
                await asyncio.sleep(0)
            device = self._reader.device(node)
            if device is not None:
                document["devices"].append(self._api.row(device))
        if len(found) > limit:
            document["nextOffset"] = offset + limit
        return json_answer(document)

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
            wanted = attrs.evolve(wanted, registered=is_registered, may_sleep=state == "asleep")
        return await self._among(wanted, query.get("profile"), query.get("group"))

    async def _among(self, wanted: Wanted, profile: str | None, group: str | None) -> Wanted:
        """Only those of a profile, or of a group. Raises ``Problem`` if there is none of this name."""
        nodes: set[int] | None = None
        if profile is not None:
            if self._profiles.profiles.named(wanted.tenant, profile) is None:
                raise Problem(404, f"tenant {wanted.tenant} has no profile {profile[:80]!r}")
            nodes = set()
            async for page in self._profiles.fleet.devices(wanted.tenant, profile):
                nodes.update(device.node for device, _ in page)
        if group is None:
            return attrs.evolve(wanted, nodes=nodes)
        if not self._profiles.memberships.exists(wanted.tenant, group):
            raise Problem(404, f"tenant {wanted.tenant} has no device group {group[:80]!r}")
        members = self._profiles.memberships.members(wanted.tenant, group)
        parsed = (self._ids.parse(member) for member in members)
        ids = {found[0] for found in parsed if found is not None and found[1] == NODE}
        if nodes is None:
            return attrs.evolve(wanted, nodes=ids, names=members)
        known = attrs.evolve(wanted, nodes=ids, names=members)
        return attrs.evolve(wanted, nodes=nodes.intersection(await self._ledger.apart(_all(known))))

    async def _in_state(self, nodes: Sequence[int], awake: bool, offset: int, limit: int) -> Sequence[int]:
        """Those that sleep, or that do not: it is for the engine to say."""
        found: list[int] = []
        for number, node in enumerate(nodes):
            if number % TURN == 0:
                await asyncio.sleep(0)
            device = self._reader.device(node)
            if device is None or (self._devices.state(device).awake is not False) is not awake:
                continue
            if offset:
                offset -= 1
                continue
            found.append(node)
            if len(found) == limit:
                break
        return found


def _page(wanted: Wanted, limit: int, offset: int, reader: Reader) -> tuple[Sequence[int], int]:
    if not wanted.text:
        return reader.find_devices(wanted, limit=limit, offset=offset), reader.count_devices(wanted)
    # To look for a text takes a look at every device: once will do.
    found = reader.find_devices(wanted)
    return found[offset : offset + limit], len(found)


def _all(wanted: Wanted) -> Callable[[Reader], Sequence[int]]:
    return lambda reader: reader.find_devices(wanted)


def _sort(request: Request) -> Sort:
    asked = _one_of(request, "sort", _SORTS)
    return next((sort for sort in _SORTS if sort == asked), "created")


def _one_of(request: Request, name: str, known: Collection[str]) -> str | None:
    """A query argument; raises ``Problem``."""
    text = request.query_params.get(name)
    if text is not None and text not in known:
        raise Problem(400, f"{name}={text[:40]}: one of {', '.join(known)} is expected")
    return text
