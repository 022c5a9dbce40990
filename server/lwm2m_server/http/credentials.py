"""``/api/v1/devices/{name}/credentials``: what a device proves itself with. Secrets are write-only."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import COUNT, LIMIT, PLACE, STRING, TENANT, Parameter, array, described, obj
from lwm2m_server.http.devices import DeviceFinder, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.schemas import ref
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.security.credentials import SIDES, BadCredentials, Credential, Removed, Side
from lwm2m_server.security.forms import from_json, to_json
from lwm2m_server.security.store import Credentials
from lwm2m_server.store.errors import CommitFailed, Conflict, Gone
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader, Transaction

MAX_ROWS: Final = 1000
TURN: Final = 10
"""Rows made before others may run."""


class CredentialApi:
    """For the server a device registers with (``management``) and the one it asks who that is
    (``bootstrap``)."""

    def __init__(
        self, find: DeviceFinder, reader: Reader, devices: Devices, credentials: Credentials
    ) -> None:
        self._find, self._reader = find, reader
        self._devices, self._credentials = devices, credentials

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        one = "/devices/{name}/credentials/{side}"
        return [
            Route("/credentials", self.list_all, methods=["GET"]),
            Route("/devices/{name}/credentials", self.show, methods=["GET"]),
            Route(one, self.put, methods=["PUT"]),
            Route(one, self.remove, methods=["DELETE"]),
        ]

    @described(
        "Credentials that somebody set, without the secrets",
        query=(TENANT, LIMIT, Parameter("after", PLACE, "`next` of the page before")),
        answers={
            200: obj("tenant credentials", tenant=STRING, credentials=array(ref("Credentials")), next=COUNT)
        },
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``?tenant=&limit=&after=``: devices with credentials that somebody set, in the order they were
        added; ``next`` is the ``after`` of what follows."""
        tenant = self._find.tenant(request)
        limit = min(number_of(request, "limit", MAX_ROWS), MAX_ROWS)
        rows: list[dict[str, Any]] = []
        document: dict[str, Any] = {"tenant": tenant, "credentials": rows}
        last = 0
        for count, row in enumerate(self._reader.credentials(after=_place(request)), 1):
            if len(rows) >= limit and row.node != last:
                document["next"] = last
                break
            last = row.node
            device = self._reader.device(row.node)
            side = _side(row.side)
            if device is not None and device.tenant == tenant:
                rows.append({"device": device.name, "side": side, **to_json(row, side)})
            if count % TURN == 0:
                await asyncio.sleep(0)
        return _json(document)

    @described(
        "What a device proves itself with, without the secrets",
        query=(TENANT,),
        answers={200: obj("*", management=ref("Credentials"), bootstrap=ref("Credentials"))},
    )
    async def show(self, request: Request) -> Response:
        device = self._find(request)
        return _json({side: self._shown(device, side) for side in SIDES})

    @described(
        "Set what a device proves itself with",
        query=(TENANT,),
        body=ref("NewCredentials"),
        answers={200: ref("Credentials")},
        problems=(409, 503),
    )
    async def put(self, request: Request) -> Response:
        """In place of what there was; the device has to shake hands and register anew."""
        device, side = self._find(request), _side(request.path_params["side"])
        try:
            credential, endpoint = from_json(await read_json(request))
        except BadCredentials as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        await self._write(device, side, credential, endpoint)
        return _json(self._shown(device, side))

    @described(
        "The device can prove itself no more", query=(TENANT,), answers={204: None}, problems=(409, 503)
    )
    async def remove(self, request: Request) -> Response:
        """The device can register, or bootstrap, no more."""
        device, side = self._find(request), _side(request.path_params["side"])
        await self._write(device, side, Removed(), None)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _shown(self, device: Device, side: Side) -> dict[str, Any]:
        return to_json(self._credentials.row(device.node, side), side)

    async def _write(self, device: Device, side: Side, credential: Credential, endpoint: str | None) -> None:
        def store(transaction: Transaction) -> None:
            self._credentials.write(transaction, device, side, credential, endpoint)

        commit = self._devices.end(device, store) if side == "management" else self._devices.change(store)
        try:
            await self._credentials.kept(device.node, commit)
        except Conflict as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except Gone as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error


def _side(text: str) -> Side:
    for side in SIDES:
        if side == text:
            return side
    raise Problem(HTTPStatus.NOT_FOUND, f"credentials are for {' or '.join(SIDES)}, not for {text[:40]!r}")


def _place(request: Request) -> int:
    """The node of the query argument ``after``; raises ``Problem``."""
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(HTTPStatus.BAD_REQUEST, f"after={text[:40]} is not what was given as next")
    return int(text)


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), 200, {"cache-control": "no-store"}, media_type="application/json")
