"""What a document of a device profile is worth before it is stored: its faults, and what it would change."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.messages.requests import CancelComposite, ObserveComposite, ReadComposite, WriteAttributes
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.describing import BOOLEAN, COUNT, STRING, TENANT, Parameter, array, described, obj, ref
from lwm2m_server.http.devices import DeviceFinder, number_of
from lwm2m_server.http.profiles import ProfileApi, notes_of
from lwm2m_server.profiles.comparison import differences
from lwm2m_server.profiles.document import document_of
from lwm2m_server.profiles.impact import Asked, Difference, Impact, Touched
from lwm2m_server.profiles.mapping import ProfileMapping

FEW: Final = 10
MOST: Final = 100
"""Devices that a preview names."""
SHOWN: Final = 50
"""Requests to a device that it names."""

_LIMIT: Final = Parameter("limit", COUNT, f"name at most so many devices; {FEW} without it, at most {MOST}")


class ProfilePreviewApi:
    """Nothing is stored, and nothing is asked of devices."""

    def __init__(self, api: ProfileApi, impact: Impact, find: DeviceFinder) -> None:
        self._api, self._impact, self._find = api, impact, find

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/profiles/check", self.check, methods=["POST"]),
            Route("/profiles/{name}/preview", self.preview, methods=["POST"]),
        ]

    @described(
        "Check a device profile",
        query=(TENANT,),
        body=ref("NewProfile"),
        answers={
            200: obj("*", name={"type": ["string", "null"]}, profileData=obj(), notes=ref("ProfileNotes"))
        },
    )
    async def check(self, request: Request) -> Response:
        """As it would be stored, and what may not be as it was meant. 400 with all that is wrong."""
        draft = await self._api.draft(request, self._find.tenant(request))
        document = document_of(draft.name or "", draft.data)
        return json_answer({**document, "name": draft.name, "notes": notes_of(draft)})

    @described(
        "What another document would change",
        query=(TENANT, _LIMIT),
        body=ref("NewProfile"),
        answers={
            200: obj(
                "*",
                name=STRING,
                devices=COUNT,
                registered=COUNT,
                touched=COUNT,
                complete=BOOLEAN,
                examples=array(ref("ProfileDifference")),
                changes=ref("ProfileChanges"),
                notes=ref("ProfileNotes"),
            )
        },
        problems=(400,),
    )
    async def preview(self, request: Request) -> Response:
        """How many devices it is for; how many of those that are registered would be asked anything
        (``touched``), and what the first of them would be asked. ``complete`` is false if there are too many
        of them to look at each."""
        profile, most = self._api.profile(request), min(number_of(request, "limit", FEW), MOST)
        tenant = profile.tenant or ""
        draft = await self._api.draft(request, tenant)
        changes = await asyncio.to_thread(differences, profile.document, draft.data)
        former, wanted = (
            ProfileMapping.of(data["transportConfiguration"]) for data in (profile.document, draft.data)
        )
        found = await self._impact.of(tenant, profile.name, former, wanted, most=most)
        document = {
            "name": profile.name,
            "devices": found.devices,
            "registered": found.registered,
            "touched": found.touched,
            "complete": found.is_complete,
            "examples": [_example(one) for one in found.examples],
            "changes": changes,
            "notes": notes_of(draft),
        }
        return json_answer(document)


def _example(one: Touched) -> dict[str, Any]:
    device, difference = one.device, one.difference
    return {"name": device.name, "endpoint": device.endpoint, **_difference(difference)}


def _difference(one: Difference) -> dict[str, Any]:
    shown = [_request(request) for request in one.requests[:SHOWN]]
    return {"requests": shown, "total": len(one.requests), "notes": list(one.notes)}


def _request(request: Asked) -> dict[str, Any]:
    if isinstance(request, (ObserveComposite, CancelComposite, ReadComposite)):
        paths = request.paths
    else:
        paths = (request.path,)
    attributes = request.attributes if isinstance(request, WriteAttributes) else ()
    return {
        "operation": request.operation,
        "paths": [str(path) for path in paths],
        "attributes": dict(attributes),
    }
