"""``BootstrapConfig``: what one client is to have after its bootstrap, and how it gets there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from lwm2m_engine.entries import Entry
from lwm2m_engine.messages.bootstrap import Finish
from lwm2m_engine.messages.requests import Delete, Discover, Read, Write
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path

SECURITY, SERVER, ACCESS_CONTROL, APN, OSCORE = 0, 1, 2, 11, 21
"""OMA objects that are written at bootstrap."""

Command: TypeAlias = Discover | Delete | Write | Read | Finish
"""What a bootstrap server asks of a client (LwM2M Core 1.2, 6.1.7)."""


@attrs.frozen(slots=True)
class BootstrapConfig:
    """For one client, with everything filled in."""

    writes: tuple[Write, ...]
    """Object Instances or Resources, in the order they are written."""
    deletes: tuple[Path, ...] = (ROOT,)
    """What goes before. ``/`` leaves the account of the bootstrap server and what a client never deletes."""
    discovers: tuple[Path, ...] = (ROOT,)
    """What the client is asked about first; it may not know how to answer."""
    reads: tuple[Path, ...] = ()
    """What is read before the end, of objects 1 and 2 (LwM2M 1.1)."""
    automatic_ids: bool = True
    """Whether Instances of Security get ids that suit what the client has; else those written down."""
    content_format: int | None = None
    """Goes before what the client prefers."""
    on_failure: Literal["continue", "stop"] = "continue"
    """What becomes of the session when the client refuses a step. It judges the whole at Finish."""
    retries: int = 0
    """How often a step is repeated before it counts as failed."""
    nosec: bool = False
    """Whether the client may come without a security layer."""
    notes: tuple[str, ...] = ()
    """What people should know of it: what was asked for and is not written, and why."""
    models: ModelView | None = attrs.field(default=None, eq=False, repr=False)
    """What it is written with; ``None`` for the models of the bootstrap server."""


@attrs.frozen(slots=True)
class Account:
    """An Instance of Security (object 0), as far as it matters which server it is for."""

    write: Write
    is_bootstrap: bool
    short_id: int | None

    @classmethod
    def of(cls, write: Write) -> Account:
        """``write`` is of a whole Instance of object 0."""
        values = values_of(write.entries)
        short_id = values.get(10)
        return cls(write, values.get(1) is True, short_id if isinstance(short_id, int) else None)


def accounts(writes: tuple[Write, ...]) -> Iterator[Account]:
    """Of each Instance of Security that is written."""
    for write in writes:
        if len(write.path) == 2 and write.path[0] == SECURITY:
            yield Account.of(write)


def values_of(entries: tuple[Entry, ...]) -> dict[int, object]:
    """Single values of an Object Instance by Resource."""
    return {entry.path[2]: entry.value for entry in entries if len(entry.path) == 3}
