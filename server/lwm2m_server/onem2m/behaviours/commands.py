"""A client changes a device's management object: messages to the device. The tree follows when it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_engine.mapping.commands import Order
from lwm2m_engine.messages.requests import Delete, Execute, Observe, Read, Request, Write, prefix_of
from lwm2m_engine.model.view import ModelView
from lwm2m_server.onem2m import content
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.messages import DEFERRED
from lwm2m_server.onem2m.errors import BadRequest, InternalError, NotAllowed, NotFound, OneM2MError
from lwm2m_server.onem2m.names import SHORT, short_name, type_of_key
from lwm2m_server.onem2m.rendering import JSON_CONTENT
from lwm2m_server.ports import Errand
from lwm2m_server.store.ids import SECOND, NodeIds
from lwm2m_server.store.records import Device, Message, Resource
from lwm2m_server.store.transaction import Transaction

COMMAND: Final = "mgmtObj:"
"""Begins the label of a message that came about by a change of a management object; its name follows."""
_REFUSALS: Final[dict[int, type[OneM2MError]]] = {
    Code.METHOD_NOT_ALLOWED: NotAllowed,
    Code.INTERNAL_SERVER_ERROR: InternalError,
}
OWN: Final = frozenset({"lbl", "dc", "et"})
"""Attributes that describe a management object and not the device."""


def is_command(message: Message) -> bool:
    """Whether a message came about by a change of a management object."""
    return any(label.startswith(COMMAND) for label in message.labels or ())


class Command:
    """What a client's changes of one management object ask of its device.

    Raises ``NotFound``, ``NotAllowed`` for attributes that cannot be written, ``BadRequest`` for values that
    do not fit, ``InternalError`` if a plugin fails.
    """

    def __init__(
        self, context: Context, resource: Resource, changes: Mapping[str, Any], originator: str
    ) -> None:
        device = context.reader.device(resource.parent)
        if device is None:
            raise NotFound(f"the node of {resource.name} was removed meanwhile")
        self._context, self.device = context, device
        self._name, self._originator = resource.name, originator
        targets = _targets(resource.key, context.devices.attributes(device, resource.name))
        for short, value in changes.items():
            if value is None:
                raise BadRequest(f"{targets.get(short, short)} of {resource.name} cannot be removed")
        wishes = {targets.get(short, short): value for short, value in changes.items()}
        try:
            orders = context.devices.orders(device, resource.name, wishes)
        except RequestError as error:
            raise _REFUSALS.get(error.code, BadRequest)(str(error)) from error
        self._messages = [self._message(order, context.devices.models(device)) for order in orders]
        self.errands = [
            Errand(message.id, order.request, message.deadline, order.deferred)
            for message, order in zip(self._messages, orders, strict=True)
        ]

    def store(self, transaction: Transaction, started: Collection[int]) -> None:
        """The messages, in ``outgoing-msg``."""
        for message in self._messages:
            self._context.notices.add(transaction, message, started=message.id in started)

    def _message(self, order: Order, models: ModelView) -> Message:
        id = self._context.ids.next()
        body, content_info = written(order.request, models)
        labels = (f"{COMMAND}{self._name}", *((DEFERRED,) if order.deferred else ()))
        return Message(
            id=id,
            container=NodeIds(self.device.node).outgoing,
            own_name=None,
            creator=self._originator,
            state_tag=0,
            content=body,
            content_info=content_info,
            size=len(body.encode()),
            labels=labels,
            deadline=id / SECOND + self._context.settings.messages.ttl,
        )


def commanded(context: Context, device: Device, resource: Resource) -> frozenset[str]:
    """Short names of the attributes of a management object that the device has to be asked for."""
    attributes = context.devices.attributes(device, resource.name)
    writable = {target: True for target, is_writable in attributes.items() if is_writable}
    return frozenset(_targets(resource.key, writable))


def _targets(key: str, attributes: Collection[str]) -> dict[str, str]:
    """The names that mappings use, by short name."""
    kind = type_of_key(key)
    if kind is None:
        return {SHORT.get(target, target): target for target in attributes}
    return {short: target for target in attributes if (short := short_name(target, kind.attributes))}


def written(request: Request, models: ModelView) -> tuple[str, str | None]:
    """``con`` and ``cnf`` of a message that asks for ``request``."""
    place = f"/{prefix_of(request)}" if prefix_of(request) else ""
    path = f"{place}{request.path}"
    match request:
        case Execute(arguments=arguments):
            return f"POST {path}{f'?{arguments}' if arguments else ''}", None
        case Read():
            return f"GET {path}", None
        case Observe(attributes=()):
            return f"OBSERVE {path}", None
        case Delete():
            return f"DELETE {path}", None
        case Write(replace=replace):
            document = {
                "method": "PUT" if replace else "POST",
                "path": path,
                "value": _value(request, models),
            }
            return orjson.dumps(document).decode(), JSON_CONTENT
    reason = f"{request.operation} {request.path} cannot stand for a change of a management object"
    raise RequestError(Code.INTERNAL_SERVER_ERROR, reason)


def _value(request: Write, models: ModelView) -> Any:
    """One value, or values by id: of Resource Instances, or of Resources."""
    level = len(request.path)
    if len(request.entries) == 1 and request.entries[0].path == request.path:
        (entry,) = request.entries
        return _plain(entry.value, entry.path, models)
    values: dict[str, Any] = {}
    for entry in request.entries:
        below = values
        for number in entry.path[level:-1]:
            below = below.setdefault(str(number), {})
        below[str(entry.path[-1])] = _plain(entry.value, entry.path, models)
    return values


def _plain(value: Any, path: tuple[int, ...], models: ModelView) -> Any:
    return None if value is None else content.plain(value, models.types(path))
