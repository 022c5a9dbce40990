"""The list of what is asked of a client, one request after the other, and which ids it writes to."""

from __future__ import annotations

from collections.abc import Container, Iterator

import attrs

from lwm2m_engine.bootstrap.config import SECURITY, Account, BootstrapConfig, Command, accounts
from lwm2m_engine.bootstrap.discovery import Inventory
from lwm2m_engine.messages.bootstrap import Finish
from lwm2m_engine.messages.requests import Delete, Read, Write
from lwm2m_engine.paths import MAX_ID, Path


def plan(config: BootstrapConfig, inventory: Inventory) -> tuple[Command, ...]:
    """Everything that follows Discover."""
    writes = renumbered(config, inventory) if config.automatic_ids else config.writes
    return (
        *(Delete(path) for path in config.deletes),
        *writes,
        *(Read(path) for path in config.reads),
        Finish(),
    )


def renumbered(config: BootstrapConfig, inventory: Inventory) -> tuple[Write, ...]:
    """The writes, with Instances of Security where they belong.

    The account of the bootstrap server keeps the Instance it has on the client, an LwM2M server that the
    client knows takes its own again, and the others never take one that is in use.
    """
    ids = _ids(config, inventory)
    return tuple(_moved(write, ids[write.path]) if write.path in ids else write for write in config.writes)


def _ids(config: BootstrapConfig, inventory: Inventory) -> dict[Path, Path]:
    known = list(accounts(config.writes))
    ids: dict[Path, Path] = {}
    for account in known:
        place = _present(account, inventory)
        if place is not None:
            ids[account.write.path] = place
    own = inventory.bootstrap_account
    taken = set(ids.values()) | ({own} if own is not None else set())
    taken |= {path for path in inventory.instances if not _goes(path, config)}
    for account in known:
        if account.write.path not in ids:
            place = _free(account.write.path, taken)
            ids[account.write.path] = place
            taken.add(place)
    return ids


def _present(account: Account, inventory: Inventory) -> Path | None:
    if account.is_bootstrap:
        return inventory.bootstrap_account
    return None if account.short_id is None else inventory.account(account.short_id)


def _goes(path: Path, config: BootstrapConfig) -> bool:
    return any(path.startswith(deleted) for deleted in config.deletes)


def _free(wanted: Path, taken: Container[Path]) -> Path:
    return next(path for path in _candidates(wanted) if path not in taken)


def _candidates(wanted: Path) -> Iterator[Path]:
    yield wanted
    for number in range(MAX_ID):
        yield Path((SECURITY, number))


def _moved(write: Write, to: Path) -> Write:
    entries = tuple(entry._replace(path=Path((*to, *entry.path[2:]))) for entry in write.entries)
    return attrs.evolve(write, path=to, entries=entries)
