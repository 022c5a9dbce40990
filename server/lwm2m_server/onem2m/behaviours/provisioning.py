"""Onboarding requests: many devices at once, in ``device-provisioning/request`` (``dtiot:noPRt``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import orjson

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import delete_resource
from lwm2m_server.onem2m.behaviours.roots import PROVISIONING, REQUESTS, below
from lwm2m_server.onem2m.checks import Draft, check_name, require
from lwm2m_server.onem2m.errors import BadRequest, InvalidChildType
from lwm2m_server.onem2m.items import take
from lwm2m_server.onem2m.onboarding import OPERATIONS, REQUEST_KEY, begin, sealed_about
from lwm2m_server.onem2m.routing import FLEX_CONTAINER
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.records import OnboardingItem, Resource
from lwm2m_server.store.transaction import Transaction

MAX_ITEMS: Final = 10_000
"""Devices in one request."""
TURN: Final = 50
"""Items kept before others may run."""


async def create_request(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """It is kept, and answered later. Raises ``Conflict`` for a name that is taken."""
    if target.what != below(context.reader, target.tenant, PROVISIONING, REQUESTS):
        raise InvalidChildType(f"devices are onboarded in {PROVISIONING}/{REQUESTS}")
    require(draft)
    given = draft.attributes
    if given["opern"] not in OPERATIONS:
        raise BadRequest("opern (operation) is 1 to create devices, or 2 to remove them")
    items = _items(given.pop("reqLt"))
    id = context.ids.next()
    name = check_name(draft.take_name() or uuid_name(id))
    attributes = {"cnd": draft.type.cnd, **given, "cr": originator, "st": 0}
    request = Resource(
        id, target.tenant.name, target.what.id, name, FLEX_CONTAINER, REQUEST_KEY, attributes, id
    )
    if context.reader.child(target.what.id, name) is not None:
        raise Conflict(f"the name {name!r} is taken")
    await _keep(context, request, items)
    begin(context, request)
    return request


async def delete_request(context: Context, target: Target) -> None:
    """What is not done yet is never done; what came of it stays."""
    await delete_resource(context, target)
    await discard(context, target.what.id)


async def discard(context: Context, request: int) -> None:
    """The items of a request that is no more, or never came to be."""
    while await context.devices.change(lambda write: write.remove_onboarding_items(request, TURN)):
        pass
    await context.devices.change(lambda write: write.close_onboarding(request))


def _items(given: Any) -> Sequence[object]:
    if not isinstance(given, list) or not given:
        raise BadRequest("reqLt (requestList) must be a list of devices")
    if len(given) > MAX_ITEMS:
        raise BadRequest(f"reqLt (requestList) has {len(given)} devices; {MAX_ITEMS} go into one request")
    return given


async def _keep(context: Context, request: Resource, items: Sequence[object]) -> None:
    """The request is there when all of its items are."""
    for start in range(0, len(items), TURN):
        is_last = start + TURN >= len(items)
        try:
            rows = [
                _row(context, request.id, place, given)
                for place, given in enumerate(items[start : start + TURN], start)
            ]
            await context.devices.change(partial(_store, context, request, rows, is_last))
        except (BadRequest, Conflict):
            await discard(context, request.id)
            raise


def _row(context: Context, request: int, place: int, given: object) -> OnboardingItem:
    taken = take(given)
    try:
        short, long = orjson.dumps(taken.short).decode(), orjson.dumps(taken.long).decode()
    except TypeError as error:
        raise BadRequest(f"reqLt (requestList), device {place + 1}: {error}") from error
    sealed = None
    if taken.key is not None:
        sealed = context.credentials.seal(taken.key, sealed_about(request, place))
    return OnboardingItem(request, place, short, long, sealed)


def _store(
    context: Context,
    request: Resource,
    rows: Sequence[OnboardingItem],
    is_last: bool,
    transaction: Transaction,
) -> None:
    transaction.open_onboarding(request.id)
    transaction.put_onboarding_items(rows)
    if is_last:
        transaction.put(request)
        context.notices.created(transaction, request.parent, request)
