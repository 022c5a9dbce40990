"""``/api/v1/plugins``: which plugins there are, what each brings, and why one is not used."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.plugins.manager import Compiled, PluginManager
from lwm2m_engine.plugins.registry import PluginRow
from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.describing import STRING, TENANT, array, described, nullable, obj, ref
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.rights import caller_of
from lwm2m_server.library.models import Models

_SOURCES: Final = ("bundled", "entry point", "enabled")
"""Where a plugin can come from, besides a folder."""


class PluginApi:
    """The plugins are those of the process; what they map depends on the models of the tenant."""

    def __init__(self, find: DeviceFinder, plugins: PluginManager, models: Models) -> None:
        self._find, self._plugins, self._models = find, plugins, models

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/plugins", self.list_all, methods=["GET"])]

    @described(
        "Plugins: loaded, failed and why, and what they map",
        query=(TENANT,),
        answers={200: obj("*", tenant=nullable(STRING), plugins=array(ref("Plugin")))},
    )
    async def list_all(self, request: Request) -> Response:
        """In the order in which they were found: of two that write one attribute the later gives way."""
        tenant, compiled = self._in_force(request)
        rows = self._plugins.report_with(compiled)
        return json_answer({"tenant": tenant, "plugins": [_plugin(row, compiled) for row in rows]})

    def _in_force(self, request: Request) -> tuple[str | None, Compiled]:
        """For the system, of tenants without models of their own."""
        if caller_of(request).role is Role.SYSTEM and "tenant" not in request.query_params:
            return None, self._models.force.common.compiled
        tenant = self._find.tenant(request)
        return tenant, self._models.of(tenant).compiled


def _plugin(row: PluginRow, compiled: Compiled) -> dict[str, Any]:
    faults = [
        {"hook": hook, "reason": reason}
        for (name, hook), reason in compiled.faults.items()
        if name == row.name and row.hooks
    ]
    is_in_force = row.status == "loaded"
    return {
        "name": row.name,
        "source": row.origin if row.origin in _SOURCES else "folder",
        "file": row.file,
        "version": row.version or None,
        "status": row.status,
        "reason": row.reason or None,
        "hooks": list(row.hooks),
        "failures": row.failures,
        "mappings": [_mapping(one) for one in compiled.mappings.get(row.name, ()) if is_in_force],
        "conflicts": faults,
    }


def _mapping(one: Mapping) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.target,
        "readAtRegister": one.read_at_register,
        "replaces": one.replaces,
        "rules": [str(rule) for rule in (*one.rules, *one.actions)],
    }
