"""``/api/v1/imports``: tables of devices, and what came of each line."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.enrolment.importing import Import, Line
from lwm2m_server.enrolment.opening import EnrolmentParts
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    INTEGER,
    LIMIT,
    OFTEN_TIME,
    PLACE,
    STRING,
    TENANT,
    TIME,
    Parameter,
    array,
    described,
    enum,
    nullable,
    obj,
)
from lwm2m_server.http.devices import DeviceFinder, milliseconds, number_of
from lwm2m_server.http.enrolment import problems, tenant_record
from lwm2m_server.http.problems import Problem

CSV: Final = "text/csv"
MAX_TABLE: Final = 16 * 1024 * 1024
"""Bytes."""
MAX_ROWS: Final = 1000
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_OUTCOMES: Final = ("created", "unchanged", "refused")
_SUMMARY: Final = obj(
    "*",
    id=INTEGER,
    state=enum("running", "done", "failed"),
    fault=nullable(STRING),
    dryRun=BOOLEAN,
    lines=COUNT,
    done=COUNT,
    created=COUNT,
    unchanged=COUNT,
    refused=COUNT,
    beganAt=TIME,
    endedAt=OFTEN_TIME,
)
_LINE: Final = obj("*", line=COUNT, name=nullable(STRING), outcome=enum(*_OUTCOMES), reason=nullable(STRING))


class ImportApi:
    """One table of a tenant at a time."""

    def __init__(self, enrolment: EnrolmentParts, find: DeviceFinder) -> None:
        self._imports, self._find = enrolment.imports, find
        self._inventory = enrolment.context.inventory

    def routes(self) -> list[Route]:
        """Below ``/api/v1``, behind all that is about one device."""
        return [
            Route("/imports", self.begin, methods=["POST"]),
            Route("/imports/{id}", self.show, methods=["GET"]),
        ]

    @described(
        "Let the devices of a table in",
        query=(
            TENANT,
            Parameter("dryRun", enum(*_FLAGS), "only look: what would come of each line"),
        ),
        files=(CSV,),
        answers={202: _SUMMARY},
        problems=(409,),
    )
    async def begin(self, request: Request) -> Response:
        """CSV with headings; each line is let in with all that it says, or not at all. A line that is there
        already and says the same is no error: what was interrupted can be done again."""
        tenant = tenant_record(self._find, self._inventory, request)
        dry = _FLAGS.get(request.query_params.get("dryRun", "false"))
        if dry is None:
            raise Problem(HTTPStatus.BAD_REQUEST, "dryRun is true or false")
        text = await _table(request)
        with problems():
            found = await self._imports.begin(tenant, text, dry=dry)
        return json_answer(_summary(found), HTTPStatus.ACCEPTED)

    @described(
        "How far an import is, and what came of each line",
        query=(
            TENANT,
            LIMIT,
            Parameter("after", PLACE, "`next` of the page before"),
            Parameter("outcome", enum(*_OUTCOMES), "only lines of which this came"),
        ),
        answers={200: {"allOf": [_SUMMARY, obj("report", report=array(_LINE), next=COUNT)]}},
        problems=(400,),
    )
    async def show(self, request: Request) -> Response:
        """Lines in the order they were done."""
        tenant, text = self._find.tenant(request), request.path_params["id"]
        is_number = text.isascii() and text.isdigit() and len(text) <= 12
        found = self._imports.get(tenant, int(text)) if is_number else None
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant} has no import {text[:40]!r}")
        limit, after = min(number_of(request, "limit", MAX_ROWS), MAX_ROWS), number_of(request, "after", 0)
        wanted = request.query_params.get("outcome")
        if wanted is not None and wanted not in _OUTCOMES:
            raise Problem(HTTPStatus.BAD_REQUEST, f"outcome is one of {', '.join(_OUTCOMES)}")
        lines = found.report[after : after + limit]
        document = _summary(found)
        document["report"] = [_line(one) for one in lines if wanted in (None, one.outcome)]
        if after + limit < len(found.report) and limit:
            document["next"] = after + limit
        return json_answer(document)


async def _table(request: Request) -> str:
    """Raises ``Problem``."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the table is due as {CSV}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_TABLE:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a table of more than {MAX_TABLE} bytes: import parts"
            )
    try:
        return await asyncio.to_thread(body.decode, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the table is not UTF-8 at byte {error.start}") from error


def _summary(found: Import) -> dict[str, Any]:
    state = "running" if found.ended is None else "failed" if found.fault is not None else "done"
    return {
        "id": found.id,
        "state": state,
        "fault": found.fault,
        "dryRun": found.is_dry,
        "lines": max(found.lines, len(found.report)),
        "done": len(found.report),
        "created": found.counts["created"],
        "unchanged": found.counts["unchanged"],
        "refused": found.counts["refused"],
        "beganAt": milliseconds(found.began),
        "endedAt": milliseconds(found.ended),
    }


def _line(line: Line) -> dict[str, Any]:
    return {"line": line.number, "name": line.name, "outcome": line.outcome, "reason": line.reason}
