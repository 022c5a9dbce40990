"""``/api/v1/devices/{name}/updates`` and ``/api/v1/updates``: packages on their way to devices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    LATEST,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder, milliseconds, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.schemas.updates import STATE
from lwm2m_server.http.update_objects import PLACES, SEEN, seen
from lwm2m_server.store.errors import CommitFailed, Gone
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Reader
from lwm2m_server.telemetry.readings import Readings
from lwm2m_server.updates.course import State
from lwm2m_server.updates.machine import NotPossible
from lwm2m_server.updates.packages import Packages
from lwm2m_server.updates.records import METHODS, SOURCES, Options, Update, UpdateRefused, from_row
from lwm2m_server.updates.service import Updates
from lwm2m_server.updates.versions import COMPARISONS

MAX_ROWS: Final = 1000
MAX_ID: Final = 65534
MAX_ATTEMPTS: Final = 10
MAX_TEXT: Final = 255
_ALL: Final = "/devices/{name}/updates"
_ONE: Final = f"{_ALL}/{{id}}"
_PROBLEMS: Final = (409, 503)

Wish = Callable[[Update], Awaitable[Update]]


class UpdateApi:
    """Who may operate devices may update them."""

    def __init__(
        self,
        finder: DeviceFinder,
        ledger: Ledger,
        packages: Packages,
        updates: Updates,
        readings: Readings,
    ) -> None:
        self._find, self._ledger = finder, ledger
        self._packages, self._updates, self._readings = packages, updates, readings

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/updates", self.list_all, methods=["GET"]),
            Route(_ALL, self.list_of_device, methods=["GET"]),
            Route(_ALL, self.begin, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(f"{_ONE}/approve", self.approve, methods=["POST"]),
            Route(f"{_ONE}/cancel", self.cancel, methods=["POST"]),
            Route(f"{_ONE}/retry", self.retry, methods=["POST"]),
        ]

    @described(
        "Updates of all devices of the tenant, oldest first",
        query=(
            TENANT,
            LIMIT,
            Parameter("after", PLACE, "only those with a higher id"),
            Parameter("campaign", STRING, "only those of this campaign"),
            Parameter("state", STATE, "only those in this state"),
            Parameter("open", BOOLEAN, "only those that are not over"),
        ),
        answers={200: obj("tenant updates", tenant=STRING, updates=array(ref("Update")), next=COUNT)},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``next`` is what to give as ``after`` for the next page."""
        tenant, query = self._find.tenant(request), request.query_params
        limit = max(1, min(number_of(request, "limit", MAX_ROWS), MAX_ROWS))
        after, state = number_of(request, "after", 0), query.get("state")
        is_open = query.get("open", "false")
        if is_open not in ("true", "false"):
            raise Problem(HTTPStatus.BAD_REQUEST, f"open={is_open[:40]} is neither true nor false")
        if state is not None and state not in {one.value for one in State}:
            raise Problem(HTTPStatus.BAD_REQUEST, f"state={state[:40]} is no state of updates")

        def read(reader: Reader) -> list[Update]:
            rows = reader.updates_in(
                tenant,
                campaign=query.get("campaign"),
                state=state,
                is_open=is_open == "true",
                after=after,
                limit=limit,
            )
            return [from_row(row) for row in rows]

        found = self._updates.current(await self._ledger.apart(read))
        document: dict[str, Any] = {"tenant": tenant, "updates": [update_to_json(one) for one in found]}
        if len(found) == limit:
            document["next"] = found[-1].id
        return json_answer(document)

    @described(
        "Updates of a device, the newest first, and what it says itself of its packages",
        query=(TENANT,),
        answers={200: obj("*", updates=array(ref("Update")), objects=array(SEEN))},
    )
    async def list_of_device(self, request: Request) -> Response:
        """``objects`` are the instances of Objects 5, 9 and 33629 that something is known of."""
        device = self._find(request)
        told = await self._readings.latest(device, PLACES)
        updates = [update_to_json(one) for one in self._updates.of(device)]
        return json_answer({"updates": updates, "objects": list(seen(told.values()))})

    @described(
        "Update a device: the package is brought to it, installed, and what runs then is compared",
        query=(TENANT,),
        body=ref("NewUpdate"),
        answers={202: ref("Update")},
        problems=_PROBLEMS,
    )
    async def begin(self, request: Request) -> Response:
        """``approval``: it waits with the package on the device. ``installAfter``: not before. ``force``:
        also if the version runs already. 409 while another update of it is not over."""
        device = self._find(request)
        name, options = read_options(await read_json(request))
        package = self._packages.get(device.tenant, name)
        if package is None:
            raise Problem(HTTPStatus.BAD_REQUEST, f"tenant {device.tenant} has no package {name[:80]!r}")
        if not self._packages.is_there(package):
            raise Problem(HTTPStatus.CONFLICT, f"the file of {name} is lost; bring it again")
        update = await _tried(partial(self._updates.begin, device, package, options=options))
        return json_answer(update_to_json(update), HTTPStatus.ACCEPTED)

    @described("An update", query=(TENANT,), answers={200: ref("Update")})
    async def show(self, request: Request) -> Response:
        return json_answer(update_to_json(self._one(request)))

    @described(
        "Let an update be installed", query=(TENANT,), answers={200: ref("Update")}, problems=_PROBLEMS
    )
    async def approve(self, request: Request) -> Response:
        """Also before it waits for that."""
        return await self._wish(request, self._updates.approve)

    @described(
        "Cancel an update; the device drops what it has of the package",
        query=(TENANT,),
        answers={200: ref("Update")},
        problems=_PROBLEMS,
    )
    async def cancel(self, request: Request) -> Response:
        """409 once the device installs: that cannot be called back."""
        return await self._wish(request, self._updates.cancel)

    @described(
        "Begin an update anew that failed or was cancelled",
        query=(TENANT,),
        answers={200: ref("Update")},
        problems=_PROBLEMS,
    )
    async def retry(self, request: Request) -> Response:
        return await self._wish(request, self._updates.retry)

    async def _wish(self, request: Request, wish: Wish) -> Response:
        update = self._one(request)
        return json_answer(update_to_json(await _tried(partial(wish, update))))

    def _one(self, request: Request) -> Update:
        """Raises ``Problem``."""
        device, text = self._find(request), request.path_params["id"]
        known = text.isascii() and text.isdigit() and len(text) <= 15
        update = self._updates.get(int(text)) if known else None
        if update is None or update.node != device.node:
            raise Problem(HTTPStatus.NOT_FOUND, f"{device.name} has no update {text[:40]!r}")
        return update


async def _tried(wish: Callable[[], Awaitable[Update]]) -> Update:
    """Raises ``Problem``."""
    try:
        return await wish()
    except (NotPossible, UpdateRefused) as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    except Gone as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    except CommitFailed as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error


def update_to_json(update: Update) -> dict[str, Any]:
    course, plan, progress = update.course, update.plan, update.progress
    return {
        "id": update.id,
        "device": update.device,
        "type": update.kind,
        "package": update.package,
        "title": plan.title,
        "version": plan.version,
        "campaign": update.campaign,
        "state": update.state.value,
        "reason": update.reason,
        "progress": None if progress is None else round(100 * progress, 1),
        "bytes": course.transferred,
        "size": update.size,
        "method": plan.ways[course.way],
        "path": None if update.root is None else str(update.root),
        "attempts": course.attempts,
        "approved": course.is_approved,
        "dueAt": milliseconds(course.due),
        "createdAt": milliseconds(update.created_at),
        "changedAt": milliseconds(update.changed_at),
        "options": options_to_json(update.options),
        "timeline": [
            {"at": milliseconds(one.at), "state": one.state.value, "reason": one.reason}
            for one in update.timeline
        ],
    }


# --- options ------------------------------------------------------------------------------------------

_MEMBERS: Final = {
    "method": "method",
    "approval": "needs_approval",
    "installAfter": "install_after",
    "force": "is_forced",
    "comparison": "comparison",
    "versionFrom": "source",
    "activate": "activates",
    "attempts": "attempts",
    "instance": "instance",
    "component": "component",
    "severity": "severity",
    "deferPeriod": "defer",
}


def options_to_json(options: Options) -> dict[str, Any]:
    found = {name: getattr(options, member) for name, member in _MEMBERS.items()}
    return {**found, "installAfter": milliseconds(options.install_after)}


def read_options(document: object) -> tuple[str, Options]:
    """Name of the package, and the rest. Raises ``Problem``."""
    if not isinstance(document, Mapping):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is to be a JSON object")
    members = dict(document)
    package = members.pop("package", None)
    if not isinstance(package, str):
        raise Problem(HTTPStatus.BAD_REQUEST, "package is due: the name of one")
    return package, options_from_json(members)


def options_from_json(members: Mapping[str, Any]) -> Options:
    """Raises ``Problem`` for what is unknown, or cannot be."""
    found: dict[str, Any] = {}
    for name, value in members.items():
        if name not in _MEMBERS:
            raise Problem(HTTPStatus.BAD_REQUEST, f"{name[:40]!r} is none of {', '.join(_MEMBERS)}")
        found[_MEMBERS[name]] = _checked(name, value)
    return Options(**found)


def _checked(name: str, value: object) -> object:
    """Raises ``Problem``."""
    if name in _CHOICES:
        return _demand(name, value, value in _CHOICES[name], f"one of {', '.join(_CHOICES[name])}")
    if name in ("approval", "force", "activate"):
        return _demand(name, value, isinstance(value, bool), "true or false")
    if value is None and name in _OPTIONAL:
        return None
    if name == "component":
        return _demand(name, value, isinstance(value, str) and 0 < len(value) <= MAX_TEXT, "a name")
    if name == "installAfter":
        return _seconds(value)
    least, most = _RANGES[name]
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    return _demand(name, value, fits, f"a number from {least} to {most}")


def _seconds(value: object) -> float:
    """Of milliseconds, or of ISO 8601. Raises ``Problem``."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return moment.timestamp()
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST:
        return value / 1000
    raise Problem(
        HTTPStatus.BAD_REQUEST, "installAfter is to be milliseconds since 1970, or ISO 8601 with an offset"
    )


_CHOICES: Final = {"method": METHODS, "comparison": COMPARISONS, "versionFrom": SOURCES}
_OPTIONAL: Final = ("installAfter", "instance", "component", "severity", "deferPeriod")
_RANGES: Final = {
    "severity": (0, 2),
    "deferPeriod": (0, 0xFFFFFFFF),
    "attempts": (1, MAX_ATTEMPTS),
    "instance": (0, MAX_ID),
}


def _demand(name: str, value: object, is_so: bool, what: str) -> object:
    if not is_so:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name} is to be {what}")
    return value
