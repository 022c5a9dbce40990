"""``Onem2m``: the tree and all that can be done to it; one request in, one answer out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import attrs

from lwm2m_engine.errors import RequestError
from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.policies import check_links
from lwm2m_server.onem2m.behaviours.provisioning import discard
from lwm2m_server.onem2m.behaviours.roots import put_roots
from lwm2m_server.onem2m.behaviours.table import Behaviour, behaviour_of
from lwm2m_server.onem2m.checks import read_creation, read_self_defined, read_update
from lwm2m_server.onem2m.chores import Chores
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.errors import (
    BadRequest,
    InvalidChildType,
    NameTaken,
    NoPrivilege,
    NotAcceptable,
    NotAllowed,
    NotFound,
    NotImplementedYet,
    Unavailable,
)
from lwm2m_server.onem2m.expiry import begin_life, change_life, ends
from lwm2m_server.onem2m.fanout import FAN_OUT, FanOut
from lwm2m_server.onem2m.names import BY_MGD, BY_TY, CREATABLE, FLEX_CONTAINER, UNSUPPORTED, Type, type_of
from lwm2m_server.onem2m.nonblocking import NonBlocking
from lwm2m_server.onem2m.notify.criteria import SUBSCRIPTION
from lwm2m_server.onem2m.notify.notices import Notices
from lwm2m_server.onem2m.onboarding import begin
from lwm2m_server.onem2m.policies import RETRIEVE, Policies
from lwm2m_server.onem2m.polling import POLLING, Polling
from lwm2m_server.onem2m.primitives import CREATED, DELETED, OK, UPDATED, Answer, Primitive
from lwm2m_server.onem2m.privileges import Privileges
from lwm2m_server.onem2m.queries import Content, Response
from lwm2m_server.onem2m.rendering import (
    CONTENT_INSTANCE,
    Renderer,
    Sight,
    Style,
    named,
    root_key,
    shows_instances,
)
from lwm2m_server.onem2m.retrieval import Retrieval
from lwm2m_server.onem2m.routing import Routes
from lwm2m_server.onem2m.sweeper import Sweeper
from lwm2m_server.onem2m.tree import AE, LATEST, OLDEST, Target, Tree
from lwm2m_server.security.credentials import BadCredentials
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings
from lwm2m_server.sinks.outlets import Outlets
from lwm2m_server.store.errors import CommitFailed, Conflict, ContainerFull, Gone
from lwm2m_server.store.ids import Ids, ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Message, Resource
from lwm2m_server.store.transaction import Transaction


class Onem2m:
    """Answers requests of oneM2M clients. Belongs to the event loop."""

    def __init__(
        self,
        inventory: Inventory,
        ledger: Ledger,
        devices: Devices,
        ids: Ids,
        settings: Settings,
        credentials: Credentials,
        notices: Notices,
        outlets: Outlets,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.inventory = inventory
        self._ledger, self._ids = ledger, ids
        resource_ids = ResourceIds(ledger.installation)
        self._renderer = Renderer(resource_ids, ledger.reader, settings, credentials)
        self.tree = Tree(inventory, ledger.reader, resource_ids)
        self._policies = Policies(inventory, ledger.reader, resource_ids)
        self._privileges = Privileges(inventory, self.tree, self._policies)
        self._retrieval = Retrieval(inventory, ledger, self._renderer)
        chores = Chores()
        routes = Routes(inventory, ledger.reader, devices, ids, resource_ids, chores)
        self._polling = Polling(outlets.channels, inventory, self._privileges)
        self._fan_out = FanOut(self.answer, self._privileges)
        self._later = NonBlocking(self.answer, self._privileges, inventory, ledger, ids)
        self._context = Context(
            inventory,
            ledger.reader,
            self.tree,
            devices,
            ids,
            settings,
            credentials,
            notices,
            outlets,
            resource_ids,
            chores,
            routes,
        )
        self._sweeper = Sweeper(self._context, clock)

    def permits(self, originator: str, operation: int, target: Target) -> bool:
        """Whether accessControlPolicies let it do that, whatever its role."""
        try:
            self._policies.check(originator, operation, target)
        except NoPrivilege:
            return False
        return True

    @property
    def context(self) -> Context:
        """What its behaviours work with, for other ways to the same."""
        return self._context

    async def prepare(self) -> None:
        """Give every tenant the resources it must have; to be called at start, and again at will."""
        for tenant in self.inventory.tenants():
            await self._ledger.commit(partial(put_roots, ids=self._ids, tenant=tenant))

    async def resume(self) -> None:
        """Go on with work that the last run did not finish."""
        await self._spare()
        for id in self._context.reader.open_onboardings():
            request = self._context.reader.resource(id)
            if request is None:
                await discard(self._context, id)
            else:
                begin(self._context, request)
        self._context.routes.resume()
        await self._later.resume()

    async def close(self) -> None:
        """Wait for requests that nobody waits for; end work that the next start goes on with."""
        await self._later.close()
        await self._context.chores.close()
        await self._sweeper.close()

    async def _spare(self) -> None:
        """Applications whose removal was interrupted are there still, and so is what lies below them."""
        tenants = self.inventory.tenants()
        applications = [one.id for tenant in tenants for one in self.inventory.applications(tenant.name)]

        def spare(transaction: Transaction) -> None:
            for id in applications:
                transaction.spare(id)

        await self._ledger.commit(spare)
        self._sweeper.soon()

    async def answer(self, request: Primitive) -> Answer:
        """Raises ``OneM2MError``."""
        try:
            if request.query.response in _LATER:
                return await self._later.answer(request)
            if request.address.names[-1:] == (POLLING,):
                return await self._polling.answer(request)
            if FAN_OUT in request.address.names:
                return await self._fan_out.answer(request)
            return await _OPERATIONS[request.operation](self, request)
        except (RequestError, BadCredentials) as error:
            raise BadRequest(str(error)) from error
        except Conflict as error:
            raise NameTaken(str(error)) from error
        except ContainerFull as error:
            raise NotAcceptable(str(error)) from error
        except Gone as error:
            raise NotFound(str(error)) from error
        except CommitFailed as error:
            raise Unavailable("the request could not be stored; it may be repeated") from error

    async def _create(self, request: Primitive) -> Answer:
        ty = request.ty
        if ty is None:
            raise BadRequest("the Content-Type of a CREATE says what to create, e.g. application/json;ty=4")
        target = self._real(request)
        if ty == AE:
            originator = self._privileges.newcomer(request)
        else:
            originator = self._privileges.originator(request, target)
        _check_child(target.what, ty)
        if ty == SUBSCRIPTION and originator is not None:
            # Who is told of it sees it.
            self._policies.check(originator, RETRIEVE, target)
        draft = read_creation(request.body, ty)
        create = behaviour_of(ty, draft.type.key).create
        if create is None:
            raise NotImplementedYet(f"a {draft.type.long} cannot be created yet")
        sent = dict(draft.attributes)
        check_links(self._policies, target.tenant, draft)
        begin_life(draft.attributes, target.way, now())
        created = await create(self._context, target, draft, originator)
        if ends(created):
            self._sweeper.soon()
        way = (*target.way, created) if isinstance(created, Resource) else target.way
        made = Target(target.tenant, created, target.root, way)
        location = f"{target.root}/~/{target.tenant.name}/{self._renderer.ri(created, target.tenant)}"
        body = self._written(made, request, sent)
        flexible = root_key(created, True)
        if body is not None and ty == FLEX_CONTAINER and flexible in body:
            # Answered with the key it was sent with, whatever the form of the names.
            body = {draft.type.key: body[flexible]}
        # Only what a device is to answer has a deadline.
        message = created.id if isinstance(created, Message) and created.deadline is not None else None
        return Answer(CREATED, body, location, message=message)

    def said(self, request: Primitive, row: int) -> Answer | None:
        """What a device said to the message that ``request`` created; ``None`` if it is kept no more."""
        target = self.tree.locate(request.address)
        message = self._ledger.reader.message(row)
        if message is None:
            return None
        answer = Target(target.tenant, message, target.root, target.way)
        location = f"{target.root}/~/{target.tenant.name}/{self._renderer.ri(message, target.tenant)}"
        return Answer(OK, self._retrieval.attributes(answer, self._style(request, target)), location)

    async def _retrieve(self, request: Primitive) -> Answer:
        target = self._privileges.target(request)
        originator = self._privileges.originator(request, target)
        style = self._style(request, target, self._privileges.sight(request, originator, target))
        _check_retrieval(target)
        result = await self._retrieval.retrieve(target, request.query, style)
        return Answer(OK, result.body, next_offset=result.next_offset)

    async def _update(self, request: Primitive) -> Answer:
        target = self._real(request)
        originator = self._privileges.originator(request, target)
        what = target.what
        update = _behaviour(what).update
        if isinstance(what, Message) or update is None:
            raise NotAllowed(f"{what.name} cannot be updated")
        kind = type_of(what.type, what.key)
        if kind is not None:
            draft = read_update(request.body, kind)
        else:
            draft = read_self_defined(request.body, what.key)
        draft = attrs.evolve(draft, originator=originator)
        sent = dict(draft.attributes)
        check_links(self._policies, target.tenant, draft, alone=True)
        change_life(draft.attributes, target.way[:-1], now())
        changed = await update(self._context, target, draft)
        if ends(changed):
            self._sweeper.soon()
        return Answer(UPDATED, self._written(attrs.evolve(target, what=changed), request, sent))

    async def _delete(self, request: Primitive) -> Answer:
        target = self._privileges.target(request)
        originator = self._privileges.originator(request, target)
        _check_retrieval(target)
        delete = _behaviour(target.what).delete
        if delete is None:
            raise NotAllowed(f"{target.what.name} belongs to the platform and cannot be deleted")
        body = None
        if request.query.content is not None:
            style = self._style(request, target, self._privileges.sight(request, originator, target))
            body = (await self._retrieval.retrieve(target, request.query, style)).body
        await delete(self._context, target)
        self._sweeper.soon()
        return Answer(DELETED, body)

    def _real(self, request: Primitive) -> Target:
        """What can be written to. Raises ``NotAllowed`` for ``la`` and ``ol``, and by ``Privileges``."""
        names = request.address.names
        if names and names[-1] in (LATEST, OLDEST):
            raise NotAllowed(f"{names[-1]} can be retrieved and deleted only")
        return self._privileges.target(request)

    def _style(self, request: Primitive, target: Target, sight: Sight | None = None) -> Style:
        long = request.long_names
        if long is None:
            long = (target.tenant.names or self.settings.names) == "long"
        readable = self.settings.credentials.readable and self._privileges.sees_secrets(request, target)
        return Style(long, secrets=readable and not request.kept, sees=sight)

    def _written(self, target: Target, request: Primitive, sent: dict[str, Any]) -> dict[str, Any] | None:
        """The body after a CREATE or UPDATE, as ``rcn`` wants it."""
        if request.query.content is Content.NOTHING:
            return None
        style, content = self._style(request, target), request.query.content
        if content is Content.ADDRESS:
            return {"URI" if style.long else "m2m:uri": self._retrieval.address(target)}
        if content is Content.ADDRESS_AND_ATTRIBUTES:
            found = {**self._retrieval.attributes(target, style), "uri": self._retrieval.address(target)}
            return {"resourceWrapper" if style.long else "m2m:rce": found}
        if content is not Content.MODIFIED:
            return self._retrieval.attributes(target, style)
        representation = self._renderer.represent(target.what, target.tenant, secrets=style.secrets)
        news = {name: value for name, value in representation.items() if name not in sent}
        if request.operation == "update":
            news = {"lt": representation["lt"]}
        return {root_key(target.what, style.long): named(news, style.long)}


_LATER: Final = frozenset({Response.NON_BLOCKING, Response.NONE})
_OPERATIONS: Final[dict[str, Callable[[Onem2m, Primitive], Awaitable[Answer]]]] = {
    "create": Onem2m._create,
    "retrieve": Onem2m._retrieve,
    "update": Onem2m._update,
    "delete": Onem2m._delete,
}


def _type(resource: Resource) -> Type:
    kind = type_of(resource.type, resource.key)
    # A self-defined management object is a management object all the same.
    return kind if kind is not None else BY_MGD[1007]


def _check_retrieval(target: Target) -> None:
    """Raises ``NotAllowed`` for contentInstances of a container with ``disr``."""
    if isinstance(target.what, Message) and not shows_instances(target.way[-1]):
        raise NotAllowed(f"{target.way[-1].name} lets nobody retrieve what is in it (disr)")


def _check_child(parent: Resource | Message, ty: int) -> None:
    """Raises ``BadRequest``, ``NotImplementedYet`` or ``InvalidChildType``."""
    kind = BY_TY[CONTENT_INSTANCE] if isinstance(parent, Message) else _type(parent)
    if ty in UNSUPPORTED:
        raise NotImplementedYet(f"this server has no {UNSUPPORTED[ty]} (ty {ty})")
    if ty not in CREATABLE:
        raise BadRequest(f"ty={ty} is no resource type that can be created")
    if ty not in kind.children:
        raise InvalidChildType(f"a {kind.long} has no children of ty {ty}")


def _behaviour(what: Resource | Message) -> Behaviour:
    if isinstance(what, Message):
        return behaviour_of(CONTENT_INSTANCE, BY_TY[CONTENT_INSTANCE].key)
    return behaviour_of(what.type, what.key)
