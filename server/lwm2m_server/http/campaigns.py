"""``/api/v1/campaigns``: packages for many devices, wave by wave. Points in time are milliseconds; waves are
counted from 1."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.campaign_views import Facts, page, row_of, shown
from lwm2m_server.http.describing import (
    COUNT,
    INTEGER,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
)
from lwm2m_server.http.devices import DeviceFinder, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.http.schemas.campaigns import (
    CAMPAIGN,
    CAMPAIGN_DEVICE,
    CAMPAIGN_PREVIEW,
    CAMPAIGN_ROW,
    DEFINITION,
    NEW_CAMPAIGN,
)
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.updates.campaign_definition import Definition
from lwm2m_server.updates.campaign_document import BadCampaign, definition_of
from lwm2m_server.updates.campaign_plan import DeviceState, NotNow
from lwm2m_server.updates.campaign_runner import run_of
from lwm2m_server.updates.campaigns import Campaigns

MAX_ROWS: Final = 1000
_NAME: Final = re.compile(r"[\w.:+-]{1,100}", re.ASCII)
PREVIEW: Final = "preview"
_ONE: Final = "/campaigns/{name}"
_STATES: Final = tuple(state.value for state in DeviceState)


class CampaignApi:
    """Admins define and remove campaigns, operators run them."""

    def __init__(self, campaigns: Campaigns, finder: DeviceFinder, ledger: Ledger, default: str) -> None:
        self._campaigns, self._find, self._ledger, self._default = campaigns, finder, ledger, default

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/campaigns", self.list_all, methods=["GET"]),
            Route("/campaigns", self.add, methods=["POST"]),
            Route(f"/campaigns/{PREVIEW}", self.preview, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.change, methods=["PUT"]),
            Route(_ONE, self.remove, methods=["DELETE"]),
            Route(f"{_ONE}/devices", self.devices, methods=["GET"]),
            Route(f"{_ONE}/start", self.start, methods=["POST"]),
            Route(f"{_ONE}/pause", self.pause, methods=["POST"]),
            Route(f"{_ONE}/resume", self.resume, methods=["POST"]),
            Route(f"{_ONE}/abort", self.abort, methods=["POST"]),
            Route(f"{_ONE}/approve", self.approve, methods=["POST"]),
            Route(f"{_ONE}/retry", self.retry, methods=["POST"]),
        ]

    # --- definitions -------------------------------------------------------------------------------

    @described(
        "Campaigns",
        query=(TENANT,),
        answers={200: obj("*", tenant=STRING, campaigns=array(CAMPAIGN_ROW))},
    )
    async def list_all(self, request: Request) -> Response:
        tenant = self._find.tenant(request)
        found = sorted(self._campaigns.of(tenant), key=lambda one: one.name)
        rows = await self._ledger.apart(
            lambda reader: [row_of(one, run_of(reader, (tenant, one.name))) for one in found]
        )
        return json_answer({"tenant": tenant, "campaigns": rows})

    @described(
        "Add a campaign, as a draft",
        query=(TENANT,),
        body=NEW_CAMPAIGN,
        answers={201: CAMPAIGN},
        problems=(409, 503),
    )
    async def add(self, request: Request) -> Response:
        tenant = self._administered(request)
        document = await read_json(request)
        name = document.pop("name", None) if isinstance(document, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Problem(400, "name: up to 100 letters, digits and . _ : + - are due")
        if name == PREVIEW:
            raise Problem(400, f"name: {name} is a path already")
        definition = _defined(document)
        await self._try(lambda: self._campaigns.add(tenant, name, definition))
        headers = {"content-location": f"/api/v1/campaigns/{name}"}
        return json_answer(await self._shown(tenant, name), HTTPStatus.CREATED, headers)

    @described(
        "Which devices a campaign would be for, if it started now",
        query=(TENANT, Parameter("limit", PLACE, "name at most so many, 20 if nothing is said")),
        body=DEFINITION,
        answers={200: CAMPAIGN_PREVIEW},
    )
    async def preview(self, request: Request) -> Response:
        """Looks at every device of the tenant; nothing is kept."""
        tenant = self._find.tenant(request)
        limit = min(number_of(request, "limit", 20), MAX_ROWS)
        definition = _defined(await read_json(request))
        try:
            found = await self._campaigns.preview(tenant, definition, limit)
        except BadCampaign as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        document = {"total": found.total, "registered": found.registered, "waves": found.sizes}
        return json_answer({**document, "devices": found.first})

    @described("A campaign, and how far it is", query=(TENANT,), answers={200: CAMPAIGN})
    async def show(self, request: Request) -> Response:
        tenant = self._find.tenant(request)
        return json_answer(await self._shown(tenant, request.path_params["name"]))

    @described(
        "Change a draft", query=(TENANT,), body=DEFINITION, answers={200: CAMPAIGN}, problems=(409, 503)
    )
    async def change(self, request: Request) -> Response:
        tenant, name = self._administered(request), request.path_params["name"]
        self._definition(tenant, name)
        definition = _defined(await read_json(request))
        await self._try(lambda: self._campaigns.change(tenant, name, definition))
        return json_answer(await self._shown(tenant, name))

    @described(
        "Remove a campaign that is no longer going on",
        query=(TENANT,),
        answers={204: None},
        problems=(409, 503),
    )
    async def remove(self, request: Request) -> Response:
        """What became of its devices is forgotten; their updates stay with them."""
        tenant, name = self._administered(request), request.path_params["name"]
        self._definition(tenant, name)
        await self._try(lambda: self._campaigns.remove(tenant, name))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # --- what it does ------------------------------------------------------------------------------

    @described("Start a draft", query=(TENANT,), answers={200: CAMPAIGN}, problems=(409, 503))
    async def start(self, request: Request) -> Response:
        """Its devices are looked for when its time has come, and stay the same from then on."""
        return await self._command(request, self._campaigns.begin)

    @described(
        "Begin and install nothing more for now",
        query=(TENANT,),
        answers={200: CAMPAIGN},
        problems=(409, 503),
    )
    async def pause(self, request: Request) -> Response:
        """What is on its way gets to its device; what installs goes on."""
        return await self._command(request, self._campaigns.pause)

    @described(
        "Go on with a campaign that is paused", query=(TENANT,), answers={200: CAMPAIGN}, problems=(409, 503)
    )
    async def resume(self, request: Request) -> Response:
        """Failures up to now do not count against the threshold any more."""
        return await self._command(request, self._campaigns.resume)

    @described("End a campaign", query=(TENANT,), answers={200: CAMPAIGN}, problems=(409, 503))
    async def abort(self, request: Request) -> Response:
        """What waits or is on its way is cancelled; what installs is let finish."""
        return await self._command(request, self._campaigns.abort)

    @described(
        "Let devices install: all, or those of one wave",
        query=(TENANT,),
        body=obj(wave={**INTEGER, "minimum": 1}),
        answers={200: CAMPAIGN},
        problems=(409, 503),
    )
    async def approve(self, request: Request) -> Response:
        """``{}`` or ``{"wave": 1}``"""
        document = await read_json(request)
        if not isinstance(document, dict) or not document.keys() <= {"wave"}:
            raise Problem(400, "a JSON object is due, with nothing in it but wave")
        wave = document.get("wave")
        if wave is not None and (not isinstance(wave, int) or isinstance(wave, bool) or wave < 1):
            raise Problem(400, "wave: a number from 1 is due")
        first = None if wave is None else wave - 1
        return await self._command(request, lambda tenant, name: self._campaigns.approve(tenant, name, first))

    @described(
        "Try those that failed once more", query=(TENANT,), answers={200: CAMPAIGN}, problems=(409, 503)
    )
    async def retry(self, request: Request) -> Response:
        """Also when the campaign has finished: it runs again then."""
        return await self._command(request, self._campaigns.retry)

    # --- devices -----------------------------------------------------------------------------------

    @described(
        "Devices of a campaign, in the order in which their turn comes",
        query=(
            TENANT,
            LIMIT,
            Parameter("state", enum(*_STATES), "only in this state"),
            Parameter("after", PLACE, "`next` of the page before"),
        ),
        answers={200: obj("devices", devices=array(CAMPAIGN_DEVICE), next=COUNT)},
        problems=(400,),
    )
    async def devices(self, request: Request) -> Response:
        tenant, name = self._find.tenant(request), request.path_params["name"]
        self._definition(tenant, name)
        limit = max(1, min(number_of(request, "limit", 100), MAX_ROWS))
        after, state = number_of(request, "after", 0), request.query_params.get("state")
        if state is not None and state not in _STATES:
            raise Problem(400, f"state: one of {', '.join(_STATES)} is due")
        found, more = await self._ledger.apart(
            lambda reader: page(reader, tenant, name, state=state, after=after, limit=limit)
        )
        document: dict[str, Any] = {"devices": found}
        if more is not None:
            document["next"] = more
        return json_answer(document)

    # --- helpers -----------------------------------------------------------------------------------

    def _administered(self, request: Request) -> str:
        tenant_of(request, self._default, Role.ADMIN)
        return self._find.tenant(request)

    def _definition(self, tenant: str, name: str) -> Definition:
        definition = self._campaigns.definition(tenant, name)
        if definition is None:
            raise Problem(404, f"tenant {tenant} has no campaign {name[:100]!r}")
        return definition

    async def _command(self, request: Request, command: Callable[[str, str], Awaitable[object]]) -> Response:
        tenant, name = self._find.tenant(request), request.path_params["name"]
        self._definition(tenant, name)
        await self._try(lambda: command(tenant, name))
        return json_answer(await self._shown(tenant, name))

    async def _try(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except BadCampaign as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        except (Conflict, NotNow) as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error

    async def _shown(self, tenant: str, name: str) -> dict[str, Any]:
        definition, run = self._definition(tenant, name), self._campaigns.run(tenant, name)
        facts = await self._ledger.apart(lambda reader: Facts.of(reader, tenant, name))
        return {"tenant": tenant, "name": name, **shown(definition, run, facts)}


def _defined(document: Any) -> Definition:
    try:
        return definition_of(document)
    except BadCampaign as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
