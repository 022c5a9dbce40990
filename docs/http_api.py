"""The reference page of everything over HTTP that is not oneM2M, from what the routes say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lwm2m_server.http.applications import ApplicationApi
from lwm2m_server.http.assignments import AssignmentApi
from lwm2m_server.http.audit import AuditApi
from lwm2m_server.http.bootstrap import BootstrapApi
from lwm2m_server.http.campaigns import CampaignApi
from lwm2m_server.http.clients import ClientApi
from lwm2m_server.http.credentials import CredentialApi
from lwm2m_server.http.deliveries import DeliveryApi
from lwm2m_server.http.desired import DesiredApi
from lwm2m_server.http.device_bootstrap import DeviceBootstrapApi
from lwm2m_server.http.devices import DeviceApi
from lwm2m_server.http.downloads import DownloadApi
from lwm2m_server.http.enrolment import EnrolmentApi
from lwm2m_server.http.enrolments import RuleApi
from lwm2m_server.http.events import EventApi
from lwm2m_server.http.faults import FaultApi
from lwm2m_server.http.fleet import FleetApi
from lwm2m_server.http.groups import GroupApi
from lwm2m_server.http.health import health_routes
from lwm2m_server.http.imports import ImportApi
from lwm2m_server.http.mappings import MappingApi
from lwm2m_server.http.messages import MessageApi
from lwm2m_server.http.metrics import metrics_route
from lwm2m_server.http.models import ModelApi
from lwm2m_server.http.openapi import ALWAYS, document, openapi_route
from lwm2m_server.http.packages import PackageApi
from lwm2m_server.http.plugins import PluginApi
from lwm2m_server.http.profile_bootstrap import ProfileBootstrapApi
from lwm2m_server.http.profile_previews import ProfilePreviewApi
from lwm2m_server.http.profiles import ProfileApi
from lwm2m_server.http.queue import QueueApi
from lwm2m_server.http.rpc import RpcApi
from lwm2m_server.http.subscriptions import SubscriptionApi
from lwm2m_server.http.telemetry import TelemetryApi
from lwm2m_server.http.tenants import TenantApi
from lwm2m_server.http.tokens import TokenApi
from lwm2m_server.http.traces import TraceApi
from lwm2m_server.http.updates import UpdateApi

BELOW_API = (
    FleetApi,
    DeviceApi,
    RpcApi,
    QueueApi,
    EnrolmentApi,
    RuleApi,
    ImportApi,
    CredentialApi,
    MessageApi,
    TraceApi,
    MappingApi,
    ProfilePreviewApi,
    ProfileApi,
    AssignmentApi,
    ProfileBootstrapApi,
    DeviceBootstrapApi,
    BootstrapApi,
    PackageApi,
    UpdateApi,
    TelemetryApi,
    DesiredApi,
    ModelApi,
    PluginApi,
    CampaignApi,
    EventApi,
    FaultApi,
    ApplicationApi,
    GroupApi,
    SubscriptionApi,
    DeliveryApi,
    TenantApi,
    ClientApi,
    AuditApi,
)

HEAD = """\
# HTTP API

What oneM2M has no word for lies below `/api/v1`; the [oneM2M API](onem2m.md) lies below `http_prefix`. A
running server has all of it as OpenAPI 3.1 at `/openapi.json`, with the schemas of bodies.

A refusal below `/api/v1` is a problem (RFC 9457, `application/problem+json`) with `status` and `detail`.
Besides the statuses listed, each operation but the public ones may answer {always}. `tenant` names another
tenant than the caller's own. Times are milliseconds since 1970-01-01 UTC.

Reading takes the role `read`, all else `operate`, and some take `admin` or `system`.

| operation | what it does | query | answers |
|---|---|---|---|
"""


def http_api_page() -> str:
    return HEAD.format(always=", ".join(map(str, ALWAYS))) + "".join(map(_row, _operations()))


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    # Nothing is asked of these objects but where their routes are.
    api = [route for kind in BELOW_API for route in object.__new__(kind).routes()]
    others = [*object.__new__(TokenApi).routes(), *object.__new__(DownloadApi).routes()]
    others += [*health_routes(dict), metrics_route(())]
    others.append(openapi_route((), (), {}))
    for path, methods in document(others, api, {})["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _row(found: tuple[str, str, dict[str, Any]]) -> str:
    method, path, operation = found
    query = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    statuses = [status for status in operation["responses"] if int(status) not in ALWAYS]
    names = " ".join(f"`{name}`" for name in query)
    return f"| `{method} {path}` | {operation['summary']} | {names} | {' '.join(statuses)} |\n"
