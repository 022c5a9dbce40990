"""``/api/v1/devices``: a device with its credentials and its profile, in one step and in one commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.enrolment.newdevice import read_changes, read_device
from lwm2m_server.enrolment.opening import EnrolmentParts
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    ANYTHING,
    STRING,
    TENANT,
    Parameter,
    any_of,
    array,
    described,
    enum,
    nullable,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.problems import Problem
from lwm2m_server.security.credentials import BadCredentials
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Device, Tenant

CREATED: Final = obj(
    "name nodeId endpoint profile labels credentials",
    name=STRING,
    nodeId=nullable(STRING),
    endpoint=nullable(STRING),
    profile=nullable(STRING),
    labels=array(STRING),
    credentials=ref("CredentialsDocument"),
    generatedKeys=any_of(STRING),
)
_NEW: Final = {
    **obj(
        "name",
        name=STRING,
        nodeId=nullable(STRING),
        transportType={"const": "LWM2M"},
        profile=nullable(STRING),
        label=nullable(STRING),
        labels=array(STRING),
        groups=array(STRING),
        credentials=ANYTHING,
    ),
    "description": "a device with `credentials` as `GET …/credentials?form=lwm2m` has them, with secrets; or "
    "`{device, credentials}`",
}
_CHANGES: Final = {**_NEW, "required": []}


class EnrolmentApi:
    """Devices come, change and go."""

    def __init__(self, enrolment: EnrolmentParts, find: DeviceFinder) -> None:
        self._office, self._showing = enrolment.office, enrolment.showing
        self._find, self._inventory = find, enrolment.context.inventory

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/devices", self.create, methods=["POST"]),
            Route("/devices/{name}", self.change, methods=["PATCH"]),
            Route("/devices/{name}", self.replace, methods=["PUT"]),
            Route("/devices/{name}", self.remove, methods=["DELETE"]),
        ]

    @described(
        "Let a device in, with its credentials and its profile: all of it or nothing",
        query=(TENANT, Parameter("dryRun", enum("true", "false"), "only look whether it could be let in")),
        body={"anyOf": [_NEW, obj("device", device=_NEW, credentials=ANYTHING)]},
        answers={201: CREATED, 204: None},
        problems=(409, 503),
    )
    async def create(self, request: Request) -> Response:
        """Keys that were made here are in the answer, and never again. 204 says that it could be let in."""
        tenant = tenant_record(self._find, self._inventory, request)
        dry = request.query_params.get("dryRun", "false")
        if dry not in ("true", "false"):
            raise Problem(HTTPStatus.BAD_REQUEST, "dryRun is true or false")
        body = await read_json(request)
        with problems():
            new = read_device(body)
            if dry == "true":
                self._office.groups(tenant, new.groups)
                self._office.check(tenant, new)
                return Response(status_code=HTTPStatus.NO_CONTENT)
            device = await self._office.create(tenant, new)
        shown = self._shown(device)
        if new.credentials.generated:
            shown["generatedKeys"] = dict(new.credentials.generated)
        return json_answer(shown, HTTPStatus.CREATED)

    @described(
        "Change labels, groups, profile or credentials of a device",
        query=(TENANT,),
        body=_CHANGES,
        answers={200: CREATED},
        problems=(409, 503),
    )
    async def change(self, request: Request) -> Response:
        """What is not mentioned stays."""
        return await self._change(request, whole=False)

    @described(
        "Say anew what a device is",
        query=(TENANT,),
        body=_CHANGES,
        answers={200: CREATED},
        problems=(409, 503),
    )
    async def replace(self, request: Request) -> Response:
        """Labels and profile that are not mentioned go; credentials stay, as nobody can read them."""
        return await self._change(request, whole=True)

    async def _change(self, request: Request, *, whole: bool) -> Response:
        device, body = self._find(request), await read_json(request)
        tenant = self._inventory.tenant(device.tenant)
        if tenant is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no tenant {device.tenant!r}")
        endpoint = self._showing.endpoint(device)
        with problems():
            changes = read_changes(body, device.name, endpoint, whole=whole)
            await self._office.change(tenant, device, changes)
        shown = self._shown(self._find(request))
        if changes.credentials is not None and changes.credentials.generated:
            shown["generatedKeys"] = dict(changes.credentials.generated)
        return json_answer(shown)

    @described("Forget a device, with its messages", query=(TENANT,), answers={204: None}, problems=(503,))
    async def remove(self, request: Request) -> Response:
        """Its registration ends, and its names are free."""
        device = self._find(request)
        tenant = self._inventory.tenant(device.tenant)
        if tenant is not None:
            with problems():
                await self._office.remove(tenant, device)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _shown(self, device: Device) -> dict[str, Any]:
        return {
            "name": device.name,
            "nodeId": device.node_id,
            "endpoint": self._showing.endpoint(device),
            "profile": device.profile,
            "labels": self._showing.labels(device),
            "credentials": self._showing.document(device),
        }


def tenant_record(find: DeviceFinder, inventory: Inventory, request: Request) -> Tenant:
    """Raises ``Problem``."""
    tenant = inventory.tenant(find.tenant(request))
    if tenant is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such tenant")
    return tenant


@contextmanager
def problems() -> Iterator[None]:
    """What the office raises, as the API tells it: ``faults`` has the reason by member."""
    try:
        with stored():
            yield
    except Faulty as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error), {"faults": error.told}) from error
    except BadCredentials as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
