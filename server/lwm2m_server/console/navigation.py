"""Where one can go: the entries of the menu, in its order."""

from __future__ import annotations

from typing import Final

import attrs

from lwm2m_server.access.callers import Role
from lwm2m_server.console.viewer import Viewer


@attrs.frozen
class Entry:
    """A line of the menu."""

    label: str
    href: str
    icon: str
    """One of ``icons.html``."""
    role: Role = Role.READ
    for_system: bool = False
    """Whether the role system sees it too."""
    count: str = ""
    """The address of a number that stands behind it, if there is one."""


SECTIONS: Final[tuple[tuple[str, tuple[Entry, ...]], ...]] = (
    (
        "",
        (
            Entry("Overview", "/console/", "home", for_system=True),
            Entry("Devices", "/console/devices", "device"),
            Entry("Enrolment", "/console/enrolment", "enrol"),
            Entry(
                "Problems",
                "/console/problems",
                "problem",
                for_system=True,
                count="/console/problems/count",
            ),
        ),
    ),
    (
        "Updating",
        (
            Entry("Packages", "/console/packages", "package"),
            Entry("Campaigns", "/console/campaigns", "campaign"),
            Entry("Updates", "/console/updates", "up"),
        ),
    ),
    (
        "Definitions",
        (
            Entry("Profiles", "/console/profiles", "profile"),
            Entry("Object models", "/console/models", "model", for_system=True),
            Entry("Plugins", "/console/plugins", "plugin", for_system=True),
        ),
    ),
    (
        "Forwarding",
        (
            Entry("Applications", "/console/applications", "application"),
            Entry("Device groups", "/console/groups", "group"),
            Entry("Webhooks", "/console/webhooks", "webhook"),
        ),
    ),
    (
        "Access",
        (
            Entry("API clients", "/console/clients", "key", Role.ADMIN, for_system=True),
            Entry("Audit log", "/console/audit", "log", Role.ADMIN, for_system=True),
        ),
    ),
)
"""With their headings."""


def menu(viewer: Viewer) -> list[tuple[str, list[Entry]]]:
    """What this viewer sees."""
    shown = [(heading, [one for one in entries if _sees(viewer, one)]) for heading, entries in SECTIONS]
    return [(heading, entries) for heading, entries in shown if entries]


def _sees(viewer: Viewer, entry: Entry) -> bool:
    return viewer.may(entry.role) or (entry.for_system and viewer.is_system)
