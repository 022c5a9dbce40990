"""``et``, expirationTime: what a client may say, and what follows from what lies above (TS-0004, 7.2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.store.ids import parse_timestamp, timestamp
from lwm2m_server.store.records import Message, Resource


def begin_life(attributes: dict[str, Any], above: Iterable[Resource], now: int) -> None:
    """Settle ``et`` of a new resource: it ends with the first of those above, if not before.

    ``now`` is microseconds. Raises ``BadRequest`` for what is over.
    """
    end = _end(attributes.get("et"), above, now)
    if end is not None:
        attributes["et"] = end


def change_life(changes: dict[str, Any], above: Iterable[Resource], now: int) -> None:
    """The same for an UPDATE; ``null`` lets it live as long as those above."""
    if "et" in changes:
        changes["et"] = _end(changes["et"], above, now)


def ends(what: Resource | Message) -> bool:
    """Whether it has an ``et`` that is to be waited for here."""
    if isinstance(what, Message):
        return what.expires is not None and what.deadline is None
    return "et" in what.attributes


def _end(text: str | None, above: Iterable[Resource], now: int) -> str | None:
    """Texts of one form compare as the times they are."""
    wanted = None
    if text is not None:
        moment = parse_timestamp(text)
        if moment <= now:
            raise BadRequest(f"et (expirationTime) {text} is over")
        wanted = timestamp(moment)
    ceilings = [one.attributes["et"] for one in above if "et" in one.attributes]
    return min([*ceilings, wanted] if wanted is not None else ceilings, default=None)
