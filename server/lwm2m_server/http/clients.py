"""``/api/v1/clients``: programs that may call the API. A secret is shown once, to who adds its client."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access.authentication import Access
from lwm2m_server.access.callers import Role
from lwm2m_server.access.clients import ROLES, BadClient, Busy, Clients, shown
from lwm2m_server.access.keys import SigningKeys
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of, need_system, tenant_of
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.records import ApiClient

_MEMBERS = ("id", "role", "tenant", "origins")


class ClientApi:
    """For administrators of a tenant, about its clients; for the system about all."""

    def __init__(self, clients: Clients, keys: SigningKeys, access: Access, default_tenant: str) -> None:
        self._clients, self._keys, self._access = clients, keys, access
        self._default = default_tenant

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/clients", self.list_all, methods=["GET"]),
            Route("/clients", self.add, methods=["POST"]),
            Route("/clients/{id}", self.revoke, methods=["DELETE"]),
            Route("/signing-key", self.rotate, methods=["POST"]),
        ]

    @described(
        "Programs that may call the API",
        query=(TENANT,),
        answers={200: obj("clients", clients=array(ref("Client")))},
    )
    async def list_all(self, request: Request) -> Response:
        """``?tenant=`` narrows what the system sees."""
        wanted = request.query_params.get("tenant")
        if not caller_of(request).is_system:
            wanted = tenant_of(request, self._default, Role.ADMIN)
        found = [one for one in self._clients.all() if wanted in (None, one.tenant)]
        return json_answer({"clients": [shown(one) for one in found]})

    @described(
        "Let a program call the API",
        body=obj("id role", id=STRING, role=enum(*ROLES), tenant=STRING, origins=array(STRING)),
        answers={201: {"allOf": [ref("Client"), obj("secret", secret=STRING)]}},
        problems=(409, 503),
    )
    async def add(self, request: Request) -> Response:
        """``{"id": …, "role": …, "tenant": …, "origins": […]}``; the answer has the secret."""
        draft = await _draft(request)
        if not caller_of(request).is_system:
            own = draft.setdefault("tenant", tenant_of(request, self._default, Role.ADMIN))
            if not caller_of(request).may(Role.ADMIN, own):
                raise Problem(HTTPStatus.FORBIDDEN, "clients of other tenants are not yours to add")
        elif draft["role"] != "system":
            draft.setdefault("tenant", self._default)
        try:
            client, secret = await self._clients.add(
                draft["id"], draft.get("tenant"), draft["role"], draft.get("origins")
            )
        except BadClient as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Conflict as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except Busy as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too much is waiting; try again") from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        headers = {"content-location": f"/api/v1/clients/{client.id}"}
        return json_answer({**shown(client), "secret": secret}, HTTPStatus.CREATED, headers)

    @described("Take it back; its tokens are good no more", answers={204: None}, problems=(503,))
    async def revoke(self, request: Request) -> Response:
        """In force at once, for the tokens it has, too."""
        client = self._visible(request)
        with stored():
            await self._clients.revoke(client.id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described(
        "Sign tokens with a new key",
        query=(Parameter("atOnce", BOOLEAN, "tokens there are, are good no more"),),
        answers={200: obj("id", id=STRING)},
        problems=(400, 503),
    )
    async def rotate(self, request: Request) -> Response:
        """Sign tokens with a new key; ``?atOnce=true``: those there are, are good no more."""
        need_system(request)
        wish = request.query_params.get("atOnce", "false")
        if wish not in ("true", "false"):
            raise Problem(HTTPStatus.BAD_REQUEST, f"atOnce={wish[:40]} is neither true nor false")
        at_once = wish == "true"
        try:
            key = await self._clients.apart(lambda: self._keys.rotate(at_once=at_once))
        except (Busy, SettingsError) as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        if at_once:
            self._access.forget()
        return json_answer({"id": key.id})

    def _visible(self, request: Request) -> ApiClient:
        caller, id = caller_of(request), request.path_params["id"]
        client = self._clients.get(id)
        if client is None or not (caller.is_system or _administers(request, client)):
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no client {id[:80]!r}")
        return client


def _administers(request: Request, client: ApiClient) -> bool:
    return client.tenant is not None and caller_of(request).may(Role.ADMIN, client.tenant)


async def _draft(request: Request) -> dict[str, Any]:
    document = await read_json(request)
    if not isinstance(document, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "a JSON object is due")
    unknown = next((member for member in document if member not in _MEMBERS), None)
    if unknown is not None:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{unknown[:40]!r} is none of {', '.join(_MEMBERS)}")
    draft = {member: value for member, value in document.items() if value is not None}
    origins = draft.get("origins", [])
    if not (isinstance(origins, list) and all(isinstance(one, str) for one in origins)):
        raise Problem(HTTPStatus.BAD_REQUEST, "origins is a list of AE-IDs")
    for member in ("id", "role"):
        if not isinstance(draft.get(member), str):
            raise Problem(HTTPStatus.BAD_REQUEST, f"{member} is missing, or no text")
    if not isinstance(draft.get("tenant", ""), str):
        raise Problem(HTTPStatus.BAD_REQUEST, "tenant is no text")
    return draft
