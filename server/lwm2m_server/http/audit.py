"""``/api/v1/audit``: who changed what. For administrators, about their tenant; the system sees what is no
tenant's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import OPEN, Role
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
from lwm2m_server.http.devices import number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of, tenant_of
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import AuditEntry
from lwm2m_server.store.transaction import Reader

MAX_ROWS: Final = 1000
ACTIONS: Final = ("create", "update", "delete")


class AuditApi:
    """The newest first."""

    def __init__(self, ledger: Ledger, default_tenant: str) -> None:
        self._ledger, self._default = ledger, default_tenant

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/audit", self.show, methods=["GET"])]

    @described(
        "Who changed what, the newest first",
        query=(
            TENANT,
            LIMIT,
            Parameter("before", PLACE, "the `next` of the answer before"),
            Parameter("client", STRING, "only what this one did"),
            Parameter("action", enum(*ACTIONS), "only this"),
            Parameter("q", STRING, "a part of the path"),
            Parameter("refused", enum("true", "false"), "only what was not done"),
        ),
        answers={200: obj("entries", entries=array(ref("AuditEntry")), next=COUNT)},
        problems=(400,),
    )
    async def show(self, request: Request) -> Response:
        """``?limit=&before=``; ``next`` is the ``before`` of what follows."""
        tenants = self._tenants(request)
        limit = max(1, min(number_of(request, "limit", 100), MAX_ROWS))
        before = number_of(request, "before", 0) or None
        read = partial(_entries, tenants=tenants, limit=limit + 1, before=before, **_filters(request))
        found = await self._ledger.apart(read)
        document: dict[str, Any] = {"entries": [_shown(entry) for entry in found[:limit]]}
        if len(found) > limit:
            document["next"] = found[limit - 1].number
        headers = {"cache-control": "no-store"}
        return Response(orjson.dumps(document), HTTPStatus.OK, headers, media_type="application/json")

    def _tenants(self, request: Request) -> list[str | None] | None:
        caller = caller_of(request)
        if caller is OPEN and "tenant" not in request.query_params:
            return None
        return [None] if caller.role is Role.SYSTEM else [tenant_of(request, self._default, Role.ADMIN)]


def _filters(request: Request) -> dict[str, Any]:
    """Raises ``Problem``."""
    query = request.query_params
    action, refused = query.get("action"), query.get("refused", "false")
    if action not in (None, *ACTIONS):
        raise Problem(HTTPStatus.BAD_REQUEST, f"action={action[:40]}: one of {', '.join(ACTIONS)} is due")
    if refused not in ("true", "false"):
        raise Problem(HTTPStatus.BAD_REQUEST, f"refused={refused[:40]}: true or false is due")
    text = query.get("q") or None
    return {"client": query.get("client"), "action": action, "text": text, "refused": refused == "true"}


def _entries(reader: Reader, tenants: Sequence[str | None] | None, **more: Any) -> Sequence[AuditEntry]:
    return reader.audit(tenants, **more)


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at // 1000,
        "tenant": entry.tenant,
        "client": entry.client,
        "origin": entry.origin,
        "action": entry.action,
        "target": entry.target,
        "status": entry.result,
        "facts": dict(entry.facts),
    }
