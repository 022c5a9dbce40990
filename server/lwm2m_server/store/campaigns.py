"""Rows of campaigns: how far each is, and which devices are in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from lwm2m_server.store.documents import dumps, loads
from lwm2m_server.store.updates import UpdateRow

VERSION_8: Final = """
CREATE TABLE campaign_run (
    tenant TEXT NOT NULL, campaign TEXT NOT NULL, is_open INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (tenant, campaign)
) WITHOUT ROWID;
CREATE TABLE campaign_device (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, campaign TEXT NOT NULL, node INTEGER NOT NULL,
    name TEXT NOT NULL, wave INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT, update_id INTEGER,
    changed_at REAL NOT NULL
);
CREATE UNIQUE INDEX campaign_device_node ON campaign_device (node, tenant, campaign);
CREATE INDEX campaign_device_state ON campaign_device (tenant, campaign, state, wave);
"""
REMOVED: Final = """UPDATE campaign_device SET state = 'cancelled', reason = 'the device was removed'
    WHERE node = ? AND state IN ('waiting', 'active')"""
"""For a device that goes."""

_MEMBER = "m.id, m.node, m.name, m.wave, m.state, m.reason, m.update_id, m.changed_at"
_UPDATE = "u.id, u.tenant, u.node, u.package, u.campaign, u.state, u.is_open, u.document"
_OF = "m.tenant = ? AND m.campaign = ?"
_IS_PARKED = """u.state = 'awaiting-approval' AND json_extract(u.document, '$.course.is_approved') IS NULL"""
_WAITING = f"""SELECT {_MEMBER} FROM campaign_device m JOIN device d ON d.node = m.node
    WHERE {_OF} AND m.state = 'waiting' AND m.wave <= ? AND d.registration IS NOT NULL
    ORDER BY m.wave, m.id LIMIT ?"""  # noqa: S608
_ACTIVE = f"""SELECT {_MEMBER}, {_UPDATE} FROM campaign_device m LEFT JOIN device_update u
    ON u.id = m.update_id WHERE {_OF} AND m.state = 'active'"""  # noqa: S608
_PAGE = f"""SELECT {_MEMBER}, {_UPDATE} FROM campaign_device m LEFT JOIN device_update u
    ON u.id = m.update_id WHERE {_OF}"""  # noqa: S608
_COUNT = "SELECT m.wave, m.state, count(*) FROM campaign_device m WHERE m.tenant = ? AND m.campaign = ?"
_PARKED = f"""SELECT m.wave, count(*) FROM campaign_device m JOIN device_update u ON u.id = m.update_id
    WHERE {_OF} AND m.state = 'active' AND {_IS_PARKED} GROUP BY m.wave"""  # noqa: S608
_STATES = f"""SELECT u.state, count(*) FROM campaign_device m JOIN device_update u ON u.id = m.update_id
    WHERE {_OF} AND m.state = 'active' GROUP BY u.state"""  # noqa: S608
_REASONS = f"""SELECT m.reason, count(*) FROM campaign_device m WHERE {_OF} AND m.state = 'failed'
    GROUP BY m.reason ORDER BY count(*) DESC, m.reason LIMIT ?"""  # noqa: S608


@attrs.frozen(slots=True)
class CampaignDevice:
    """A device in a campaign. ``changed_at`` is seconds since 1970-01-01 UTC."""

    node: int
    name: str
    wave: int
    state: str
    changed_at: float
    reason: str | None = None
    update: int | None = None
    id: int = 0
    """Given by the store."""


class CampaignReads(Protocol):
    """The part of a ``Reader`` that is about campaigns."""

    def campaign_run(self, tenant: str, campaign: str) -> Mapping[str, Any] | None: ...
    def campaign_runs(self, *, is_open: bool | None = None) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        """Tenant, campaign, and what is known of it."""
        ...

    def count_campaign(self, tenant: str, campaign: str) -> Mapping[tuple[int, str], int]:
        """By wave and state."""
        ...

    def parked_in_campaign(self, tenant: str, campaign: str) -> Mapping[int, int]:
        """By wave: those whose update waits for an approval."""
        ...

    def update_states_in_campaign(self, tenant: str, campaign: str) -> Mapping[str, int]:
        """Of updates that are under way."""
        ...

    def failures_in_campaign(
        self, tenant: str, campaign: str, limit: int
    ) -> Sequence[tuple[str | None, int]]:
        """Reasons, the most frequent first."""
        ...

    def waiting_in_campaign(
        self, tenant: str, campaign: str, *, wave: int, limit: int
    ) -> Sequence[CampaignDevice]:
        """Those that are registered, up to a wave."""
        ...

    def active_in_campaign(
        self, tenant: str, campaign: str, *, after: int = 0, limit: int, over: bool = False
    ) -> Sequence[tuple[CampaignDevice, UpdateRow | None]]:
        """With their updates; with ``over`` only those whose update is over, or gone."""
        ...

    def parked_devices(
        self, tenant: str, campaign: str, waves: Sequence[int], limit: int
    ) -> Sequence[tuple[CampaignDevice, UpdateRow | None]]:
        """Those whose update waits for an approval."""
        ...

    def campaign_devices(
        self, tenant: str, campaign: str, *, state: str | None, after: int = 0, limit: int
    ) -> Sequence[tuple[CampaignDevice, UpdateRow | None]]:
        """In the order in which their turn comes."""
        ...


class CampaignWrites(CampaignReads, Protocol):
    """The part of a ``Transaction`` that is about campaigns."""

    def put_campaign_run(
        self, tenant: str, campaign: str, document: Mapping[str, Any], *, is_open: bool
    ) -> None: ...
    def add_campaign_devices(self, tenant: str, campaign: str, devices: Iterable[CampaignDevice]) -> None:
        """Those that are in it already stay as they are."""
        ...

    def put_campaign_device(self, tenant: str, campaign: str, device: CampaignDevice) -> None:
        """Nothing, if it is not in it."""
        ...

    def cancel_waiting(self, tenant: str, campaign: str, reason: str | None, at: float, limit: int) -> int:
        """How many were."""
        ...

    def renew_failed(self, tenant: str, campaign: str, at: float, limit: int) -> int:
        """They wait again; how many were."""
        ...

    def remove_campaign_devices(self, tenant: str, campaign: str, limit: int) -> int:
        """How many were."""
        ...

    def remove_campaign_run(self, tenant: str, campaign: str) -> None: ...


class CampaignReader:
    """``CampaignReads`` in the ledger."""

    _execute: Callable[..., sqlite3.Cursor]

    def campaign_run(self, tenant: str, campaign: str) -> Mapping[str, Any] | None:
        query = "SELECT document FROM campaign_run WHERE tenant = ? AND campaign = ?"
        row = self._execute(query, (tenant, campaign)).fetchone()
        return loads(row[0]) if row else None

    def campaign_runs(self, *, is_open: bool | None = None) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        query = "SELECT tenant, campaign, document FROM campaign_run WHERE coalesce(is_open = ?, 1)"
        return [(tenant, name, loads(text)) for tenant, name, text in self._execute(query, (is_open,))]

    def count_campaign(self, tenant: str, campaign: str) -> Mapping[tuple[int, str], int]:
        rows = self._execute(f"{_COUNT} GROUP BY m.state, m.wave", (tenant, campaign))
        return {(wave, state): count for wave, state, count in rows}

    def parked_in_campaign(self, tenant: str, campaign: str) -> Mapping[int, int]:
        return dict(self._execute(_PARKED, (tenant, campaign)).fetchall())

    def update_states_in_campaign(self, tenant: str, campaign: str) -> Mapping[str, int]:
        return dict(self._execute(_STATES, (tenant, campaign)).fetchall())

    def failures_in_campaign(
        self, tenant: str, campaign: str, limit: int
    ) -> Sequence[tuple[str | None, int]]:
        return self._execute(_REASONS, (tenant, campaign, limit)).fetchall()

    def waiting_in_campaign(
        self, tenant: str, campaign: str, *, wave: int, limit: int
    ) -> Sequence[CampaignDevice]:
        return [_member(row) for row in self._execute(_WAITING, (tenant, campaign, wave, limit))]

    def active_in_campaign(
        self, tenant: str, campaign: str, *, after: int = 0, limit: int, over: bool = False
    ) -> Sequence[tuple[CampaignDevice, UpdateRow | None]]:
        where = "AND (u.id IS NULL OR u.is_open = 0)" if over else ""
        query = f"{_ACTIVE} {where} AND m.id > ? ORDER BY m.id LIMIT ?"
        return [_both(row) for row in self._execute(query, (tenant, campaign, after, limit))]

    def parked_devices(
        self, tenant: str, campaign: str, waves: Sequence[int], limit: int
    ) -> Sequence[tuple[CampaignDevice, UpdateRow | None]]:
        marks = ", ".join("?" * len(waves))
        query = f"{_ACTIVE} AND {_IS_PARKED} AND m.wave IN ({marks}) ORDER BY m.wave, m.id LIMIT ?"
        return [_both(row) for row in self._execute(query, (tenant, campaign, *waves, limit))]

    def campaign_devices(
        self, tenant: str, campaign: str, *, state: str | None, after: int = 0, limit: int
    ) -> Sequence[tuple[CampaignDevice, UpdateRow | None]]:
        where, wanted = ("", ()) if state is None else ("AND m.state = ?", (state,))
        query = f"{_PAGE} {where} AND m.id > ? ORDER BY m.id LIMIT ?"
        return [_both(row) for row in self._execute(query, (tenant, campaign, *wanted, after, limit))]


class CampaignWriter(CampaignReader):
    """``CampaignWrites`` in the ledger."""

    def put_campaign_run(
        self, tenant: str, campaign: str, document: Mapping[str, Any], *, is_open: bool
    ) -> None:
        self._execute(
            "INSERT OR REPLACE INTO campaign_run VALUES (?, ?, ?, ?)",
            (tenant, campaign, is_open, dumps(dict(document))),
        )

    def add_campaign_devices(self, tenant: str, campaign: str, devices: Iterable[CampaignDevice]) -> None:
        for one in devices:
            self._execute(
                "INSERT OR IGNORE INTO campaign_device VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (tenant, campaign, *_values(one)),
            )

    def put_campaign_device(self, tenant: str, campaign: str, device: CampaignDevice) -> None:
        node, name, wave, *rest = _values(device)
        self._execute(
            """UPDATE campaign_device SET name = ?, wave = ?, state = ?, reason = ?, update_id = ?,
                changed_at = ? WHERE node = ? AND tenant = ? AND campaign = ?""",
            (name, wave, *rest, node, tenant, campaign),
        )

    def cancel_waiting(self, tenant: str, campaign: str, reason: str | None, at: float, limit: int) -> int:
        return self._execute(
            """UPDATE campaign_device SET state = 'cancelled', reason = ?, changed_at = ? WHERE id IN (
                SELECT id FROM campaign_device WHERE tenant = ? AND campaign = ? AND state = 'waiting'
                LIMIT ?)""",
            (reason, at, tenant, campaign, limit),
        ).rowcount

    def renew_failed(self, tenant: str, campaign: str, at: float, limit: int) -> int:
        return self._execute(
            """UPDATE campaign_device SET state = 'waiting', reason = NULL, update_id = NULL, changed_at = ?
                WHERE id IN (SELECT id FROM campaign_device WHERE tenant = ? AND campaign = ?
                AND state = 'failed' LIMIT ?)""",
            (at, tenant, campaign, limit),
        ).rowcount

    def remove_campaign_devices(self, tenant: str, campaign: str, limit: int) -> int:
        return self._execute(
            """DELETE FROM campaign_device WHERE id IN (SELECT id FROM campaign_device
                WHERE tenant = ? AND campaign = ? LIMIT ?)""",
            (tenant, campaign, limit),
        ).rowcount

    def remove_campaign_run(self, tenant: str, campaign: str) -> None:
        self._execute("DELETE FROM campaign_run WHERE tenant = ? AND campaign = ?", (tenant, campaign))


def _values(device: CampaignDevice) -> tuple[Any, ...]:
    return (
        device.node,
        device.name,
        device.wave,
        device.state,
        device.reason,
        device.update,
        device.changed_at,
    )


def _member(row: tuple[Any, ...]) -> CampaignDevice:
    id, node, name, wave, state, reason, update, changed_at = row[:8]
    return CampaignDevice(node, name, wave, state, changed_at, reason, update, id)


def _both(row: tuple[Any, ...]) -> tuple[CampaignDevice, UpdateRow | None]:
    if row[8] is None:
        return _member(row), None
    id, tenant, node, package, campaign, state, is_open, document = row[8:]
    return _member(row), UpdateRow(tenant, node, package, campaign, state, bool(is_open), loads(document), id)
