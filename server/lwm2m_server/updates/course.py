"""``Plan`` and ``Course``: what an update of one device is to do, and how far it is."""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs

from lwm2m_server.updates.objects import OBJECTS, UpdateObject


class State(Enum):
    """Of the update of one device, as people see it."""

    QUEUED = "queued"
    """Not begun, or to be tried again."""
    OFFERED = "offered"
    """The device was told where the package is."""
    TRANSFERRING = "transferring"
    DOWNLOADED = "downloaded"
    """The device has the package, and may not install it yet."""
    AWAITING_APPROVAL = "awaiting-approval"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
BEGUN: Final = frozenset({State.INSTALLING, State.REBOOTING, State.VERIFYING})
"""The installation cannot be called back."""


class Action(Enum):
    """What is asked of a device; one at a time."""

    SURVEY = "survey"
    """Read the Object Instance, and which version runs."""
    RESET = "reset"
    """Back to idle: what was downloaded is dropped."""
    REMOVE = "remove"
    """The former version of a software, for the sake of the new one."""
    OFFER = "offer"
    """Write the URI."""
    PUSH = "push"
    """Write the package."""
    INSTALL = "install"
    ACTIVATE = "activate"


@attrs.frozen(slots=True)
class Patience:
    """Seconds."""

    poll: float = 300.0
    """Between two looks at a device that does not tell by itself."""
    away: float = 3600.0
    """Between two looks whether a device that is not registered is there still."""
    soon: float = 5.0
    """After the last piece of a download was fetched."""
    stall: float = 3600.0
    """Without any progress of a download, until it is given up."""
    install: float = 3600.0
    """From the order to install until the device is back."""
    settle: float = 120.0
    """From a success until the version must be the new one."""
    retry: float = 60.0
    """Before the second attempt; four times as long before each one after."""
    longest_retry: float = 3600.0


USUAL: Final = Patience()


@attrs.frozen(slots=True)
class Plan:
    """What does not change while a device is updated."""

    object: int
    title: str
    version: str
    ways: tuple[str, ...] = ("push",)
    """``push`` or ``pull``; the next one is for a device that does not support the first."""
    comparison: str = "exact"
    source: str = "auto"
    """Where the version that runs is read: ``package`` (PkgName and PkgVersion), ``device`` (what the device
    or the component says itself), or ``auto``: either of them."""
    needs_approval: bool = False
    install_after: float | None = None
    """Seconds since 1970-01-01 UTC."""
    is_forced: bool = False
    """Also if the version runs already."""
    activates: bool = True
    """Software: once it is installed."""
    attempts: int = 3
    patience: Patience = USUAL

    @property
    def at(self) -> UpdateObject:
        return OBJECTS[self.object]


@attrs.frozen(slots=True)
class Course:
    """How far the update of a device is. Times are seconds since 1970-01-01 UTC."""

    state: State = State.QUEUED
    doing: Action | None = None
    """Asked of the device, with the answer to come."""
    reason: str | None = None
    """Why it is where it is."""
    due: float | None = None
    """When to look at it again, if nothing happens before."""
    alive: float = 0.0
    """The last sign of progress in its state."""
    attempts: int = 0
    """That have failed."""
    way: int = 0
    """Which of the ways is taken."""
    retry_at: float | None = None
    was_reset: bool = False
    """In this attempt."""
    was_delivered: bool = False
    """The device has taken the package, or the URI."""
    problem: str | None = None
    """What went wrong with the last request; what the device says of it counts more."""
    stale: int | None = None
    """The result of another update, that the device kept when it was asked to forget it."""
    package: str | None = None
    """What the device called the package when it had all of it."""
    before: str | None = None
    """The version that ran when it began."""
    installs: int = 0
    """Orders to install."""
    is_approved: bool = False
    is_cancelled: bool = False
    is_deferred: bool = False
    is_settling: bool = False
    """The device reported success, but not the version yet."""
    was_activated: bool = False
    transferred: int = 0
    """Bytes."""
