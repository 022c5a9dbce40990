"""``Journal``: what was said in the last sessions of each client, to be read by people."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

import attrs

from lwm2m_engine.bootstrap.events import (
    Asked,
    Began,
    Event,
    Failed,
    Finished,
    Packed,
    Refused,
    Replied,
    Unanswered,
)
from lwm2m_engine.coap import dotted

CLIENTS = 2_000
SESSIONS = 3
"""Of one client."""
LINES = 600
"""Of one session."""
REFUSALS = 100
"""Of clients nobody knows: there may be any number of them."""


@attrs.define(slots=True)
class Line:
    """A request and what came of it."""

    at: float
    operation: str
    path: str
    content_format: int | None
    size: int
    """Bytes of payload."""
    code: str | None = None
    """``2.04``; ``None`` while nothing has come."""
    failure: str | None = None
    """Why nothing came."""
    answered: float | None = None
    detail: str = ""
    instances: tuple[str, ...] = ()
    """What the client has, as its Discover tells."""


@attrs.define(slots=True)
class Record:
    """One session. Times are seconds since 1970-01-01 UTC."""

    tenant: str
    """Whose device it was."""
    endpoint: str
    session: int | None
    """``None`` for a Bootstrap-Pack."""
    began: float
    peer: str
    attributes: dict[str, str]
    ended: float | None = None
    outcome: str = "under way"
    """``finished``, ``packed``, or the cause of a failure."""
    detail: str = ""
    refused: int = 0
    lines: deque[Line] = attrs.field(factory=lambda: deque(maxlen=LINES))


class Journal:
    """In memory, and bounded: the client that was heard longest ago is forgotten first."""

    def __init__(self, tenant_of: Callable[[str], str]) -> None:
        """``tenant_of`` tells whose a client is."""
        self._tenant_of = tenant_of
        self._clients: OrderedDict[tuple[str, str], deque[Record]] = OrderedDict()
        self._open: dict[int, Record] = {}
        self._refusals: deque[tuple[str, Refused]] = deque(maxlen=REFUSALS)

    def latest(self, tenant: str) -> Iterator[Record]:
        """The latest session of each client of a tenant, the latest client first."""
        return (records[-1] for (owner, _), records in reversed(self._clients.items()) if owner == tenant)

    def of(self, tenant: str, endpoint: str) -> list[Record]:
        """The sessions of a client, the latest first."""
        return list(reversed(self._clients.get((tenant, endpoint), ())))

    def refusals(self, tenant: str) -> Iterator[Refused]:
        """Of clients of a tenant, the latest first."""
        return (refused for owner, refused in reversed(self._refusals) if owner == tenant)

    def note(self, event: Event) -> None:
        """Facts of a session come in their order."""
        if isinstance(event, Refused):
            self._refusals.append((self._tenant_of(event.endpoint), event))
        elif isinstance(event, Packed):
            record = self._record(event, None, {})
            record.ended, record.outcome = event.at, "packed"
            record.detail = f"{event.size} bytes, content format {event.content_format}"
            self._keep(record)
        elif isinstance(event, Began):
            record = self._record(event, event.session, dict(event.request.attributes))
            self._open[event.session] = record
            self._keep(record)
        else:
            self._go_on(self._open[event.session], event)

    def _go_on(self, record: Record, event: Asked | Replied | Unanswered | Finished | Failed) -> None:
        if isinstance(event, Asked):
            path, number = str(event.path), event.content_format
            record.lines.append(Line(event.at, event.operation, path, number, event.size))
            return
        if isinstance(event, (Replied, Unanswered)):
            _complete(record.lines[-1], event)
            return
        del self._open[event.session]
        record.ended = event.at
        if isinstance(event, Finished):
            record.outcome, record.refused = "finished", event.refused
        else:
            record.outcome, record.detail = event.cause, event.detail

    def _record(self, event: Began | Packed, session: int | None, attributes: dict[str, str]) -> Record:
        tenant = self._tenant_of(event.endpoint)
        return Record(tenant, event.endpoint, session, event.at, str(event.peer), attributes)

    def _keep(self, record: Record) -> None:
        client = record.tenant, record.endpoint
        records = self._clients.setdefault(client, deque(maxlen=SESSIONS))
        records.append(record)
        self._clients.move_to_end(client)
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)


def _complete(line: Line, event: Replied | Unanswered) -> None:
    line.answered = event.at
    if isinstance(event, Unanswered):
        line.failure = event.reason
        return
    line.code, line.detail = dotted(event.code), event.detail
    if event.inventory is not None:
        line.instances = tuple(map(str, event.inventory.instances))
