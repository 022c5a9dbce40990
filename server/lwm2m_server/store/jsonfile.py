"""The inventory's file: TinyDB's JSON layout, read whole at start, replaced whole at each change."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from tinydb.storages import Storage

from lwm2m_engine.errors import SettingsError

Tables: TypeAlias = dict[str, dict[str, dict[str, Any]]]
"""Table name, document id, document."""

Migration: TypeAlias = Callable[[Tables], Tables]

META = "meta"


class Snapshot(Storage):
    """A TinyDB storage of tables in memory.

    What was read is never changed by TinyDB's inserts and removals: they build new tables. So tables
    can be shared by snapshots and written by another thread. Its update operations do not keep to this.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def read(self) -> Tables:
        return dict(self.tables)

    def write(self, data: Tables) -> None:
        self.tables = data


def load(file: Path, migrations: Sequence[Migration]) -> Tables:
    """The tables of ``file``, made or brought to version ``1 + len(migrations)`` where needed.

    An older file is copied to ``<name>.v<n>.json`` before. Raises ``SettingsError``, and leaves the
    file alone, if it is of a newer version or cannot be read as an inventory.
    """
    newest = 1 + len(migrations)
    tables = _read(file)
    if not tables:
        tables = {META: {"1": {"schema": newest}}}
        replace(file, tables)
        return tables
    version = _version(file, tables)
    if version > newest:
        raise SettingsError(
            f"{file}: has schema version {version}, this program knows {newest}: use a newer program"
        )
    if version < newest:
        shutil.copy2(file, file.with_suffix(f".v{version}{file.suffix}"))
        for migration in migrations[version - 1 :]:
            tables = migration(tables)
        tables = tables | {META: {"1": {"schema": newest}}}
        replace(file, tables)
    return tables


def replace(file: Path, tables: Tables) -> None:
    """Write all or nothing: whatever happens, the file is the old one or the new one. Raises ``OSError``."""
    draft = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(orjson.dumps(tables, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, file)
    if sys.platform != "win32":  # there a directory cannot be opened, and renames are in its journal
        directory = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _read(file: Path) -> Tables:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: byte {error.start} is not UTF-8") from error
    if not text.strip():
        return {}
    try:
        tables = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{file}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    _check(file, tables)
    checked: Tables = tables
    return checked


def _check(file: Path, tables: Any) -> None:
    if not isinstance(tables, dict):
        raise SettingsError(f"{file}: not an object of tables")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: table {name!r} is not an object of documents")
        for id, document in table.items():
            if not (id.isascii() and id.isdigit() and isinstance(document, dict)):
                raise SettingsError(f"{file}: table {name!r}: {id!r} is not a number with a document")


def _version(file: Path, tables: Tables) -> int:
    for document in tables.get(META, {}).values():
        if isinstance(document.get("schema"), int):
            return int(document["schema"])
    raise SettingsError(f"{file}: no schema version in table {META!r}: not an inventory")
