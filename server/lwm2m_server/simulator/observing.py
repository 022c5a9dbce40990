"""Observe relations of a simulated device: when to notify (LwM2M Core 1.2, 7.3.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import Value
from lwm2m_server.simulator.service import Service
from lwm2m_server.simulator.tree import Tree

CONDITIONS = ("gt", "lt", "st")
MAX_SEQUENCE = 1 << 24


@attrs.define(slots=True)
class _Relation:
    token: bytes
    paths: tuple[Path, ...]
    composite: bool
    accept: int | None
    sequence: int = 0
    sent_at: float = 0.0
    value: Value | None = None
    """The number notified last, where a threshold needs it."""
    timer: asyncio.TimerHandle | None = None
    due: float = 0.0


class Relations:
    """The relations of one device; ``notify(token, reply, confirmable)`` sends."""

    def __init__(
        self, tree: Tree, service: Service, notify: Callable[[bytes, CoapReply, bool | None], None]
    ) -> None:
        self._tree = tree
        self._service = service
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._relations: dict[bytes, _Relation] = {}

    def __len__(self) -> int:
        return len(self._relations)

    def covers(self, path: Path) -> bool:
        """True if a server watches this path."""
        return any(path.startswith(watched) for one in self._relations.values() for watched in one.paths)

    def begin(self, token: bytes, request: CoapRequest) -> CoapReply:
        """The first answer; raises what reading raises."""
        relation = _Relation(token, self._service.paths(request), request.code == Code.FETCH, request.accept)
        if token in self._relations:
            # The same entry, asked for again (RFC 7641, 4.1): what is newer has to have a higher number.
            relation.sequence = self._relations[token].sequence
        reply = self._represent(relation)
        self.end(token)
        self._relations[token] = relation
        return self._sent(relation, reply)

    def end(self, token: bytes) -> None:
        relation = self._relations.pop(token, None)
        if relation is not None and relation.timer is not None:
            relation.timer.cancel()

    def end_all(self) -> None:
        for token in list(self._relations):
            self.end(token)

    def changed(self, paths: Sequence[Path]) -> None:
        """These paths have new values, new attributes, or are gone."""
        for relation in list(self._relations.values()):
            touched = any(
                path.startswith(watched) or watched.startswith(path)
                for path in paths
                for watched in relation.paths
            )
            if touched and self._is_worth_it(relation):
                self._arm(relation, relation.sent_at + self._seconds(relation, "pmin", 0.0))
            elif touched:
                self._await_maximum(relation)

    def _is_worth_it(self, relation: _Relation) -> bool:
        attributes = self._attributes(relation)
        if not any(name in attributes for name in CONDITIONS):
            return True
        new, old = self._number(relation), relation.value
        if new is None or not isinstance(old, (int, float)):
            return True
        if "st" in attributes and abs(new - old) >= float(attributes["st"]):
            return True
        limits = [float(attributes[name]) for name in ("gt", "lt") if name in attributes]
        return any((old > limit) != (new > limit) for limit in limits)

    def _attributes(self, relation: _Relation) -> dict[str, str]:
        return {} if relation.composite else self._tree.effective(relation.paths[0])

    def _seconds(self, relation: _Relation, name: str, default: float) -> float:
        value = self._attributes(relation).get(name)
        return default if value is None else float(value)

    def _number(self, relation: _Relation) -> float | None:
        entries = self._entries(relation)
        value = entries[0].value if len(entries) == 1 else None
        return value if isinstance(value, (int, float)) else None

    def _entries(self, relation: _Relation) -> list[Entry]:
        if relation.composite:
            return self._service.collect(relation.paths)
        try:
            return self._tree.read(relation.paths[0])
        except RequestError:
            return []

    # --- timing ---

    def _arm(self, relation: _Relation, due: float) -> None:
        """Notify at ``due``, or at once if that is past; an earlier time stands."""
        if relation.timer is not None and not relation.timer.cancelled():
            if relation.due <= due:
                return
            relation.timer.cancel()
        relation.due = due
        relation.timer = self._loop.call_at(max(due, self._loop.time()), self._fire, relation)

    def _await_maximum(self, relation: _Relation) -> None:
        maximum = self._seconds(relation, "pmax", 0.0)
        if maximum > 0:
            self._arm(relation, relation.sent_at + maximum)

    def _fire(self, relation: _Relation) -> None:
        relation.timer = None
        try:
            reply = self._represent(relation)
        except RequestError as error:
            self.end(relation.token)
            self._notify(relation.token, CoapReply(error.code), True)
            return
        confirm = self._attributes(relation).get("con")
        self._notify(relation.token, self._sent(relation, reply), None if confirm is None else confirm == "1")

    def _represent(self, relation: _Relation) -> CoapReply:
        if relation.composite:
            return self._service.represent(self._service.collect(relation.paths), ROOT, relation.accept)
        path = relation.paths[0]
        return self._service.represent(self._tree.read(path), path, relation.accept)

    def _sent(self, relation: _Relation, reply: CoapReply) -> CoapReply:
        relation.sent_at = self._loop.time()
        relation.value = self._number(relation)
        sequence = relation.sequence
        relation.sequence = (sequence + 1) % MAX_SEQUENCE
        self._await_maximum(relation)
        return attrs.evolve(reply, observe=sequence)
