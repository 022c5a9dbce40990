"""The form of a campaign, as the API's document and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lwm2m_server.console.forms import Form

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PATTERNS: Final = ("group", "profile", "endpoint", "manufacturer", "model", "version")
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_HOUR: Final = 3600


class BadField(Exception):
    """What was typed says nothing; the text says where and why."""


def definition_of(form: Form) -> dict[str, Any]:
    """Raises ``BadField``; the rest the API says."""
    target: dict[str, Any] = {name: form.text(name) for name in _PATTERNS if form.text(name)}
    devices = re.split(r"[\s,]+", form.text("devices"))
    if any(devices):
        target["devices"] = [name for name in devices if name]
    if not target and not form.flag("everything"):
        raise BadField("Which devices: choose a group or a profile, name some, or tick all devices.")
    found: dict[str, Any] = {
        "description": form.text("description") or None,
        "package": form.text("package"),
        "target": target or {"endpoint": "*"},
        "waves": _waves(form),
        "maxInProgress": _number(form, "maxInProgress", "At a time"),
        "failureThreshold": _threshold(form),
        "approval": form.text("approval") or None,
        "window": _window(form),
        "deviceTimeout": _hours(form),
        "attempts": _number(form, "attempts", "Attempts"),
        "method": form.text("method") or None,
        "force": form.flag("force") or None,
        "startAt": _moment(form, "startAt", "Start"),
        "expiresAt": _moment(form, "expiresAt", "Ends"),
    }
    return {name: value for name, value in found.items() if value is not None}


def values_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the fields for a definition."""
    target, window, threshold = definition["target"], definition["window"], definition["failureThreshold"]
    waves = [one for one in definition["waves"] if "count" in one or "percent" in one]
    values: dict[str, Any] = {name: target.get(name) for name in _PATTERNS}
    values |= {
        name: definition[name] for name in ("description", "package", "maxInProgress", "approval", "attempts")
    }
    values |= {
        "devices": "\n".join(target.get("devices") or ()),
        "waves": ", ".join(_told(one) for one in waves),
        "completed": f"{waves[0].get('completed', 100):g}" if waves else "",
        "failures": _told(threshold) if threshold else "",
        "onFailures": (threshold or {}).get("action"),
        "atLeast": (threshold or {}).get("atLeast"),
        "deviceTimeout": f"{definition['deviceTimeout'] / _HOUR:g}",
        "method": definition["method"],
        "force": definition["force"],
        "startAt": _shown(definition.get("startAt")),
        "expiresAt": _shown(definition.get("expiresAt")),
    }
    if window:
        values |= {name: window.get(name) for name in ("from", "to", "zone", "days", "covers")}
    return values


def _waves(form: Form) -> list[dict[str, float]] | None:
    completed = _number(form, "completed", "Next wave after")
    more = {} if completed is None else {"completed": float(completed)}
    return [{**_share(text, "Waves"), **more} for text in _parts(form.text("waves"))] or None


def _parts(text: str) -> list[str]:
    return [one for one in re.split(r"[,;\s]+", re.sub(r"\s+%", "%", text)) if one]


def _share(text: str, label: str) -> dict[str, float]:
    """``10%`` or ``10``. Raises ``BadField``."""
    found = _SHARE.fullmatch(text)
    if found is None or ("." in found[1] and not found[2]):
        raise BadField(f"{label}: {text[:40]!r} is neither a number of devices nor a share as 10%.")
    return {"percent": float(found[1])} if found[2] else {"count": int(found[1])}


def _told(share: Mapping[str, Any]) -> str:
    return f"{share['percent']:g}%" if share.get("percent") else str(share["count"])


def _number(form: Form, name: str, label: str) -> int | None:
    text = form.text(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadField(f"{label}: {text[:40]!r} is no number.")
    return int(text)


def _threshold(form: Form) -> dict[str, Any] | None:
    if not form.text("failures"):
        return None
    found: dict[str, Any] = _share(form.text("failures").replace(" ", ""), "Stop when so many fail")
    found["action"] = form.text("onFailures") or "pause"
    least = _number(form, "atLeast", "Percentages count from")
    return found if least is None else {**found, "atLeast": least}


def _window(form: Form) -> dict[str, Any] | None:
    begin, end = form.text("from"), form.text("to")
    if not begin and not end:
        return None
    if not begin or not end:
        raise BadField("Window: from and to are due.")
    found: dict[str, Any] = {"from": begin, "to": end, "covers": form.text("covers") or "install"}
    days = [day for day in form.all("days") if day in DAYS]
    more = {"days": days, "zone": form.text("zone")}
    return found | {name: value for name, value in more.items() if value}


def _hours(form: Form) -> float | None:
    text = form.text("deviceTimeout")
    try:
        return float(text) * _HOUR if text else None
    except ValueError as error:
        raise BadField(f"Time for a device: {text[:40]!r} is no number of hours.") from error


def _moment(form: Form, name: str, label: str) -> int | None:
    """Milliseconds, of a UTC time as browsers send it."""
    text = form.text(name)
    try:
        return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) if text else None
    except (ValueError, OverflowError) as error:
        raise BadField(f"{label}: {text[:40]!r} is no time.") from error


def _shown(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M}"
