"""``/api/v1/devices/{name}/credentials``: what a device proves itself with. Secrets are write-only."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.enrolment.document import KEY_LENGTH
from lwm2m_server.enrolment.showing import Showing
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    LIMIT,
    NODE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder, node_after, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.security.credentials import SIDES, BadCredentials, Credential, Psk, Removed, Side
from lwm2m_server.security.forms import from_json, to_json
from lwm2m_server.security.material import MANAGING, Material, Section, section
from lwm2m_server.security.store import Credentials
from lwm2m_server.store.errors import Gone
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
        self._material = Material(reader, credentials)
        self._showing = Showing(reader, credentials, self._material)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        one = "/devices/{name}/credentials/{side}"
        return [
            Route("/credentials", self.list_all, methods=["GET"]),
            Route("/devices/{name}/credentials", self.show, methods=["GET"]),
            Route(one, self.put, methods=["PUT"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(f"{one}/generate", self.generate, methods=["POST"]),
        ]

    @described(
        "Credentials that somebody set, without the secrets",
        query=(TENANT, LIMIT, Parameter("after", NODE, "`next` of the page before")),
        answers={
            200: obj("tenant credentials", tenant=STRING, credentials=array(ref("Credentials")), next=NODE)
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
        for count, row in enumerate(self._reader.credentials(after=node_after(request)), 1):
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
        return json_answer(document)

    @described(
        "What a device proves itself with, without the secrets",
        query=(TENANT, Parameter("form", enum("lwm2m"), "in the form in which profiles have them")),
        answers={
            200: {
                "anyOf": [
                    obj("*", management=ref("Credentials"), bootstrap=ref("Credentials")),
                    ref("CredentialsDocument"),
                ]
            }
        },
        problems=(400,),
    )
    async def show(self, request: Request) -> Response:
        """By side; with ``?form=lwm2m`` as one document with the sections ``client`` and ``bootstrap``."""
        device, form = self._find(request), request.query_params.get("form")
        if form == "lwm2m":
            return json_answer(self._showing.document(device))
        if form is not None:
            raise Problem(HTTPStatus.BAD_REQUEST, f"form={form[:40]} is not lwm2m")
        return json_answer({side: self._shown(device, side) for side in SIDES})

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
        return json_answer(self._shown(device, side))

    @described(
        "The device can prove itself no more", query=(TENANT,), answers={204: None}, problems=(409, 503)
    )
    async def remove(self, request: Request) -> Response:
        """The device can register, or bootstrap, no more."""
        device, side = self._find(request), _side(request.path_params["side"])
        await self._write(device, side, Removed(), None)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described(
        "Make a pre-shared key for a device",
        query=(TENANT,),
        body={
            **obj(identity=STRING, atBootstrap=BOOLEAN),
            "description": "`identity`: that of now, else the endpoint name; `atBootstrap`: the device gets "
            "the key when it bootstraps next, and nobody sees it",
        },
        answers={
            200: obj("mode endpoint identity", mode=STRING, endpoint=STRING, identity=STRING, key=STRING)
        },
        problems=(409, 503),
    )
    async def generate(self, request: Request) -> Response:
        """The answer has the key in hexadecimal digits, this once; with ``atBootstrap`` it has none, and the
        device proves itself as before until it got it."""
        device, side = self._find(request), _side(request.path_params["side"])
        identity, later = _wish(await read_json(request), side)
        row = self._credentials.row(device.node, side)
        endpoint = row.endpoint if row is not None and row.endpoint else self._showing.endpoint(device)
        stored = row.public["identity"] if row is not None and row.mode == "psk" else None
        identity = identity or stored or endpoint
        key = secrets.token_bytes(KEY_LENGTH)
        shown = {"mode": "psk", "endpoint": endpoint, "identity": identity}
        psk = Psk(identity, base64.b64encode(key).decode("ascii"))
        try:
            psk.check()
        except BadCredentials as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        if not later:
            await self._write(device, side, psk, endpoint)
            return json_answer({**shown, "key": key.hex()})
        given = section("PSK", identity, key.hex())
        await self._commit(device, lambda write: self._give(write, device, given))
        return json_answer(shown)

    def _give(self, transaction: Transaction, device: Device, given: Section) -> None:
        if transaction.device(device.node) is None:
            raise Gone("the node was removed")
        stored = self._material.stored(transaction, device.node)
        self._material.write(transaction, device.node, {**stored, MANAGING: given})

    def _shown(self, device: Device, side: Side) -> dict[str, Any]:
        return to_json(self._credentials.row(device.node, side), side)

    async def _write(self, device: Device, side: Side, credential: Credential, endpoint: str | None) -> None:
        def store(transaction: Transaction) -> None:
            self._credentials.write(transaction, device, side, credential, endpoint)
            if side == "management":
                # What it was to get in place of the former ones.
                self._material.taken(transaction, device.node, MANAGING)

        await self._commit(device, store, ends=side == "management")

    async def _commit(
        self, device: Device, store: Callable[[Transaction], None], *, ends: bool = False
    ) -> None:
        commit = self._devices.end(device, store) if ends else self._devices.change(store)
        with stored():
            await self._credentials.kept(device.node, commit)


def _side(text: str) -> Side:
    for side in SIDES:
        if side == text:
            return side
    raise Problem(HTTPStatus.NOT_FOUND, f"credentials are for {' or '.join(SIDES)}, not for {text[:40]!r}")


def _wish(given: Any, side: Side) -> tuple[str | None, bool]:
    """An identity, and whether bootstrap is to give the key; raises ``Problem``."""
    if not isinstance(given, dict) or given.keys() - {"identity", "atBootstrap"}:
        raise Problem(HTTPStatus.BAD_REQUEST, "an object is due, with identity and atBootstrap or neither")
    identity, later = given.get("identity"), given.get("atBootstrap", False)
    if not isinstance(identity, str | None) or not isinstance(later, bool):
        raise Problem(HTTPStatus.BAD_REQUEST, "identity is a text, atBootstrap true or false")
    if identity is not None and not (identity.isprintable() and identity):
        raise Problem(HTTPStatus.BAD_REQUEST, "identity: printable characters are due")
    if later and side != "management":
        raise Problem(HTTPStatus.BAD_REQUEST, "atBootstrap: only keys for management are given at bootstrap")
    return identity, later
