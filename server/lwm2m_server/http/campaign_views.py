"""Campaigns as JSON: what they are to do, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from lwm2m_server.http.devices import milliseconds
from lwm2m_server.store.campaigns import CampaignDevice
from lwm2m_server.store.definitions import Campaign
from lwm2m_server.store.transaction import Reader
from lwm2m_server.store.updates import UpdateRow
from lwm2m_server.updates.campaign_definition import Definition
from lwm2m_server.updates.campaign_document import document_of
from lwm2m_server.updates.campaign_plan import DeviceState, Run, Tally
from lwm2m_server.updates.campaign_runner import tally_of
from lwm2m_server.updates.records import from_row

REASONS: Final = 20
"""Of failures, the most frequent."""
DRAFT: Final = "draft"


@attrs.frozen(slots=True)
class Facts:
    """What the ledger says of a campaign."""

    tally: Tally
    updates: Mapping[str, int]
    failures: list[tuple[str | None, int]]

    @classmethod
    def of(cls, reader: Reader, tenant: str, name: str) -> Facts:
        return cls(
            tally_of(reader, (tenant, name)),
            reader.update_states_in_campaign(tenant, name),
            list(reader.failures_in_campaign(tenant, name, REASONS)),
        )


def shown(definition: Definition, run: Run | None, facts: Facts) -> dict[str, Any]:
    """All but whose it is, and its name."""
    return {
        "state": DRAFT if run is None else run.state.value,
        "reason": None if run is None else run.reason,
        "definition": document_of(definition),
        **_times(run),
        "total": sum(run.sizes) if run is not None and run.sizes else None,
        "progress": _progress(run, facts.tally),
        "counts": _counts(facts.tally),
        "updates": dict(facts.updates),
        "awaitingApproval": sum(facts.tally.parked.values()),
        "wave": run.wave + 1 if run is not None and run.sizes else None,
        "waves": [] if run is None else _waves(definition, run, facts.tally),
        "failures": [{"reason": reason, "count": count} for reason, count in facts.failures],
        "history": [] if run is None else _history(run),
    }


def row_of(campaign: Campaign, run: Run | None) -> dict[str, Any]:
    """One line of a list."""
    return {
        "name": campaign.name,
        "package": campaign.document["package"],
        "state": DRAFT if run is None else run.state.value,
        "reason": None if run is None else run.reason,
        "total": sum(run.sizes) if run is not None and run.sizes else None,
        "startedAt": milliseconds(None if run is None else run.started_at),
        "endedAt": milliseconds(None if run is None else run.ended_at),
    }


def _times(run: Run | None) -> dict[str, int | None]:
    names = ("started_at", "changed_at", "ended_at", "expires_at")
    shown = ("startedAt", "changedAt", "endedAt", "expiresAt")
    return {
        label: None if run is None else milliseconds(getattr(run, name))
        for label, name in zip(shown, names, strict=True)
    }


def _progress(run: Run | None, tally: Tally) -> float:
    total = 0 if run is None else sum(run.sizes)
    if total == 0:
        return 1.0 if run is not None and run.state.is_final else 0.0
    return (total - tally.open) / total


def _counts(tally: Tally, wave: int | None = None) -> dict[str, int]:
    return {state.value: tally.of(state, wave=wave) for state in DeviceState}


def _waves(definition: Definition, run: Run, tally: Tally) -> list[dict[str, Any]]:
    return [
        {
            "wave": number + 1,
            "size": size,
            "approved": run.allows(definition.approval, number),
            "awaitingApproval": tally.parked.get(number, 0),
            "counts": _counts(tally, number),
        }
        for number, size in enumerate(run.sizes)
    ]


def _history(run: Run) -> list[dict[str, Any]]:
    return [
        {"at": milliseconds(mark.at), "state": mark.state.value, "reason": mark.reason}
        for mark in run.history
    ]


def page(
    reader: Reader, tenant: str, name: str, *, state: str | None, after: int, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    found = reader.campaign_devices(tenant, name, state=state, after=after, limit=limit + 1)
    rows = [_member(device, row) for device, row in found[:limit]]
    return rows, found[limit - 1][0].id if len(found) > limit else None


def _member(device: CampaignDevice, row: UpdateRow | None) -> dict[str, Any]:
    return {
        "device": device.name,
        "wave": device.wave + 1,
        "state": device.state,
        "reason": device.reason,
        "changedAt": milliseconds(device.changed_at),
        "update": None if row is None else _update(row),
    }


def _update(row: UpdateRow) -> dict[str, Any]:
    update = from_row(row)
    return {
        "id": update.id,
        "state": update.state.value,
        "progress": update.progress,
        "reason": update.reason,
        "attempts": update.course.attempts,
    }
