"""What a client would be asked, to be read by people."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lwm2m_engine.bootstrap.config import BootstrapConfig, Command, accounts
from lwm2m_engine.bootstrap.discovery import Inventory
from lwm2m_engine.bootstrap.pack import why_no_pack
from lwm2m_engine.bootstrap.plan import plan
from lwm2m_engine.bootstrap.secrets import is_secret
from lwm2m_engine.entries import Entry
from lwm2m_engine.messages.requests import Discover


@attrs.frozen(slots=True)
class Preview:
    """The requests of a session with a client that has ``inventory``, in their order."""

    steps: tuple[Command, ...]
    notes: tuple[str, ...]


def preview(config: BootstrapConfig, inventory: Inventory | None = None) -> Preview:
    """Without an ``inventory``, for a client that has nothing but what it came with."""
    discovers = tuple(Discover(path) for path in config.discovers)
    steps = (*discovers, *plan(config, inventory if inventory is not None else Inventory()))
    return Preview(steps, (*config.notes, *_notes(config)))


def written(config: BootstrapConfig) -> Iterator[Entry]:
    """Every value that is written."""
    return (entry for write in config.writes for entry in write.entries)


def _notes(config: BootstrapConfig) -> Iterator[str]:
    if config.automatic_ids and config.discovers and any(accounts(config.writes)):
        yield (
            "Instances of Security may get other ids: those the client has for the same servers; "
            "the account of the bootstrap server keeps its own"
        )
    if config.nosec and any(is_secret(entry.path) and entry.value for entry in written(config)):
        yield "keys are sent in clear, to whoever says that it is this client (noSec)"
    obstacle = why_no_pack(config)
    if obstacle:
        yield f"a client that asks for a Bootstrap-Pack is sent to /bs: {obstacle}"
