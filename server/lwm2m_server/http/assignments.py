"""Which device profile is for whom: ``/api/v1/profiles/{name}/…`` and ``/api/v1/devices/{name}/profile``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    LIMIT,
    NODE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    nullable,
    obj,
    ref,
)
from lwm2m_server.http.devices import MAX_ROWS, DeviceFinder, node_after, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.profiles import ProfileApi, kept
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.profiles.assignment import Assigned
from lwm2m_server.profiles.fleet import Touched
from lwm2m_server.profiles.opening import ProfileServer
from lwm2m_server.store.definitions import DeviceProfile, ProfileRule

MAX_GROUPS: Final = 100
MAX_RULES: Final = 100
"""Of one profile."""
MAX_PATTERN: Final = 255
MAX_PRIORITY: Final = 1_000_000
_PATTERNS: Final = ("endpoint", "manufacturer", "model")
_MEMBERS: Final = ("groups", "rules", "default")


class AssignmentApi:
    """Assigned to a device goes before a group, a group before a rule, a rule before the default."""

    def __init__(
        self, api: ProfileApi, opened: ProfileServer, find: DeviceFinder, default_tenant: str
    ) -> None:
        self._api, self._profiles, self._editor = api, opened.profiles, opened.editor
        self._fleet, self._memberships = opened.fleet, opened.memberships
        self._find, self._default = find, default_tenant

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/profiles/{name}/assignment", self.show, methods=["GET"]),
            Route("/profiles/{name}/assignment", self.put, methods=["PUT"]),
            Route("/profiles/{name}/assignment", self.delete, methods=["DELETE"]),
            Route("/profiles/{name}/devices", self.devices, methods=["GET"]),
            Route("/devices/{name}/profile", self.show_device, methods=["GET"]),
            Route("/devices/{name}/profile", self.assign, methods=["PUT"]),
            Route("/devices/{name}/profile", self.unassign, methods=["DELETE"]),
        ]

    # --- of a profile ------------------------------------------------------------------------------

    @described(
        "The groups and rules a profile is for", query=(TENANT,), answers={200: ref("ProfileAssignment")}
    )
    async def show(self, request: Request) -> Response:
        return json_answer(_assignment(self._api.profile(request)))

    @described(
        "Say which groups and rules a profile is for",
        query=(TENANT,),
        body=ref("NewProfileAssignment"),
        answers={200: ref("ProfileAssignment")},
        problems=(409, 503),
    )
    async def put(self, request: Request) -> Response:
        """In place of those there were; devices it was assigned to by name keep it. As ``default`` it is for
        all devices of the tenant without another one, and no other profile is the default any more."""
        tenant, profile = self._admin(request), self._api.profile(request)
        document = _object("the body", await read_json(request), _MEMBERS)
        groups, rules = self._groups(tenant, document.get("groups")), _rules(document.get("rules"))
        is_default = document.get("default") or False
        if not isinstance(is_default, bool):
            raise Problem(400, "default: true or false is due")
        appointed = self._editor.appoint(tenant, profile.name, groups, rules, is_default)
        return json_answer(_assignment(await kept(appointed)))

    @described(
        "A profile is for no group and no rule any more",
        query=(TENANT,),
        answers={204: None},
        problems=(503,),
    )
    async def delete(self, request: Request) -> Response:
        tenant, profile = self._admin(request), self._api.profile(request)
        await kept(self._editor.appoint(tenant, profile.name, (), (), False))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described(
        "The devices a profile is for, and why",
        query=(TENANT, LIMIT, Parameter("after", NODE, "`next` of the page before")),
        answers={200: obj("profile devices", profile=STRING, devices=array(ref("ProfileDevice")), next=NODE)},
        problems=(400,),
    )
    async def devices(self, request: Request) -> Response:
        profile = self._api.profile(request)
        limit = max(1, min(number_of(request, "limit", 100), MAX_ROWS))
        after = node_after(request)
        found: list[Touched] = []
        async for page in self._fleet.devices(profile.tenant or "", profile.name, after=after):
            found += page
            if len(found) > limit:
                break
        document: dict[str, Any] = {
            "profile": profile.name,
            "devices": [
                {"name": device.name, "endpoint": device.endpoint, **_why(assigned)}
                for device, assigned in found[:limit]
            ],
        }
        if len(found) > limit:
            document["next"] = found[limit - 1][0].node
        return json_answer(document)

    # --- of a device -------------------------------------------------------------------------------

    @described(
        "Which profile is for a device, and why",
        query=(TENANT,),
        answers={200: nullable(ref("AssignedProfile"))},
    )
    async def show_device(self, request: Request) -> Response:
        """``null`` if there is none."""
        found = self._profiles.assigned(self._find(request))
        return json_answer(None if found is None else {"profile": found.profile.name, **_why(found)})

    @described(
        "Assign a profile to a device",
        query=(TENANT,),
        body=obj("profile", profile=STRING),
        answers={200: ref("AssignedProfile")},
        problems=(503,),
    )
    async def assign(self, request: Request) -> Response:
        name = _object("the body", await read_json(request), ("profile",)).get("profile")
        if not isinstance(name, str):
            raise Problem(400, "profile: the name of a profile is due")
        await self._assign(request, name)
        return json_answer({"profile": name, "by": "device", "group": None, "rule": None})

    @described(
        "A device has no profile of its own any more", query=(TENANT,), answers={204: None}, problems=(503,)
    )
    async def unassign(self, request: Request) -> Response:
        """There may be one for its group, by a rule, or for all."""
        await self._assign(request, None)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _assign(self, request: Request, name: str | None) -> None:
        await kept(self._editor.assign(self._find(request), name))

    # --- in ----------------------------------------------------------------------------------------

    def _admin(self, request: Request) -> str:
        self._find.tenant(request)
        return tenant_of(request, self._default, Role.ADMIN)

    def _groups(self, tenant: str, found: object) -> list[str]:
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise Problem(400, "groups: a list of names of device groups is due")
        if len(found) > MAX_GROUPS:
            raise Problem(400, f"groups: more than {MAX_GROUPS}")
        for name in found:
            if not self._memberships.exists(tenant, name):
                raise Problem(400, f"groups: there is no device group {name[:80]!r}")
        return list(dict.fromkeys(found))


def profile_routes(api: ProfileApi, opened: ProfileServer, find: DeviceFinder, tenant: str) -> list[Route]:
    """Profiles and their assignment; ``tenant`` is the server's own."""
    return [*api.routes(), *AssignmentApi(api, opened, find, tenant).routes()]


def _rules(found: object) -> list[ProfileRule]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise Problem(400, "rules: a list is due")
    if len(found) > MAX_RULES:
        raise Problem(400, f"rules: more than {MAX_RULES}")
    return [_rule(f"rules[{place}]", rule) for place, rule in enumerate(found)]


def _rule(place: str, found: object) -> ProfileRule:
    members = _object(place, found, ("priority", *_PATTERNS))
    priority = members.get("priority")
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= MAX_PRIORITY:
        raise Problem(400, f"{place}.priority: a number from 0 to {MAX_PRIORITY} is due")
    patterns = {name: members[name] for name in _PATTERNS if members.get(name) is not None}
    if not patterns:
        raise Problem(400, f"{place}: one of {', '.join(_PATTERNS)} is due")
    for name, text in patterns.items():
        if not isinstance(text, str) or not 0 < len(text) <= MAX_PATTERN:
            raise Problem(400, f"{place}.{name}: a pattern of 1 to {MAX_PATTERN} letters is due")
    return ProfileRule(priority, **patterns)


def _object(place: str, found: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise Problem(400, f"{place}: an object with {', '.join(known)} is due")
    for name in found:
        if name not in known:
            raise Problem(400, f"{place}: {name[:40]!r} is none of {', '.join(known)}")
    return found


# --- out -------------------------------------------------------------------------------------------


def _assignment(profile: DeviceProfile) -> dict[str, Any]:
    return {
        "groups": list(profile.groups),
        "rules": [_shown(rule) for rule in profile.rules],
        "default": profile.is_default,
    }


def _shown(rule: ProfileRule) -> dict[str, Any]:
    return {"priority": rule.priority, **{name: getattr(rule, name) for name in _PATTERNS}}


def _why(assigned: Assigned) -> dict[str, Any]:
    rule = None if assigned.rule is None else _shown(assigned.rule)
    return {"by": assigned.by, "group": assigned.group, "rule": rule}
