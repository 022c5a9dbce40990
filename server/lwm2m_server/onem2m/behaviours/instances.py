"""contentInstances in containers of clients (TS-0004, 7.4.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.resources import check_parent, check_place
from lwm2m_server.onem2m.checks import Draft, check_name, require
from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.onem2m.rendering import JSON_CONTENT
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import SECOND, parse_timestamp, timestamp
from lwm2m_server.store.records import Message, Resource
from lwm2m_server.store.transaction import Transaction

_CONTENT_INFO: Final = re.compile(r"[\w.+-]+/[\w.+-]+:\d{1,4}(:\d)?")


async def create_instance(context: Context, target: Target, draft: Draft, originator: str) -> Message:
    """Raises ``ContainerFull`` for what the container never takes, ``Conflict`` for a taken name."""
    check_place(target, draft)
    container = target.resource
    _limit_age(container, draft)
    instance = new_instance(context, container.id, draft, originator)

    def store(transaction: Transaction) -> int:
        check_parent(transaction, container)
        if instance.own_name is not None and transaction.child(container.id, instance.own_name) is not None:
            raise Conflict(f"the name {instance.own_name!r} is taken")
        return context.notices.add(transaction, instance)

    return instance.tagged(await context.devices.change(store))


def new_instance(
    context: Context,
    container: int,
    draft: Draft,
    originator: str,
    deadline: Callable[[int, int | None, Iterable[str] | None], float] | None = None,
) -> Message:
    """What a CREATE asks for. ``deadline`` tells until when it waits, by id, ``et`` and labels."""
    require(draft)
    given = draft.attributes
    name = draft.take_name()
    content, content_info = _content(given["con"], given.get("cnf"))
    labels = given.get("lbl")
    id = context.ids.next()
    expires = parse_timestamp(given["et"]) if "et" in given else None
    return Message(
        id=id,
        container=container,
        own_name=check_name(name) if name is not None else None,
        creator=originator,
        state_tag=0,
        content=content,
        content_info=content_info,
        size=len(content.encode()),
        labels=tuple(labels) if labels is not None else None,
        expires=expires,
        deadline=None if deadline is None else deadline(id, expires, labels),
    )


def _content(content: Any, content_info: str | None) -> tuple[str, str | None]:
    """``con`` as it is stored, and ``cnf``. What is no text is JSON."""
    if content_info is not None and not _CONTENT_INFO.fullmatch(content_info):
        raise BadRequest(f"cnf (contentInfo) {content_info[:40]!r} is not <media type>:<encoding>")
    if isinstance(content, str) and content_info != JSON_CONTENT:
        return content, content_info
    if content_info not in (None, JSON_CONTENT):
        raise BadRequest(f"con (content) is JSON, and cnf (contentInfo) says {content_info}")
    return orjson.dumps(content).decode(), JSON_CONTENT


def _limit_age(container: Resource, draft: Draft) -> None:
    """``mia`` (maxInstanceAge) in seconds: the longest that an instance lives."""
    if "mia" in container.attributes:
        end = timestamp(now() + container.attributes["mia"] * SECOND)
        draft.attributes["et"] = min(draft.attributes.get("et", end), end)
