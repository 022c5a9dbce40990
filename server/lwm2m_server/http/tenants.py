"""``/api/v1/tenants``: organizations that share this server and nothing else."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import STRING, array, described, enum, nullable, obj, ref
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of, need_system
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.records import Tenant
from lwm2m_server.tenants import BadTenant, Tenants


class TenantApi:
    """The system adds and removes; others see their own."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/tenants", self.list_all, methods=["GET"]),
            Route("/tenants", self.add, methods=["POST"]),
            Route("/tenants/{name}", self.remove, methods=["DELETE"]),
        ]

    @described("Tenants", answers={200: obj("tenants", tenants=array(ref("Tenant")))})
    async def list_all(self, request: Request) -> Response:
        caller = caller_of(request)
        found = [one for one in self._tenants.all() if caller.is_system or caller.may(Role.READ, one.name)]
        return json_answer({"tenants": [_shown(one) for one in found]})

    @described(
        "Add a tenant",
        body=obj("name", name=STRING, names=nullable(enum("long", "short"))),
        answers={201: ref("Tenant")},
        problems=(409, 503),
    )
    async def add(self, request: Request) -> Response:
        """``{"name": …, "names": "long" | "short"}``"""
        need_system(request)
        document = await read_json(request)
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            raise Problem(HTTPStatus.BAD_REQUEST, "a JSON object with a name is due")
        if not document.keys() <= {"name", "names"} or document.get("names") not in (None, "long", "short"):
            raise Problem(HTTPStatus.BAD_REQUEST, "besides name there is names: 'long' or 'short'")
        try:
            tenant = await self._tenants.add(document["name"], document.get("names"))
        except BadTenant as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Conflict as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        headers = {"content-location": f"/api/v1/tenants/{tenant.name}"}
        return json_answer(_shown(tenant), HTTPStatus.CREATED, headers)

    @described("Remove a tenant without devices and applications", answers={204: None}, problems=(409, 503))
    async def remove(self, request: Request) -> Response:
        """With its clients; not while it has devices or applications."""
        need_system(request)
        try:
            await self._tenants.remove(request.path_params["name"])
        except KeyError as error:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no tenant {error.args[0][:80]!r}") from error
        except (BadTenant, Conflict) as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _shown(tenant: Tenant) -> dict[str, Any]:
    return {"name": tenant.name, "names": tenant.names}
