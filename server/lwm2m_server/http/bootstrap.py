"""``/api/v1/bootstrap``: what devices get when they bootstrap, and how it went. Times are milliseconds.

Secrets are written and never shown: ``***`` stands for them, and keeps what is there when it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.bootstrap import BootstrapConfig
from lwm2m_engine.bootstrap.config import Command
from lwm2m_engine.bootstrap.events import Refused
from lwm2m_engine.bootstrap.preview import preview
from lwm2m_engine.bootstrap.secrets import HIDDEN, hidden, is_secret
from lwm2m_engine.entries import Entry
from lwm2m_engine.messages.requests import Write
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.values import Value, to_text
from lwm2m_server.bootstrap.journal import Line, Record
from lwm2m_server.bootstrap.opening import BootstrapServer
from lwm2m_server.bootstrap.profiles import document_of_profile
from lwm2m_server.bootstrap.templates import example
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import LIMIT, STRING, TENANT, TIME, Parameter, array, described, obj, ref
from lwm2m_server.http.devices import DeviceFinder, milliseconds, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.library.models import Models
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.records import BootstrapTemplate

MAX_NAME: Final = 255
MAX_ROWS: Final = 1000
MAX_REASONS: Final = 20
"""That a refusal names."""


_ENDPOINT: Final = Parameter("endpoint", STRING, "name of the device; without it, one that fits")


_REFUSED: Final = obj("*", at=TIME, endpoint=STRING, peer=STRING, reason=STRING)


class BootstrapApi:
    """Templates and sessions, those of one tenant at a time."""

    def __init__(self, server: BootstrapServer, models: Models, find: DeviceFinder) -> None:
        self._templates, self._service = server.templates, server.service
        self._models, self._find = models, find

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/bootstrap/configs", self.list_configs, methods=["GET"]),
            Route("/bootstrap/configs/{name}", self.show, methods=["GET"]),
            Route("/bootstrap/configs/{name}", self.put, methods=["PUT"]),
            Route("/bootstrap/configs/{name}", self.delete, methods=["DELETE"]),
            Route("/bootstrap/configs/{name}/preview", self.preview, methods=["GET", "POST"]),
            Route("/bootstrap/sessions", self.sessions, methods=["GET"]),
            Route("/bootstrap/sessions/{endpoint:path}", self.sessions_of, methods=["GET"]),
        ]

    # --- configurations ----------------------------------------------------------------------------

    @described(
        "Bootstrap configurations and who they are for",
        query=(TENANT,),
        answers={200: obj("*", tenant=STRING, configs=array(obj("*", name=STRING, endpoints=array(STRING))))},
    )
    async def list_configs(self, request: Request) -> Response:
        """``?tenant=``: names, and who they are for."""
        tenant = self._find.tenant(request)
        found = sorted(self._templates.all(tenant), key=lambda template: template.name)
        rows = [{"name": one.name, "endpoints": list(one.endpoints)} for one in found]
        return json_answer({"tenant": tenant, "configs": rows})

    @described(
        "A bootstrap configuration", query=(TENANT,), answers={200: ref("BootstrapConfig")}, problems=(400,)
    )
    async def show(self, request: Request) -> Response:
        return json_answer(self._shown(self._template(request)))

    @described(
        "Keep a bootstrap configuration",
        query=(TENANT,),
        body=ref("NewBootstrapConfig"),
        answers={200: ref("BootstrapConfig"), 201: ref("BootstrapConfig")},
        problems=(409, 503),
    )
    async def put(self, request: Request) -> Response:
        """The configuration, with ``endpoints``; or ``profile``, the bootstrap settings of a device profile,
        with ``credentials`` of a device."""
        tenant, name = self._find.tenant(request), _name(request)
        endpoints, document = await self._draft(request)
        known = self._templates.named(tenant, name)
        try:
            template = await self._templates.put(tenant, name, endpoints, document)
        except ExceptionGroup as group:
            raise refused(group) from group
        except Conflict as error:
            raise Problem(409, str(error)) from error
        except CommitFailed as error:
            raise Problem(503, str(error)) from error
        self._withdraw(template)
        if known is not None:
            self._withdraw(known)
        return json_answer(self._shown(template), 200 if known is not None else 201)

    @described("Forget a bootstrap configuration", query=(TENANT,), answers={204: None}, problems=(400, 503))
    async def delete(self, request: Request) -> Response:
        template = self._template(request)
        try:
            await self._templates.remove(template.tenant, template.name)
        except CommitFailed as error:
            raise Problem(503, str(error)) from error
        self._withdraw(template)
        return Response(status_code=204)

    @described(
        "What a device would be asked",
        query=(TENANT, _ENDPOINT),
        answers={200: ref("BootstrapPreview")},
        problems=(400,),
        method="GET",
    )
    @described(
        "What a device would be asked by another configuration",
        query=(TENANT, _ENDPOINT),
        body=ref("NewBootstrapConfig"),
        answers={200: ref("BootstrapPreview")},
        method="POST",
    )
    async def preview(self, request: Request) -> Response:
        """``?endpoint=``: what a device would be asked. Of what is kept, or (POST) of what might be."""
        tenant, name = self._find.tenant(request), _name(request)
        if request.method == "POST":
            template = self._templates.draft(tenant, name, *await self._draft(request))
        else:
            template = self._template(request)
        endpoint = request.query_params.get("endpoint") or example(template)
        try:
            config = self._templates.checked(template, endpoint)
        except ExceptionGroup as group:
            raise refused(group) from group
        return json_answer({"endpoint": endpoint} | shown_preview(config, self._models.of(tenant).catalog))

    def _template(self, request: Request) -> BootstrapTemplate:
        tenant, name = self._find.tenant(request), request.path_params["name"]
        template = self._templates.named(tenant, name)
        if template is None:
            raise Problem(404, f"tenant {tenant} has no bootstrap configuration {name!r}")
        return template

    async def _draft(self, request: Request) -> tuple[list[str], Mapping[str, Any]]:
        """Who it is for, and what; raises ``Problem``."""
        body = await _object(request)
        endpoints = body.pop("endpoints", [])
        if not isinstance(endpoints, list) or not all(_is_endpoint(one) for one in endpoints):
            raise Problem(400, "endpoints: a list of endpoint names, or patterns such as sensor-*, is due")
        if "profile" not in body:
            return endpoints, body
        profile, credentials = body["profile"], body.get("credentials") or {}
        if not isinstance(profile, dict) or not isinstance(credentials, dict):
            raise Problem(400, "profile and credentials are JSON objects")
        try:
            return endpoints, document_of_profile(profile, credentials)
        except ExceptionGroup as group:
            raise refused(group) from group

    def _shown(self, template: BootstrapTemplate) -> dict[str, Any]:
        document = hidden(template.document, self._models.of(template.tenant).catalog)
        return {"name": template.name, "endpoints": list(template.endpoints), **document}

    def _withdraw(self, template: BootstrapTemplate) -> None:
        """A session that follows another one is of no use."""
        self._service.withdraw(partial(self._templates.is_for, template))

    # --- sessions ----------------------------------------------------------------------------------

    @described(
        "The last bootstrap of each device, and who was refused",
        query=(LIMIT,),
        answers={200: obj("*", sessions=array(ref("BootstrapSession")), refused=array(_REFUSED))},
        problems=(400,),
    )
    async def sessions(self, request: Request) -> Response:
        """``?tenant=&limit=``: the last session of each device, the latest first, and who was refused."""
        tenant, journal = self._find.tenant(request), self._service.journal
        limit = min(number_of(request, "limit", MAX_ROWS), MAX_ROWS)
        rows = [_session(record) for record in islice(journal.latest(tenant), limit)]
        refusals = [_refusal(one) for one in journal.refusals(tenant)]
        return json_answer({"tenant": tenant, "sessions": rows, "refused": refusals})

    @described(
        "How a device was bootstrapped, step by step",
        answers={200: obj("*", endpoint=STRING, sessions=array(ref("BootstrapSession")))},
    )
    async def sessions_of(self, request: Request) -> Response:
        """All that is known of a device, step by step."""
        tenant, endpoint = self._find.tenant(request), request.path_params["endpoint"]
        records = self._service.journal.of(tenant, endpoint)
        if not records:
            raise Problem(404, f"tenant {tenant} has no device {endpoint!r} that has bootstrapped lately")
        return json_answer(
            {"endpoint": endpoint, "sessions": [_session(one) | _steps(one) for one in records]}
        )


# --- in ----------------------------------------------------------------------------------------------


async def _object(request: Request) -> dict[str, Any]:
    """As it was shown, so with its name."""
    document = await read_json(request)
    if not isinstance(document, dict):
        raise Problem(400, "a JSON object is due")
    document.pop("name", None)
    return document


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if len(name) > MAX_NAME or not name.isprintable():
        raise Problem(400, "this is no name")
    return name


def _is_endpoint(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


def refused(group: ExceptionGroup[Exception]) -> Problem:
    """What is wrong with a configuration."""
    reasons = [str(fault) for fault in group.exceptions]
    more = [f"and {len(reasons) - MAX_REASONS} faults more"] if len(reasons) > MAX_REASONS else []
    return Problem(400, "; ".join(reasons[:MAX_REASONS] + more))


# --- out ---------------------------------------------------------------------------------------------


def shown_preview(config: BootstrapConfig, models: ModelView) -> dict[str, Any]:
    """What a device would be asked, without the secrets."""
    shown = preview(config)
    return {
        "security": "NoSec" if config.nosec else "as in its bootstrap credentials",
        "steps": [_step(step, models) for step in shown.steps],
        "notes": list(shown.notes),
    }


def _step(step: Command, models: ModelView) -> dict[str, Any]:
    shown: dict[str, Any] = {"operation": step.operation, "path": str(step.path)}
    if isinstance(step, Write):
        shown["values"] = [_value(entry, models) for entry in step.entries]
    return shown


def _value(entry: Entry, models: ModelView) -> dict[str, Any]:
    spec = models.resource(entry.path)
    value = HIDDEN if is_secret(entry.path) and entry.value else _plain(entry.value)
    return {"path": str(entry.path), "name": spec.name if spec is not None else None, "value": value}


def _plain(value: Value | None) -> object:
    """Texts and numbers as they are; a text in bytes, an identity, can be read."""
    if isinstance(value, bytes):
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            return to_text(value)
        return text if text.isprintable() else to_text(value)
    return value if isinstance(value, (bool, int, float, str)) or value is None else to_text(value)


def _session(record: Record) -> dict[str, Any]:
    return {
        "endpoint": record.endpoint,
        "session": record.session,
        "beganAt": milliseconds(record.began),
        "endedAt": milliseconds(record.ended),
        "peer": record.peer,
        "attributes": record.attributes,
        "outcome": record.outcome,
        "detail": record.detail,
        "refused": record.refused,
    }


def _refusal(refused: Refused) -> dict[str, Any]:
    return {
        "at": milliseconds(refused.at),
        "endpoint": refused.endpoint,
        "peer": str(refused.peer),
        "reason": refused.reason,
    }


def _steps(record: Record) -> dict[str, Sequence[dict[str, Any]]]:
    return {"steps": [_line(line) for line in record.lines]}


def _line(line: Line) -> dict[str, Any]:
    return {
        "at": milliseconds(line.at),
        "operation": line.operation,
        "path": line.path,
        "contentFormat": line.content_format,
        "bytes": line.size,
        "answeredAt": milliseconds(line.answered),
        "code": line.code,
        "failure": line.failure,
        "detail": line.detail,
        "instances": list(line.instances),
    }
