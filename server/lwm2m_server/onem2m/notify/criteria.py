"""What a subscription asks for: its attributes, read once (TS-0004, 7.4.8 and 6.3.5.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from lwm2m_server.onem2m.conditions import Conditions, Operation, Test, condition
from lwm2m_server.store.expiration import expires

UPDATED, DELETED, CHILD_CREATED, CHILD_DELETED = 1, 2, 3, 4
"""``net``, notificationEventType."""
ALL, MODIFIED, REFERENCE = 1, 2, 3
"""``nct``, notificationContentType."""
SUBSCRIPTION: Final = 23
"""``ty``"""
SEND_LATEST: Final = 1
"""``pn``, pendingNotification."""
CONDITIONS: Final = ("crb", "cra", "ms", "us", "exb", "exa", "sts", "stb", "sza", "szb", "lbl")
"""Of ``enc``, eventNotificationCriteria; each as in filterCriteria."""


@attrs.frozen(slots=True)
class Criteria:
    """When to tell whom, and what."""

    events: frozenset[int]
    content: int
    targets: tuple[str, ...]
    attributes: frozenset[str]
    """``atr``; none for any."""
    child_types: frozenset[int]
    """``chty``; none for any but subscriptions."""
    conditions: Conditions
    counts: bool
    """It ends after so many notices (``exc``)."""
    own_lane: bool
    """Its notices do not go out as they come."""
    expires: int | None
    """Microseconds since 1970: it is over from then on, though it may be there still."""

    def concern(self, event: int, child_type: int | None, modified: frozenset[str]) -> bool:
        """Whether an event is one of those to tell of."""
        if event not in self.events:
            return False
        if child_type is not None:
            # Who waits for messages does not want to hear of others who do.
            wants_all = not self.child_types and child_type != SUBSCRIPTION
            return wants_all or child_type in self.child_types
        return event != UPDATED or not self.attributes or not self.attributes.isdisjoint(modified)


def read_criteria(document: str) -> Criteria:
    """Of the attributes of a subscription, as JSON. Raises ``BadRequest`` for conditions with malformed
    values; all else was checked when it came."""
    given = orjson.loads(document)
    wanted = given.get("enc", {})
    return Criteria(
        events=frozenset(wanted.get("net", (UPDATED,))),
        content=given.get("nct", ALL),
        targets=tuple(given.get("nu", ())),
        attributes=frozenset(wanted.get("atr", ())),
        child_types=frozenset(wanted.get("chty", ())),
        conditions=read_conditions(wanted),
        counts="exc" in given,
        own_lane="bn" in given or given.get("pn") == SEND_LATEST,
        expires=expires(given),
    )


def read_conditions(wanted: Mapping[str, Any]) -> Conditions:
    """Of an eventNotificationCriteria by short names. Raises ``BadRequest``."""
    tests = [_test(name, wanted[name]) for name in CONDITIONS if name in wanted]
    return Conditions(tuple(tests), Operation(wanted.get("fo", Operation.AND)))


def _test(name: str, value: Any) -> Test:
    test = condition(name, [str(one) for one in value] if isinstance(value, list) else [str(value)])
    assert test is not None
    return test
