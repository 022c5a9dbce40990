"""Rows of RPCs: what was asked of a device through ``/api/v1``, and what came of it.

An RPC that waits has *errands*: the messages in ``outgoing-msg`` that stand for it. One that failed and will
be tried again has none; it has a time when it is sent anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from lwm2m_server.store.documents import dumps, loads
from lwm2m_server.store.ids import uuid_name

VERSION_8: Final = """
CREATE TABLE rpc (
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL, state TEXT NOT NULL, document TEXT NOT NULL,
    retry_at REAL, finished_at REAL
);
CREATE INDEX rpc_node ON rpc (node);
CREATE INDEX rpc_retry ON rpc (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX rpc_finished ON rpc (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE errand (message INTEGER PRIMARY KEY, rpc INTEGER NOT NULL);
CREATE INDEX errand_rpc ON errand (rpc);
"""

DELETE_OF_NODE: Final = (
    "DELETE FROM errand WHERE rpc IN (SELECT id FROM rpc WHERE node = ?)",
    "DELETE FROM rpc WHERE node = ?",
)

State: TypeAlias = Literal[
    "QUEUED", "SENT", "DELIVERED", "SUCCESSFUL", "FAILED", "TIMEOUT", "EXPIRED", "CANCELLED"
]
STATES: Final[tuple[State, ...]] = (
    "QUEUED",
    "SENT",
    "DELIVERED",
    "SUCCESSFUL",
    "FAILED",
    "TIMEOUT",
    "EXPIRED",
    "CANCELLED",
)
WAITING: Final[frozenset[State]] = frozenset(("QUEUED", "SENT", "DELIVERED"))
"""Those of an RPC that has no outcome yet."""

_ROW = "SELECT id, node, state, document, retry_at, finished_at FROM rpc"
_PUT = "INSERT OR REPLACE INTO rpc VALUES (?, ?, ?, ?, ?, ?)"
_LOST = """SELECT message, rpc FROM errand WHERE message NOT IN (SELECT id FROM message)
    AND message NOT IN (SELECT message FROM unanswered)"""
_PRUNE = """DELETE FROM rpc WHERE node = ?1 AND finished_at IS NOT NULL AND id <= ifnull((SELECT id FROM rpc
    WHERE node = ?1 AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?2), -1)"""
_FORGET = """DELETE FROM rpc WHERE id IN (SELECT id FROM rpc WHERE finished_at IS NOT NULL
    AND finished_at < ? LIMIT ?)"""


@attrs.frozen(slots=True)
class Rpc:
    """One RPC. Times are seconds since 1970-01-01 UTC."""

    id: int
    """Microseconds since 1970, as that of any row."""
    node: int
    method: str
    state: State
    params: Any
    """As the client sent them."""
    persistent: bool
    one_way: bool
    expires_at: float
    """When it is given up, if it still waits then."""
    retries: int
    """How often it may be sent again still."""
    messages: tuple[str, ...] = ()
    """What it asks, as ``outgoing-msg`` has it: JSON texts."""
    attempts: int = 1
    info: Any = None
    """What the client wants to remember of it."""
    notes: tuple[str, ...] = ()
    """What was tolerated."""
    result: Mapping[str, Any] = attrs.field(factory=dict)
    """Members of the answer."""
    sent_at: float | None = None
    retry_at: float | None = None
    finished_at: float | None = None

    @property
    def name(self) -> str:
        """Its id for clients: a UUID."""
        return uuid_name(self.id)

    @property
    def waits(self) -> bool:
        return self.state in WAITING


class RpcReads(Protocol):
    """The part of the ``Reader`` that is about RPCs."""

    def rpc(self, id: int) -> Rpc | None: ...
    def rpcs(
        self, node: int, *, state: State | None = None, before: int | None = None, limit: int
    ) -> Sequence[Rpc]:
        """Of a device, the newest first, with an id below ``before``."""
        ...

    def errands(self) -> Iterable[tuple[int, int]]:
        """Each message that stands for an RPC, and that RPC."""
        ...

    def errands_of(self, rpc: int) -> Sequence[int]: ...
    def lost_errands(self) -> Sequence[tuple[int, int]]:
        """Those whose messages are nowhere any more."""
        ...

    def retries(self) -> Sequence[tuple[int, int, float]]:
        """RPCs that are to be sent anew, with their node, and when."""
        ...


class RpcWrites(RpcReads, Protocol):
    """The part of the ``Transaction`` that is about RPCs."""

    def put_rpc(self, rpc: Rpc) -> None:
        """Insert or replace."""
        ...

    def add_errands(self, rpc: int, messages: Iterable[int]) -> None: ...
    def remove_errand(self, message: int) -> None: ...
    def remove_rpc(self, id: int) -> None: ...
    def prune_rpcs(self, node: int, keep: int) -> None:
        """Forget all but so many of a device that have an outcome."""
        ...

    def forget_rpcs(self, before: float, limit: int) -> int:
        """Forget up to so many whose outcome is older; returns how many it were."""
        ...


class RpcReader:
    """``RpcReads`` on a connection."""

    _execute: Callable[..., sqlite3.Cursor]

    def rpc(self, id: int) -> Rpc | None:
        row = self._execute(f"{_ROW} WHERE id = ?", (id,)).fetchone()
        return None if row is None else _rpc(row)

    def rpcs(
        self, node: int, *, state: State | None = None, before: int | None = None, limit: int
    ) -> Sequence[Rpc]:
        where: list[str] = ["node = ?"]
        values: list[int | str] = [node]
        if state is not None:
            where.append("state = ?")
            values.append(state)
        if before is not None:
            where.append("id < ?")
            values.append(before)
        query = f"{_ROW} WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
        return [_rpc(row) for row in self._execute(query, (*values, limit)).fetchall()]

    def errands(self) -> Iterable[tuple[int, int]]:
        return self._execute("SELECT message, rpc FROM errand").fetchall()

    def errands_of(self, rpc: int) -> Sequence[int]:
        query = "SELECT message FROM errand WHERE rpc = ? ORDER BY message"
        return [message for (message,) in self._execute(query, (rpc,)).fetchall()]

    def lost_errands(self) -> Sequence[tuple[int, int]]:
        return self._execute(_LOST).fetchall()

    def retries(self) -> Sequence[tuple[int, int, float]]:
        query = "SELECT id, node, retry_at FROM rpc WHERE retry_at IS NOT NULL"
        return self._execute(query).fetchall()


class RpcWriter(RpcReader):
    """``RpcWrites`` on a connection."""

    _connection: sqlite3.Connection

    def put_rpc(self, rpc: Rpc) -> None:
        self._execute(_PUT, (rpc.id, rpc.node, rpc.state, _document(rpc), rpc.retry_at, rpc.finished_at))

    def add_errands(self, rpc: int, messages: Iterable[int]) -> None:
        rows = [(message, rpc) for message in messages]
        self._connection.executemany("INSERT INTO errand VALUES (?, ?)", rows)

    def remove_errand(self, message: int) -> None:
        self._execute("DELETE FROM errand WHERE message = ?", (message,))

    def remove_rpc(self, id: int) -> None:
        self._execute("DELETE FROM errand WHERE rpc = ?", (id,))
        self._execute("DELETE FROM rpc WHERE id = ?", (id,))

    def prune_rpcs(self, node: int, keep: int) -> None:
        self._execute(_PRUNE, (node, keep))

    def forget_rpcs(self, before: float, limit: int) -> int:
        return self._execute(_FORGET, (before, limit)).rowcount


_IN_DOCUMENT = (
    "method",
    "params",
    "persistent",
    "one_way",
    "expires_at",
    "retries",
    "messages",
    "attempts",
    "info",
    "notes",
    "result",
    "sent_at",
)


def _document(rpc: Rpc) -> str:
    return dumps({name: getattr(rpc, name) for name in _IN_DOCUMENT})


def _rpc(row: tuple[Any, ...]) -> Rpc:
    id, node, state, document, retry_at, finished_at = row
    found = loads(document)
    found["messages"], found["notes"] = tuple(found["messages"]), tuple(found["notes"])
    return Rpc(id=id, node=node, state=state, retry_at=retry_at, finished_at=finished_at, **found)
