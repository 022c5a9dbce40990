"""What the log says of deliveries at level debug: which messages they are about (``lwm2m_server.trail``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import structlog

from lwm2m_server.sinks.targets import masked
from lwm2m_server.store.records import Notice

_log = structlog.get_logger(__name__)
_plain = logging.getLogger(__name__)


def tell(outcome: str, batch: Sequence[Notice], **more: object) -> None:
    """A line for each notice."""
    if not _plain.isEnabledFor(logging.DEBUG):
        return
    for notice in batch:
        lane = notice.lane
        target, about = masked(lane.target), dict(_about(notice))
        _log.debug(outcome, tenant=lane.tenant, target=target, notice=notice.id, **about, **more)


def _about(notice: Notice) -> Iterator[tuple[str, str]]:
    """The ``ri`` of the resource, and of the message that it answers."""
    signal = orjson.loads(notice.body).get("m2m:sgn", {})
    resource = next(iter((signal.get("nev", {}).get("rep") or {}).values()), None)
    if not isinstance(resource, dict):
        return
    for name in ("ri", "resourceID"):
        if name in resource:
            yield "resource", resource[name]
    content = _content(resource.get("con", resource.get("content")))
    if isinstance(content, dict) and content.get("requestID"):
        yield "message", content["requestID"]


def _content(content: Any) -> Any:
    if not isinstance(content, str) or not content.startswith("{"):
        return content
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
