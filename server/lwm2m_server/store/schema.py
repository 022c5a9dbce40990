"""The tables of the ledger, and how a ledger of an older version becomes one of this version."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from lwm2m_engine.errors import SettingsError
from lwm2m_server.store import (
    audit,
    campaigns,
    credentials,
    desired,
    enrolment,
    events,
    expiration,
    finding,
    onboarding,
    outbox,
    problems,
    profiles,
    rpc,
    subscribers,
    updates,
    values,
)

Connect: TypeAlias = Callable[[Path], sqlite3.Connection]

# Rows that an Update touches (liveness) stand apart from documents (device); a message has one index.
# Ids are rowids, so "oldest first" is the order an index on (container) has by itself.
_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('installation', lower(hex(randomblob(5))));

CREATE TABLE resource (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
    ty INTEGER NOT NULL, key TEXT NOT NULL, attributes TEXT NOT NULL, modified INTEGER NOT NULL
);
CREATE UNIQUE INDEX resource_name ON resource (parent, name);
CREATE INDEX resource_type ON resource (parent, ty);

CREATE TABLE container (
    id INTEGER PRIMARY KEY, st INTEGER NOT NULL DEFAULT 0, cni INTEGER NOT NULL DEFAULT 0,
    cbs INTEGER NOT NULL DEFAULT 0, mni INTEGER NOT NULL, mbs INTEGER NOT NULL, evict INTEGER NOT NULL
);

CREATE TABLE message (
    id INTEGER PRIMARY KEY, container INTEGER NOT NULL, name TEXT, creator TEXT NOT NULL,
    st INTEGER NOT NULL, content TEXT NOT NULL, cnf TEXT, cs INTEGER NOT NULL, lbl TEXT, et INTEGER,
    deadline REAL, in_flight INTEGER NOT NULL
);
CREATE INDEX message_container ON message (container);

CREATE TABLE device (
    node INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, ni TEXT, ni_key TEXT UNIQUE,
    endpoint TEXT UNIQUE, identity TEXT UNIQUE, registration TEXT,
    registered_at REAL, deregistered_at REAL, expired_at REAL
);
CREATE UNIQUE INDEX device_name ON device (name, tenant);
CREATE INDEX device_tenant ON device (tenant);

CREATE TABLE liveness (
    node INTEGER PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL, listener TEXT NOT NULL,
    identity TEXT, seen_at REAL NOT NULL, expires_at REAL, updated_at REAL
);
CREATE TABLE inputs (node INTEGER PRIMARY KEY, document TEXT NOT NULL);

CREATE TABLE observation (
    token BLOB PRIMARY KEY, node INTEGER NOT NULL, document TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX observation_node ON observation (node);
"""

_VERSION_2 = """
CREATE TABLE contact (number INTEGER PRIMARY KEY, records BLOB NOT NULL);
ALTER TABLE liveness ADD COLUMN journal INTEGER NOT NULL DEFAULT 0;
"""

# Rows of observations lie together by node: those of a whole fleet are read in one go at a restart.
_VERSION_3 = """
CREATE TABLE announcement (hash BLOB PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
ALTER TABLE device ADD COLUMN announcement BLOB;
CREATE TABLE relation (
    node INTEGER NOT NULL, token BLOB NOT NULL, document TEXT NOT NULL, PRIMARY KEY (node, token)
) WITHOUT ROWID;
INSERT INTO relation SELECT node, token, json_remove(document, '$.token') FROM observation;
DROP TABLE observation;
ALTER TABLE relation RENAME TO observation;
CREATE UNIQUE INDEX observation_token ON observation (token);
"""

# A container's list of messages, each with the counters of the container as they were when it came: what
# a message changes lies on one page. The counters in ``container`` hold if no entry has a higher ``st``.
_VERSION_4 = """
CREATE TABLE entry (
    container INTEGER NOT NULL, id INTEGER NOT NULL, cs INTEGER NOT NULL, st INTEGER NOT NULL,
    cni INTEGER NOT NULL, cbs INTEGER NOT NULL, PRIMARY KEY (container, id)
) WITHOUT ROWID;
INSERT INTO entry SELECT container, id, cs, 0, 0, 0 FROM message ORDER BY container, id;
DROP INDEX message_container;
CREATE TABLE evicted (number INTEGER PRIMARY KEY, ids BLOB NOT NULL);
"""

# What a device has acknowledged and not answered: in ``sent-msg`` for whoever looks, and here by the id it
# was posted under, until the answer comes.
_VERSION_5 = """
CREATE TABLE unanswered (
    message INTEGER PRIMARY KEY, node INTEGER NOT NULL, content TEXT NOT NULL, cnf TEXT, deadline REAL
);
CREATE INDEX unanswered_node ON unanswered (node);
"""

# Messages up to the one ``listed`` are in ``entry``, or wait there no more.
_LISTED = "INSERT INTO meta VALUES ('listed', (SELECT ifnull(max(id), 0) FROM message));"
_VERSION_6 = f"""{_LISTED}
ALTER TABLE device ADD COLUMN power TEXT;
{credentials.VERSION_6}
CREATE TABLE brood (number INTEGER PRIMARY KEY, document TEXT NOT NULL UNIQUE);
ALTER TABLE resource ADD COLUMN brood INTEGER;
"""
_VERSION_7 = f"""{audit.VERSION_7}
{events.VERSION_7}
{onboarding.VERSION_7}
{outbox.VERSION_7}
{subscribers.VERSION_7}
{credentials.VERSION_7}
{expiration.VERSION_7}
"""
_VERSION_8 = f"""{profiles.VERSION_8}
{desired.VERSION_8}
{updates.VERSION_8}
{enrolment.VERSION_8}
{values.VERSION_8}
{rpc.VERSION_8}
{finding.VERSION_8}
{campaigns.VERSION_8}
"""
_VERSION_9 = f"""{finding.VERSION_9}
{problems.VERSION_9}
"""

_TIDY = """DELETE FROM announcement WHERE hash NOT IN
    (SELECT announcement FROM device WHERE announcement IS NOT NULL)"""

STEPS: tuple[str, ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
    _VERSION_7,
    _VERSION_8,
    _VERSION_9,
)
"""``STEPS[n]`` turns version n into n + 1; an empty file has version 0. Append, never edit."""


WAL_SIZE = 64 * 1024 * 1024
"""Bytes the write-ahead log may keep."""


def connect(file: Path) -> sqlite3.Connection:
    """A connection for one user at a time, on any thread; transactions are explicit."""
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=256)


def open_writer(file: Path, connect: Connect, *, power_safe: bool) -> sqlite3.Connection:
    """A connection that may write: WAL; synced at each commit only if ``power_safe``.

    It makes no checkpoints of itself: see ``checkpoints``.
    """
    connection = connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_SIZE}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -32000")
    return connection


def open_reader(file: Path, connect: Connect) -> sqlite3.Connection:
    """A connection that can only read."""
    connection = connect(file)
    connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(file: Path, connect: Connect = connect, steps: Sequence[str] = STEPS) -> None:
    """Create the ledger, or bring it to this version after copying it to ``ledger.v<n>.db``.

    Raises ``SettingsError`` for a file of a newer version and for one that is no ledger.
    """
    # SQLite gives its -wal and -shm files the permissions of the database.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = connect(file)
    try:
        _migrate(file, connection, steps)
        if steps is STEPS:
            connection.execute(_TIDY)
    except sqlite3.DatabaseError as error:
        raise SettingsError(f"{file}: cannot be used as a ledger: {error}") from error
    finally:
        connection.close()


def _migrate(file: Path, connection: sqlite3.Connection, steps: Sequence[str]) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise SettingsError(
            f"{file}: has schema version {version}, this program knows {len(steps)}: use a newer program"
        )
    if 0 < version < len(steps):
        copy = file.with_suffix(f".v{version}{file.suffix}")
        copy.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(copy),))
        copy.chmod(0o600)
    # All or nothing, and one wait for the disk.
    script = ";".join(("BEGIN IMMEDIATE", *steps[version:], f"PRAGMA user_version = {len(steps)}", "COMMIT"))
    try:
        if version < len(steps):
            connection.executescript(script)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
