"""contentInstances of devices: into ``outgoing-msg`` a wish to the device, into the others as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

import orjson

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages import Request, parse, parse_json
from lwm2m_engine.model.view import ModelView
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.instances import create_instance, new_instance
from lwm2m_server.onem2m.behaviours.nodes import OUTGOING
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.errors import BadRequest, NotFound
from lwm2m_server.onem2m.rendering import JSON_CONTENT
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.records import Message
from lwm2m_server.store.transaction import Transaction

TEXT_CONTENT = "text/plain:0"
DEFERRED = "when:ready"
"""Label of a message that is sent when what the device tells allows it: an update that is downloaded."""
_TTL = re.compile(r"ttl:\s*(\d{1,9})")


async def create_message(context: Context, target: Target, draft: Draft, originator: str) -> Message:
    """Raises ``RequestError`` for what no device could do, ``ContainerFull``, ``Conflict``."""
    box = context.tree.box(target)
    if box is None:
        return await create_instance(context, target, draft, originator)
    is_named = "rn" in draft.attributes
    waits = partial(_deadline, context.settings.messages.ttl) if box.container.name == OUTGOING else None
    message = new_instance(context, box.container.id, draft, originator, waits)
    if waits is None:
        state_tag = await context.devices.change(lambda write: context.notices.add(write, message))
        return message.tagged(state_tag)
    device = context.device(target, box.device)
    if device is None:
        raise NotFound(f"there is no device {box.device!r}")
    request = request_of(message.content, message.content_info, context.devices.models(device))
    # Known now, a taken name is no reason to undo what the engine has queued; made-up names are never taken.
    if is_named and context.reader.message_named(box.container.id, message.name) is not None:
        raise Conflict(f"{OUTGOING} has a message {message.name!r}")
    state_tag = await context.devices.submit(
        device,
        request,
        id=message.id,
        expires_at=message.deadline,
        deferred=is_deferred(message),
        store=lambda write, starts: context.notices.add(write, message, started=starts),
    )
    return message.tagged(state_tag)


async def delete_message(context: Context, target: Target) -> None:
    """A message that waits is cancelled with it."""
    message, box = target.message, context.tree.box(target)

    def remove(transaction: Transaction) -> None:
        context.notices.remove(transaction, message.container, message.id)

    if box is not None and box.container.name == OUTGOING:
        device = context.device(target, box.device)
        if device is not None:
            await context.devices.cancel(device, message.id, remove)
            return
    await context.devices.change(remove)


def is_deferred(message: Message) -> bool:
    """Whether it waits until its action may go."""
    return message.labels is not None and DEFERRED in message.labels


def request_of(content: str, content_info: str | None, models: ModelView | None) -> Request:
    """What a message in ``outgoing-msg`` asks of the device. Raises ``RequestError``."""
    if content_info not in (None, TEXT_CONTENT, JSON_CONTENT):
        raise _bad(f"{OUTGOING} takes {TEXT_CONTENT} and {JSON_CONTENT}, not {content_info}")
    if content_info != JSON_CONTENT:
        return parse(content, models)
    document = orjson.loads(content)
    if isinstance(document, str):
        # JSON in a string: what cnf says is true of the string's content.
        try:
            document = orjson.loads(document)
        except orjson.JSONDecodeError as error:
            raise _bad(f"con (content) is not the JSON that cnf promises: {error}") from error
    if not isinstance(document, dict):
        raise _bad('con (content) must be an object such as {"method": "GET", "path": "/3"}')
    return parse_json(document, models)


def _bad(reason: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, reason)


def _deadline(ttl: int, now: int, expires: int | None, labels: Iterable[str] | None) -> float:
    """Seconds since 1970: ``et``, else the label ``ttl:<seconds>``, else the setting's time to live."""
    if expires is not None:
        return expires / SECOND
    seconds = ttl
    for label in labels or ():
        if label.startswith("ttl:"):
            found = _TTL.fullmatch(label)
            if found is None or int(found[1]) == 0:
                raise BadRequest(f"the label {label[:40]!r} is not ttl:<seconds>")
            seconds = int(found[1])
    return now / SECOND + seconds
