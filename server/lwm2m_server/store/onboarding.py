"""Rows of onboarding requests and of what device groups lead to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

from lwm2m_server.store.records import OnboardingItem

# A request of thousands of devices is many rows and no large document. ``onboarding`` has those requests
# that are not answered yet.
VERSION_7: Final = """
CREATE TABLE onboarding (request INTEGER PRIMARY KEY);
CREATE TABLE onboarding_item (
    request INTEGER NOT NULL, place INTEGER NOT NULL, short TEXT NOT NULL, long TEXT NOT NULL,
    sealed BLOB, outcome TEXT, PRIMARY KEY (request, place)
) WITHOUT ROWID;
CREATE TABLE route (
    "group" INTEGER NOT NULL, node INTEGER NOT NULL, application INTEGER NOT NULL,
    PRIMARY KEY ("group", node, application)
) WITHOUT ROWID;
CREATE INDEX route_node ON route (node);
"""

_ITEMS = "SELECT request, place, short, long, sealed, outcome FROM onboarding_item"
_PAGE = f"{_ITEMS} WHERE request = ? AND place > ? ORDER BY place LIMIT ?"
_TEXT = {
    False: "SELECT short FROM onboarding_item WHERE request = ? ORDER BY place",
    True: "SELECT long FROM onboarding_item WHERE request = ? ORDER BY place",
}
_AFTER = """SELECT node, application FROM route WHERE "group" = ?1
    AND (node, application) > (?2, ?3) ORDER BY node, application LIMIT ?4"""
_BETWEEN = """SELECT node, application FROM route WHERE "group" = ? AND node BETWEEN ? AND ?"""
_REMOVE = """DELETE FROM onboarding_item WHERE request = ?1
    AND place <= (SELECT min(place) FROM onboarding_item WHERE request = ?1) + ?2"""


class OnboardingReads(Protocol):
    """The part of ``Reader`` that is about onboarding, and what device groups connect."""

    def open_onboardings(self) -> Collection[int]:
        """Onboarding requests that are not answered yet, oldest first."""
        ...

    def onboarding_items(self, request: int, *, after: int = -1, limit: int) -> Sequence[OnboardingItem]:
        """In order, with a place above ``after``."""
        ...

    def onboarding_text(self, request: int, *, long: bool) -> str:
        """JSON of all items, with commas between."""
        ...

    def routes(
        self, group: int, *, after: tuple[int, int] = (-1, -1), limit: int
    ) -> Sequence[tuple[int, int]]:
        """Nodes and applications that a device group connects, in order."""
        ...

    def routes_between(self, group: int, first: int, last: int) -> Collection[tuple[int, int]]:
        """The same of nodes from ``first`` to ``last``."""
        ...

    def groups_of(self, node: int) -> Collection[int]:
        """The device groups that connect a node with any application."""
        ...

    def routed_groups(self) -> Collection[int]:
        """The device groups that connect any, whether they still exist or not."""
        ...


class OnboardingWrites(Protocol):
    """The part of ``Transaction`` that is about it."""

    def open_onboarding(self, request: int) -> None:
        """Items may be put from now on, before the resource or with it."""
        ...

    def close_onboarding(self, request: int) -> None:
        """It is answered."""
        ...

    def put_onboarding_items(self, items: Iterable[OnboardingItem]) -> None: ...
    def settle_onboarding_item(self, item: OnboardingItem, outcome: str) -> None:
        """Remember what came of it and forget its secret."""
        ...

    def remove_onboarding_items(self, request: int, count: int) -> bool:
        """Up to so many of them; False if there were none."""
        ...

    def put_route(self, group: int, node: int, application: int) -> None: ...
    def remove_route(self, group: int, node: int, application: int) -> None: ...


class OnboardingReader:
    """``OnboardingReads`` on a connection."""

    _execute: Callable[..., sqlite3.Cursor]

    def open_onboardings(self) -> Collection[int]:
        return [id for (id,) in self._execute("SELECT request FROM onboarding ORDER BY request").fetchall()]

    def onboarding_items(self, request: int, *, after: int = -1, limit: int) -> Sequence[OnboardingItem]:
        return [OnboardingItem(*row) for row in self._execute(_PAGE, (request, after, limit)).fetchall()]

    def onboarding_text(self, request: int, *, long: bool) -> str:
        return ",".join([text for (text,) in self._execute(_TEXT[long], (request,)).fetchall()])

    def routes(
        self, group: int, *, after: tuple[int, int] = (-1, -1), limit: int
    ) -> Sequence[tuple[int, int]]:
        return self._execute(_AFTER, (group, *after, limit)).fetchall()

    def routes_between(self, group: int, first: int, last: int) -> Collection[tuple[int, int]]:
        return self._execute(_BETWEEN, (group, first, last)).fetchall()

    def groups_of(self, node: int) -> Collection[int]:
        query = 'SELECT DISTINCT "group" FROM route WHERE node = ?'
        return [id for (id,) in self._execute(query, (node,)).fetchall()]

    def routed_groups(self) -> Collection[int]:
        return [id for (id,) in self._execute('SELECT DISTINCT "group" FROM route').fetchall()]


class OnboardingWriter(OnboardingReader):
    """``OnboardingWrites`` on a connection."""

    def open_onboarding(self, request: int) -> None:
        self._execute("INSERT OR IGNORE INTO onboarding VALUES (?)", (request,))

    def close_onboarding(self, request: int) -> None:
        self._execute("DELETE FROM onboarding WHERE request = ?", (request,))

    def put_onboarding_items(self, items: Iterable[OnboardingItem]) -> None:
        for item in items:
            self._execute(
                "INSERT INTO onboarding_item VALUES (?, ?, ?, ?, ?, ?)",
                (item.request, item.place, item.short, item.long, item.sealed, item.outcome),
            )

    def settle_onboarding_item(self, item: OnboardingItem, outcome: str) -> None:
        self._execute(
            "UPDATE onboarding_item SET outcome = ?, sealed = NULL WHERE request = ? AND place = ?",
            (outcome, item.request, item.place),
        )

    def remove_onboarding_items(self, request: int, count: int) -> bool:
        return self._execute(_REMOVE, (request, count - 1)).rowcount > 0

    def put_route(self, group: int, node: int, application: int) -> None:
        self._execute("INSERT OR IGNORE INTO route VALUES (?, ?, ?)", (group, node, application))

    def remove_route(self, group: int, node: int, application: int) -> None:
        self._execute(
            'DELETE FROM route WHERE "group" = ? AND node = ? AND application = ?', (group, node, application)
        )
