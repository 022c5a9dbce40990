"""``/api/v1/enrolments``: which unknown devices may come, and who waits for somebody's word."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.enrolment.batches import about_master
from lwm2m_server.enrolment.opening import EnrolmentParts
from lwm2m_server.enrolment.pending import Pending
from lwm2m_server.enrolment.rules import MAX_REJECTED, PROOFS, Rule, read_rule, shown
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    STRING,
    TENANT,
    TIME,
    array,
    described,
    enum,
    nullable,
    obj,
)
from lwm2m_server.http.devices import DeviceFinder, milliseconds
from lwm2m_server.http.enrolment import problems
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of, refusal
from lwm2m_server.security.credentials import Psk
from lwm2m_server.security.material import NAMES
from lwm2m_server.store.definitions import Enrolment

MAX_NAME: Final = 100
TURN: Final = 500
"""Keys removed before others may run."""
_BODY: Final = obj(
    "by",
    by=enum(*PROOFS),
    endpoints=array(STRING),
    certificate=obj("issuer", issuer=STRING, subject=STRING, pinned=BOOLEAN),
    identity=STRING,
    masterKey=STRING,
    noSec=BOOLEAN,
    profile=nullable(STRING),
    labels=array(STRING),
    groups=array(STRING),
    approval=enum("auto", "queue"),
    rejected=array(STRING),
)
_RULE: Final = obj(
    "name by endpoints approval",
    **{
        **{name: schema for name, schema in _BODY["properties"].items() if name != "masterKey"},
        "name": STRING,
        "masterKeySet": BOOLEAN,
        "keysWaiting": COUNT,
    },
)
_PENDING: Final = obj(
    "*",
    endpoint=STRING,
    rule=STRING,
    server=enum("management", "bootstrap"),
    securityMode=STRING,
    identity=nullable(STRING),
    address=STRING,
    firstSeen=TIME,
    lastSeen=TIME,
    attempts=COUNT,
)
_KEYS: Final = obj("keys", keys=array(obj("identity key", identity=STRING, endpoint=STRING, key=STRING)))


class RuleApi:
    """Rules are an admin's to make; who waits is let in by who operates."""

    def __init__(self, enrolment: EnrolmentParts, find: DeviceFinder) -> None:
        self._enrolment, self._find = enrolment, find

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        one, waiting = "/enrolments/{name}", "/enrolments/pending"
        return [
            Route("/enrolments", self.list_rules, methods=["GET"]),
            Route(waiting, self.list_pending, methods=["GET"]),
            Route(f"{waiting}/{{endpoint}}/approve", self.approve, methods=["POST"]),
            Route(f"{waiting}/{{endpoint}}/reject", self.reject, methods=["POST"]),
            Route(one, self.show, methods=["GET"]),
            Route(one, self.put, methods=["PUT"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(f"{one}/keys", self.add_keys, methods=["POST"]),
        ]

    # --- rules ---------------------------------------------------------------------------------------

    @described(
        "Rules for devices that are not known yet",
        query=(TENANT,),
        answers={200: obj("*", tenant=STRING, enrolments=array(_RULE))},
    )
    async def list_rules(self, request: Request) -> Response:
        tenant = self._find.tenant(request)
        rows = [self._shown(one) for one in self._enrolment.context.inventory.enrolments.of(tenant)]
        return json_answer({"tenant": tenant, "enrolments": rows})

    @described("A rule, without its secret", query=(TENANT,), answers={200: _RULE})
    async def show(self, request: Request) -> Response:
        return json_answer(self._shown(self._kept(self._find.tenant(request), request)))

    @described(
        "Say which unknown devices may come, and as what",
        query=(TENANT,),
        body=_BODY,
        answers={200: _RULE},
        problems=(503,),
    )
    async def put(self, request: Request) -> Response:
        """Devices that wait by this rule have to come again. Takes the role admin."""
        tenant, name = self._admin(request), request.path_params["name"]
        if len(name) > MAX_NAME or not name.isprintable():
            raise Problem(HTTPStatus.BAD_REQUEST, "this is no name for a rule")
        kept = self._enrolment.context.inventory.enrolments.get(tenant, name)
        seal = partial(self._enrolment.batches.vault.seal, about=about_master(tenant, name))
        body = await read_json(request)
        with problems():
            if isinstance(body, dict) and body.get("name", name) != name:
                raise Problem(HTTPStatus.BAD_REQUEST, "name: it is not the one in the address")
            document = read_rule(body, kept.document if kept is not None else None, seal)
            self._check(tenant, document)
            stored = Enrolment(tenant, name, document)
            await self._enrolment.context.inventory.enrolments.put(stored)
        self._enrolment.newcomers.pending.forget(tenant, name)
        return json_answer(self._shown(stored))

    def _check(self, tenant: str, document: dict[str, Any]) -> None:
        """What it refers to is there; raises ``Faulty``."""
        found = self._enrolment.context.inventory.tenant(tenant)
        if found is not None:
            self._enrolment.office.check_profile(found, document["profile"])
            self._enrolment.office.groups(found, document["groups"])

    @described("No more devices come by this rule", query=(TENANT,), answers={204: None}, problems=(503,))
    async def remove(self, request: Request) -> Response:
        """Its keys go; devices that came by it stay. Takes the role admin."""
        tenant = self._admin(request)
        name = self._kept(tenant, request).name
        context = self._enrolment.context
        with problems():
            await context.inventory.enrolments.remove(tenant, name)
            self._enrolment.newcomers.pending.forget(tenant, name)
            while await context.devices.change(lambda write: write.remove_batch_keys(tenant, name, TURN)):
                pass
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described(
        "Keys of devices that are not there yet",
        query=(TENANT,),
        body=_KEYS,
        answers={200: obj("*", stored=COUNT, keysWaiting=COUNT)},
        problems=(409, 503),
    )
    async def add_keys(self, request: Request) -> Response:
        """For a rule by ``keys``: PSK identity, key in hexadecimal digits, and endpoint name if that is not
        the identity; all of them or none. Each is good for one device. Takes the role admin."""
        tenant = self._admin(request)
        kept = self._kept(tenant, request)
        if kept.document["by"] != "keys":
            raise Problem(HTTPStatus.BAD_REQUEST, f"{kept.name} is a rule by {kept.document['by']}")
        body = await read_json(request)
        with problems():
            rows = self._enrolment.batches.read(tenant, kept.name, body)
            await self._enrolment.context.devices.change(lambda write: write.put_batch_keys(rows))
        waiting = self._enrolment.context.reader.count_batch_keys(tenant, kept.name)
        return json_answer({"stored": len(rows), "keysWaiting": waiting})

    def _kept(self, tenant: str, request: Request) -> Enrolment:
        name = request.path_params["name"]
        kept = self._enrolment.context.inventory.enrolments.get(tenant, name)
        if kept is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant} has no rule {name[:80]!r}")
        return kept

    def _shown(self, kept: Enrolment) -> dict[str, Any]:
        document = shown(kept)
        if kept.document["by"] == "keys":
            count = self._enrolment.context.reader.count_batch_keys(kept.tenant or "", kept.name)
            document["keysWaiting"] = count
        return document

    def _admin(self, request: Request) -> str:
        tenant, caller = self._find.tenant(request), caller_of(request)
        if not caller.may(Role.ADMIN, tenant):
            raise refusal(caller, Role.ADMIN, tenant)
        return tenant

    # --- who waits -----------------------------------------------------------------------------------

    @described(
        "Devices that wait for somebody's word",
        query=(TENANT,),
        answers={200: obj("*", tenant=STRING, pending=array(_PENDING))},
    )
    async def list_pending(self, request: Request) -> Response:
        """Since the server was started; they come again."""
        tenant = self._find.tenant(request)
        rows = [_pending(one) for one in self._enrolment.newcomers.pending.of(tenant)]
        return json_answer({"tenant": tenant, "pending": rows})

    @described(
        "Let a device in that waits",
        query=(TENANT,),
        answers={200: obj("*", device=STRING, endpoint=STRING)},
        problems=(409, 503),
    )
    async def approve(self, request: Request) -> Response:
        """It is there from now on, with what it proved; its next attempt succeeds."""
        pending = self._waiting(request)
        rule = self._rule(pending)
        with problems():
            await self._enrolment.newcomers.create(pending, rule)
        device = self._enrolment.context.reader.device_of_endpoint(pending.endpoint)
        name = device.name if device is not None else pending.endpoint
        return json_answer({"device": name, "endpoint": pending.endpoint})

    @described("Never let it in by this rule", query=(TENANT,), answers={204: None}, problems=(409, 503))
    async def reject(self, request: Request) -> Response:
        """Its name stands in ``rejected`` of the rule from now on."""
        pending = self._waiting(request)
        self._rule(pending)
        inventory = self._enrolment.context.inventory
        kept = inventory.enrolments.get(pending.tenant, pending.rule)
        if kept is not None:
            rejected = [*dict.fromkeys([*kept.document.get("rejected", ()), pending.endpoint])]
            if len(rejected) > MAX_REJECTED:
                raise Problem(HTTPStatus.CONFLICT, f"{kept.name} has rejected {MAX_REJECTED} devices already")
            with problems():
                document = {**kept.document, "rejected": rejected}
                await inventory.enrolments.put(attrs.evolve(kept, document=document))
        self._enrolment.newcomers.pending.remove(pending.tenant, pending.endpoint)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _waiting(self, request: Request) -> Pending:
        tenant, endpoint = self._find.tenant(request), request.path_params["endpoint"]
        pending = self._enrolment.newcomers.pending.get(tenant, endpoint)
        if pending is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"in tenant {tenant} no device {endpoint[:80]!r} waits")
        return pending

    def _rule(self, pending: Pending) -> Rule:
        for rule in self._enrolment.newcomers.rules:
            if (rule.tenant, rule.name) == (pending.tenant, pending.rule):
                return rule
        raise Problem(HTTPStatus.NOT_FOUND, "its rule is gone")


def _pending(one: Pending) -> dict[str, Any]:
    credential = one.credential
    return {
        "endpoint": one.endpoint,
        "rule": one.rule,
        "server": one.side,
        "securityMode": NAMES[credential.mode],
        "identity": credential.psk_identity if isinstance(credential, Psk) else None,
        "address": one.address,
        "firstSeen": milliseconds(one.first),
        "lastSeen": milliseconds(one.last),
        "attempts": one.attempts,
    }
