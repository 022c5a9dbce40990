"""What has an ``expirationTime``: an index over the few resources and messages that do.

What is over is read no more from that moment on; its rows go later, a few at a time. ``doomed`` are resources
whose rows are gone and below which there are some still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from lwm2m_server.store.ids import parse_timestamp

Clock: TypeAlias = Callable[[], float]
"""Seconds since 1970-01-01 UTC."""

# A message that waits for its device ends by its deadline, and not here. One that left its container before
# there was this version has no entry any more.
VERSION_7: Final = """
ALTER TABLE resource ADD COLUMN expires INTEGER;
CREATE INDEX resource_expires ON resource (expires) WHERE expires IS NOT NULL;
UPDATE message SET et = NULL WHERE et IS NOT NULL AND deadline IS NULL
    AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.container = message.container AND e.id = message.id);
CREATE INDEX message_expires ON message (et) WHERE et IS NOT NULL AND deadline IS NULL;
CREATE TABLE doomed (id INTEGER PRIMARY KEY);
"""

NOT_OVER: Final = "(expires IS NULL OR expires > ?)"
"""Of a resource, now."""


def expires(attributes: Mapping[str, Any]) -> int | None:
    """``et`` in microseconds."""
    text = attributes.get("et")
    return None if text is None else parse_timestamp(text)
