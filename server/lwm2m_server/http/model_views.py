"""Object models as JSON: what they define, who uses them, what became of an upload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.responses import Response

from lwm2m_engine.model.spec import Problem as Finding
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_server.library.library import InUse, Placed, Report
from lwm2m_server.library.usage import SHOWN, Key, Users
from lwm2m_server.library.verdicts import Verdict
from lwm2m_server.profiles.keys import camel_case
from lwm2m_server.store.ids import SECOND

KIND: Final = "LWM2M_MODEL"
PROBLEM: Final = "application/problem+json"
MAX_FINDINGS: Final = 20
"""That are told of one file."""


def summary(one: Placed, counts: Mapping[Key, tuple[int, int]] | None) -> dict[str, Any]:
    """``counts`` are those of definitions in force; ``None`` leaves them out."""
    spec, row = one.spec, one.row
    found: dict[str, Any] = {
        "name": spec.name if spec is not None else None,
        "objectId": one.object,
        "objectVersion": one.version,
        "key": f"{one.object}_{one.version}",
        "resourceType": KIND,
        "level": one.level,
        "fileName": file_name(one),
        "inForce": one.in_force,
        "uploadedAt": row.uploaded_at * 1000 // SECOND if row is not None else None,
        "fault": one.fault,
    }
    if counts is not None:
        profiles, devices = counts.get((one.object, one.version), (0, 0)) if one.in_force else (0, 0)
        found["usedBy"] = {"profiles": profiles, "devices": devices}
    return found


def details(one: Placed, counts: Mapping[Key, tuple[int, int]] | None) -> dict[str, Any]:
    spec = one.spec
    return summary(one, counts) | {
        "urn": spec.urn if spec is not None else None,
        "lwm2mVersion": spec.lwm2m_version if spec is not None else None,
        "multiple": spec.multiple if spec is not None else None,
        "mandatory": spec.mandatory if spec is not None else None,
        "resources": [_resource(resource) for resource in spec.resources.values()]
        if spec is not None
        else [],
    }


def file_name(one: Placed) -> str:
    """Without the folder: where files lie on the server is nobody's business."""
    if one.row is not None:
        return one.row.file_name
    return Path(one.spec.source).name if one.spec is not None else ""


def user(one: Users, *, names: bool) -> dict[str, Any]:
    """``names`` are for those who may look into the tenant."""
    profiles = one.profiles[:SHOWN] if names else ()
    return {
        "tenant": one.tenant,
        "profiles": {"count": len(one.profiles), "names": profiles},
        "devices": {"count": one.devices, "names": one.device_names if names else ()},
    }


def report_of(report: Report) -> dict[str, Any]:
    return {"files": [_verdict(one) for one in report.files], "mappings": list(report.mappings)}


def nothing_kept(report: Report) -> Response:
    """A problem (RFC 9457) with the report."""
    reasons = [_reason(one.checked.problems[-1]) for one in report.files if one.checked.problems]
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return _problem(HTTPStatus.BAD_REQUEST, f"nothing is stored: {reasons[0]}{more}", **report_of(report))


def in_use(error: InUse, users: Sequence[dict[str, Any]]) -> Response:
    detail = f"{error}; ?force=true takes it away nevertheless"
    return _problem(HTTPStatus.CONFLICT, detail, users=users)


def _problem(status: HTTPStatus, detail: str, **more: Any) -> Response:
    document = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(document | more), status, headers, media_type=PROBLEM)


def _verdict(one: Verdict) -> dict[str, Any]:
    checked = one.checked
    return {
        "fileName": checked.file.name,
        "outcome": one.outcome,
        "models": [
            {"name": spec.name, "objectId": spec.id, "objectVersion": spec.version}
            for spec in checked.objects
        ],
        "overrides": list(one.covers),
        "problems": [_finding(problem) for problem in checked.problems[:MAX_FINDINGS]],
    }


def _finding(problem: Finding) -> dict[str, Any]:
    severity = "error" if problem.refused else "warning"
    return {"line": problem.line, "reason": problem.reason, "severity": severity}


def _reason(problem: Finding) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line is not None else problem.file
    return f"{place}: {problem.reason}"


def _resource(spec: ResourceSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "name": spec.name,
        "operations": spec.operations,
        "type": spec.type.value,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "units": spec.units,
        "range": spec.range,
        "keyName": camel_case(spec.name) if "R" in spec.operations else None,
    }
