"""``PowerSaving`` as JSON: ``{"awakeWindow": …, "psm": {…}, "edrx": {…}}``. Times are seconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs

from lwm2m_engine.engine.records import PowerSaving
from lwm2m_server.http.problems import Problem

LONGEST: Final = 31 * 320 * 3600
"""What the timers of 3GPP can say at most (TS 24.008, 10.5.7.4a): 31 times 320 hours."""


def power_to_json(power: PowerSaving | None) -> dict[str, Any] | None:
    """``None`` for a device that has nothing of its own."""
    if power is None:
        return None
    psm, edrx = None, None
    if power.psm:
        psm = {"activeTimer": power.awake_window, "tau": power.tau}
    elif power.edrx_cycle is not None:
        edrx = {"cycle": power.edrx_cycle, "pagingTimeWindow": power.paging_window}
    return {"awakeWindow": None if power.psm else power.awake_window, "psm": psm, "edrx": edrx}


def power_from_json(document: object) -> PowerSaving | None:
    """The other way round; ``None`` if nothing is set. Raises ``Problem`` naming what is wrong."""
    members = _members("the body", document, ("awakeWindow", "psm", "edrx"))
    window, psm, edrx = _seconds(members, "awakeWindow"), members.get("psm"), members.get("edrx")
    if psm is not None and edrx is not None:
        raise _wrong("edrx", "a device has psm or edrx, not both")
    if psm is not None:
        if window is not None:
            raise _wrong("awakeWindow", "with psm it is psm.activeTimer that says so")
        return _psm(_members("psm", psm, ("activeTimer", "tau")))
    if edrx is not None:
        return attrs.evolve(_edrx(_members("edrx", edrx, ("cycle", "pagingTimeWindow"))), awake_window=window)
    return PowerSaving(window) if window is not None else None


def _psm(members: Mapping[str, Any]) -> PowerSaving:
    active, tau = _seconds(members, "activeTimer", "psm."), _seconds(members, "tau", "psm.")
    if active is not None and tau is not None and tau <= active:
        raise _wrong("psm.tau", f"{tau:g} s is not longer than psm.activeTimer")
    return PowerSaving(active, psm=True, tau=tau)


def _edrx(members: Mapping[str, Any]) -> PowerSaving:
    cycle, window = _seconds(members, "cycle", "edrx."), _seconds(members, "pagingTimeWindow", "edrx.")
    if cycle is None:
        raise _wrong("edrx.cycle", "is missing")
    power = PowerSaving(edrx_cycle=cycle)
    power = power if window is None else attrs.evolve(power, paging_window=window)
    if power.paging_window > cycle:
        raise _wrong("edrx.pagingTimeWindow", f"{power.paging_window:g} s is longer than edrx.cycle")
    return power


def _members(name: str, found: object, known: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise _wrong(name, f"is no object with {', '.join(known)}")
    for member in found:
        if member not in known:
            raise _wrong(name, f"{member[:40]!r} is none of {', '.join(known)}")
    return found


def _seconds(members: Mapping[str, Any], name: str, before: str = "") -> float | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(before + name, "is not a number of seconds")
    if not 0 < value <= LONGEST:
        raise _wrong(before + name, f"is not between 0 and {LONGEST} seconds")
    return float(value)


def _wrong(name: str, reason: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, f"{name}: {reason}")
