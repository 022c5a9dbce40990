"""A copy of the data folder of a server that may be running, in one file.

The ledger is copied as it is at one moment, while the server goes on writing; then come the documents.
Key files stay out unless they are wanted: without them nobody can open the secrets in a backup.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Final

from lwm2m_engine.errors import SettingsError
from lwm2m_server.store.schema import STEPS, connect

LEDGER, INVENTORY, MANIFEST = "ledger.db", "inventory.json", "manifest.json"
MODELS: Final = "models"
"""Folder of uploaded object models, which the inventory names."""
KEYS: Final = ("*.key", "*.keys")
PAGES: Final = 1024
"""Copied at a time: 4 MB."""
PAUSE: Final = 0.005
"""Seconds between, in which the disk is others'."""
AHEAD: Final = 1 << 24
"""OSCORE sequence numbers that are left out in the copy: those that the server uses up from now until the
copy takes its place must never be used again (RFC 8613, 7.5.1)."""

Progress = Callable[[int, int], object]
"""Pages that are still to be copied, and all of them."""


def back_up(
    folder: Path, file: Path, *, keys: bool = False, progress: Progress = lambda rest, all: None
) -> dict[str, Any]:
    """Write ``file``, a tar archive; returns its manifest.

    Raises ``SettingsError`` for a folder that holds no data, a file that exists, what cannot be read or
    written.
    """
    ledger = folder / LEDGER
    if not ledger.is_file():
        raise SettingsError(f"{folder} is no data folder: there is no {LEDGER}")
    if file.exists():
        raise SettingsError(f"{file} exists already")
    copy, part = file.with_name(f"{file.name}.{LEDGER}"), file.with_name(f"{file.name}.part")
    try:
        schema = _copy_ledger(ledger, copy, progress)
        found = list(_keys(folder)) if keys else []
        manifest = {
            "version": version("lwm2m-engine"),
            "schema": schema,
            "madeAt": int(time.time() * 1000),
            "keys": [one.name for one in found],
        }
        files = chain([(LEDGER, copy)], _documents(folder), ((one.name, one) for one in found))
        _pack(part, files, manifest)
        part.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"cannot back up {folder} to {file}: {error}") from error
    finally:
        for one in (copy, part):
            one.unlink(missing_ok=True)
    return manifest


def _documents(folder: Path) -> Iterator[tuple[str, Path]]:
    """The inventory and the files it names. Those come before it and go after it, so we look twice."""
    models, packed = folder / MODELS, set[str]()
    for file in sorted(models.glob("*.xml")):
        packed.add(file.name)
        yield f"{MODELS}/{file.name}", file
    if (folder / INVENTORY).is_file():
        yield INVENTORY, folder / INVENTORY
    for file in sorted(models.glob("*.xml")):
        if file.name not in packed:
            yield f"{MODELS}/{file.name}", file


def _keys(folder: Path) -> Iterator[Path]:
    for pattern in KEYS:
        yield from sorted(folder.glob(pattern))


def _copy_ledger(ledger: Path, copy: Path, progress: Progress) -> int:
    """Returns the version of its schema."""
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    with contextlib.closing(connect(ledger)) as source, contextlib.closing(connect(copy)) as target:
        source.execute("PRAGMA query_only = ON")
        (schema,) = source.execute("PRAGMA user_version").fetchone()
        if schema > len(STEPS):
            raise SettingsError(f"{ledger}: has schema version {schema}: use a newer program")
        # What is read from now on is of this moment, whatever the server writes meanwhile.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM meta").fetchone()

        def step(status: int, rest: int, all: int) -> None:
            progress(rest, all)
            time.sleep(PAUSE)

        source.backup(target, pages=PAGES, progress=step)
        target.execute("PRAGMA journal_mode = DELETE")
        if schema >= 6:
            target.execute("UPDATE oscore_number SET next = next + ?", (AHEAD,))
        (fault,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if fault != "ok":
            raise SettingsError(f"{ledger} is damaged: {fault}")
    return int(schema)


def _pack(part: Path, files: Iterable[tuple[str, Path]], manifest: dict[str, Any]) -> None:
    """On the disk when it returns. ``files`` are asked for one after the other."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        with tarfile.open(fileobj=opened, mode="w") as archive:
            listing = (json.dumps(manifest, indent=2) + "\n").encode()
            first = tarfile.TarInfo(MANIFEST)
            first.size, first.mtime = len(listing), int(time.time())
            archive.addfile(_plain(first), io.BytesIO(listing))
            for name, file in files:
                try:
                    archive.add(file, name, filter=_plain)
                except FileNotFoundError:
                    # A model that was taken away meanwhile: the inventory, read later, does not name it.
                    if not name.startswith(MODELS):
                        raise
        opened.flush()
        os.fsync(opened.fileno())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of the account that made it."""
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member
