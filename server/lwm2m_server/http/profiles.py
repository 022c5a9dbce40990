"""``/api/v1/profiles``: device profiles as documents. What is shown is what can be imported elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    OFTEN_TIME,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.paging import PAGED, Page, pages_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.profiles.comparison import LISTS, TABLES
from lwm2m_server.profiles.defaults import Entries
from lwm2m_server.profiles.document import Draft, document_of, tag_of
from lwm2m_server.profiles.editor import Editor, Overtaken
from lwm2m_server.profiles.fleet import Fleet
from lwm2m_server.profiles.mapping import Strategy
from lwm2m_server.profiles.places import Place
from lwm2m_server.profiles.schema import Fault, ProfileRejected, schema
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Inventory

T = TypeVar("T")

MAX_DOCUMENT: Final = 524_288
"""Bytes of a profile."""
MAX_FAULTS: Final = 20
"""That a sentence tells; all are in a list beside it."""
SCHEMA: Final = "application/schema+json"
RESERVED: Final = frozenset(("schema", "defaults", "check"))
"""Names that are paths already."""

_NAME: Final = Parameter("name", STRING, "only those with this in their names")
_NEW_NAME: Final = Parameter("name", STRING, "for a transport configuration that comes alone")
_FORCE: Final = Parameter("force", BOOLEAN, "even if devices, groups or rules use it")
_DEVICES: Final = Parameter("devices", BOOLEAN, "count the devices of each, now or some seconds ago")
_IF_MATCH: Final = Parameter(
    "if-match", STRING, "`ETag` of what is to be replaced; 412 if it is another one by now", place="header"
)
_ROW: Final = obj(
    "name groups rules default objects observeStrategy changedAt",
    name=STRING,
    groups=array(STRING),
    rules=COUNT,
    default=BOOLEAN,
    objects=array(COUNT),
    observeStrategy=enum(*(one.value for one in Strategy)),
    changedAt=OFTEN_TIME,
    devices=COUNT,
)


class ProfileApi:
    """Of one tenant at a time. To change a profile takes the role admin."""

    def __init__(
        self,
        inventory: Inventory,
        editor: Editor,
        fleet: Fleet,
        find: DeviceFinder,
        defaults: Entries,
        default_tenant: str,
    ) -> None:
        """``defaults`` gives the entries of this server for ``bootstrap``, told the host it is asked at."""
        self._kept, self._editor, self._fleet = inventory.profiles, editor, fleet
        self._find, self._defaults, self._default = find, defaults, default_tenant

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/profiles", self.list_all, methods=["GET"]),
            Route("/profiles", self.create, methods=["POST"]),
            Route("/profiles/schema", self.show_schema, methods=["GET"]),
            Route("/profiles/defaults", self.show_defaults, methods=["GET"]),
            Route("/profiles/{name}", self.show, methods=["GET"]),
            Route("/profiles/{name}", self.put, methods=["PUT"]),
            Route("/profiles/{name}", self.delete, methods=["DELETE"]),
        ]

    @described(
        "Device profiles, by name",
        query=(TENANT, _NAME, *PAGED, _DEVICES),
        answers={200: pages_of("profiles", _ROW, tenant=STRING)},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``?name=`` is a part of names; ``total`` counts those that have it."""
        tenant, part = self._find.tenant(request), request.query_params.get("name", "").lower()
        page = Page.asked(request)
        found = sorted((one for one in self._kept.of(tenant) if part in one.name.lower()), key=_by_name)
        rows = [_row(profile) for profile in page.of(found)]
        if flag_of(request, "devices"):
            counts = await self._fleet.counts(tenant)
            rows = [{**row, "devices": counts[row["name"]]} for row in rows]
        return json_answer(page.document("profiles", rows, len(found), tenant=tenant))

    @described(
        "Create a device profile, or import one",
        query=(TENANT, _NEW_NAME),
        body=ref("NewProfile"),
        answers={201: ref("NotedProfile")},
        problems=(409, 503),
    )
    async def create(self, request: Request) -> Response:
        """A whole document as ``GET`` gives it here or elsewhere, or its transport configuration alone. The
        answer says in ``notes`` what was left out, and what may not be as it was meant."""
        tenant = self._admin(request)
        draft = await self.draft(request, tenant)
        name = draft.name or request.query_params.get("name")
        if not name:
            raise Problem(400, "name: the profile has none; give it one, or ?name=")
        profile = await kept(self._editor.add(tenant, _checked(name), draft.data))
        return _answer(_noted(profile, draft), 201, profile.name)

    @described("A device profile, to be imported elsewhere", query=(TENANT,), answers={200: ref("Profile")})
    async def show(self, request: Request) -> Response:
        """Its ``ETag`` is for the ``If-Match`` of a change."""
        profile = self.profile(request)
        return json_answer(_shown(profile), headers=_tagged(profile))

    @described(
        "Replace a device profile, or create it",
        query=(TENANT, _IF_MATCH),
        body=ref("NewProfile"),
        answers={200: ref("NotedProfile"), 201: ref("NotedProfile")},
        problems=(409, 412, 503),
    )
    async def put(self, request: Request) -> Response:
        """Under another name, if the document has one: it stays assigned to whom it was. Devices get what is
        different, as soon as they can be reached."""
        tenant, name = self._admin(request), _checked(request.path_params["name"])
        draft, expected = await self.draft(request, tenant), _expected(request)
        if self._kept.get(tenant, name) is None:
            if expected is not None:
                raise _overtaken(name)
            profile = await kept(self._editor.add(tenant, _checked(draft.name or name), draft.data))
            return _answer(_noted(profile, draft), 201, profile.name)
        new_name = _checked(draft.name or name)
        change = self._editor.replace(tenant, name, new_name, draft.data, expected=expected)
        profile = await kept(change)
        return json_answer(_noted(profile, draft), headers=_tagged(profile))

    @described(
        "Remove a device profile", query=(TENANT, _FORCE), answers={204: None}, problems=(400, 409, 503)
    )
    async def delete(self, request: Request) -> Response:
        """Who uses it is named, and keeps it, unless ``force`` is true."""
        tenant, profile = self._admin(request), self.profile(request)
        users = self._editor.users(profile)
        if users and not flag_of(request, "force"):
            raise Problem(409, f"{profile.name!r} is used by {users}; force=true removes it all the same")
        await kept(self._editor.remove(tenant, profile.name))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described("The JSON Schema of device profiles", answers={200: {"type": "object"}}, media_type=SCHEMA)
    async def show_schema(self, request: Request) -> Response:
        """Draft 2020-12."""
        return Response(orjson.dumps(schema()), 200, media_type=SCHEMA)

    @described(
        "Entries of bootstrap for this very server",
        answers={200: obj("*", bootstrap=array({"type": "object"}))},
    )
    async def show_defaults(self, request: Request) -> Response:
        """One for each way there is to it, to choose from: with its host, ports and public keys."""
        return json_answer({"bootstrap": list(self._defaults(request.url.hostname or ""))})

    # --- for those beside --------------------------------------------------------------------------

    def profile(self, request: Request) -> DeviceProfile:
        """The one a request is about. Raises ``Problem``."""
        tenant, name = self._find.tenant(request), request.path_params["name"]
        profile = self._kept.get(tenant, name)
        if profile is None:
            raise Problem(404, f"tenant {tenant} has no profile {name!r}")
        return profile

    def _admin(self, request: Request) -> str:
        """The tenant; raises ``Problem`` for who may not change its profiles."""
        self._find.tenant(request)
        return tenant_of(request, self._default, Role.ADMIN)

    async def draft(self, request: Request, tenant: str) -> Draft:
        """The body; raises ``Problem`` with all that is wrong with it."""
        document = await read_json(request, MAX_DOCUMENT)
        try:
            return await self._editor.read(tenant, document)
        except ProfileRejected as error:
            raise _rejected(error.faults) from error


async def kept(change: Awaitable[T]) -> T:
    """Await a change of the editor. Raises ``Problem``."""
    try:
        with stored():
            return await change
    except KeyError as error:
        raise Problem(404, f"there is no profile {error.args[0]!r}") from error
    except Overtaken as error:
        raise _overtaken(error.args[0]) from error


def flag_of(request: Request, name: str) -> bool:
    """A query argument; raises ``Problem``."""
    text = request.query_params.get(name, "false")
    if text not in ("true", "false"):
        raise Problem(400, f"{name}={text[:40]} is neither true nor false")
    return text == "true"


def _expected(request: Request) -> str | None:
    """The tag in ``If-Match``; ``*`` is as good as none."""
    text = request.headers.get("if-match", "*").strip()
    return None if text == "*" else text.removeprefix("W/").strip('"')


def _overtaken(name: str) -> Problem:
    return Problem(412, f"the profile {name!r} was changed or removed meanwhile")


def _tagged(profile: DeviceProfile) -> dict[str, str]:
    return {"etag": f'"{tag_of(profile.name, profile.document)}"'}


def _checked(name: str) -> str:
    """The same as the schema says; raises ``Problem``."""
    is_one = 0 < len(name) <= 255 and name.isprintable() and name == name.strip() and "/" not in name
    if not is_one or name in RESERVED:
        raise Problem(400, f"name: {name[:40]!r} is no name of a profile")
    return name


def _rejected(faults: Sequence[Fault]) -> Problem:
    shown = [str(fault) for fault in faults[:MAX_FAULTS]]
    more = [f"and {len(faults) - MAX_FAULTS} faults more"] if len(faults) > MAX_FAULTS else []
    return Problem(400, "; ".join(shown + more), {"faults": [_fault(fault) for fault in faults]})


def _fault(fault: Fault) -> dict[str, str]:
    return {"place": fault.place, "reason": fault.reason}


def _row(profile: DeviceProfile) -> dict[str, Any]:
    observed = profile.document["transportConfiguration"]["observeAttr"]
    return {
        "name": profile.name,
        "groups": list(profile.groups),
        "rules": len(profile.rules),
        "default": profile.is_default,
        "objects": sorted({Place.parse(text).object for text in _named(observed)}),
        "observeStrategy": observed["observeStrategy"],
        "changedAt": profile.changed_at * 1000 // SECOND or None,
    }


def _named(observed: Mapping[str, Any]) -> Iterator[str]:
    """The paths of what is done with Resources."""
    for member in (*LISTS, *TABLES):
        yield from observed[member]


def _shown(profile: DeviceProfile) -> dict[str, Any]:
    return document_of(profile.name, profile.document)


def _noted(profile: DeviceProfile, draft: Draft) -> dict[str, Any]:
    return {**_shown(profile), "notes": notes_of(draft)}


def notes_of(draft: Draft) -> list[dict[str, str]]:
    return [_fault(note) for note in draft.notes]


def _by_name(profile: DeviceProfile) -> str:
    return profile.name


def _answer(document: object, status: int, created: str) -> Response:
    """Of a profile that is there from now on."""
    location = {"content-location": f"/api/v1/profiles/{quote(created, safe='')}"}
    return json_answer(document, status, location)
