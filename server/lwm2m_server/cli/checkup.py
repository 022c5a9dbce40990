"""What ``lwm2m doctor`` finds where a server with these settings is to run."""

from __future__ import annotations

import datetime
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from lwm2m_engine.errors import SettingsError
from lwm2m_server.cli.serve import taken_listeners
from lwm2m_server.settings import Settings
from lwm2m_server.store.lock import DataDirectory
from lwm2m_server.store.schema import STEPS

LITTLE, TOO_LITTLE = 1 << 30, 100 << 20
"""Bytes of free space that are worth a word, and a warning."""
SOON: Final = datetime.timedelta(days=30)
SLACK: Final = 60.0
"""Seconds a clock may be behind what was written last."""


class Finding(NamedTuple):
    """``trouble`` is ``None`` if all is well; what is not ``needed`` may be missing."""

    subject: str
    what: str
    trouble: str | None = None
    needed: bool = True


def checkup(settings: Settings) -> Iterator[Finding]:
    """Changes nothing."""
    folder = settings.data
    runs = _is_locked(folder)
    yield _folder(folder, runs)
    yield _space(folder)
    if (folder / "ledger.db").is_file():
        yield _schema(folder / "ledger.db")
        yield _clock(folder)
    yield from _keys(settings)
    yield from _certificates(settings)
    yield from _ports(settings, runs)
    yield _loop()


def _is_locked(folder: Path) -> bool:
    if not (folder / "lock").exists():
        return False
    try:
        with DataDirectory(folder):
            return False
    except SettingsError:
        return os.access(folder, os.W_OK)


def _folder(folder: Path, runs: bool) -> Finding:
    subject = "data folder"
    if not folder.exists():
        above = next(one for one in folder.absolute().parents if one.exists())
        trouble = None if os.access(above, os.W_OK) else f"{folder} cannot be made: {above} is not writable"
        return Finding(subject, f"{folder} is made at the first start", trouble)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Finding(subject, "", f"{folder} cannot be written")
    if os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding(subject, "", f"{folder} is open to others; 'chmod 700' it")
    return Finding(subject, f"{folder}, in use by a server" if runs else f"{folder}, no server uses it")


def _space(folder: Path) -> Finding:
    place = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GiB are free"
    if free < LITTLE:
        return Finding("disk space", "", f"{text}; a full disk stops the server", free < TOO_LITTLE)
    return Finding("disk space", text)


def _schema(ledger: Path) -> Finding:
    subject = "ledger"
    try:
        connection = sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Finding(subject, "", f"{ledger} cannot be read: {error}")
    if version > len(STEPS):
        return Finding(subject, "", f"schema version {version}, this program knows {len(STEPS)}")
    older = f"; the next start makes it {len(STEPS)}, and a copy before" if version < len(STEPS) else ""
    return Finding(subject, f"schema version {version}{older}")


def _clock(folder: Path) -> Finding:
    """Ids are times: behind what is stored, new ones count on from there."""
    behind = max(one.stat().st_mtime for one in folder.glob("ledger.db*")) - time.time()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    trouble = f"{now} is {behind:.0f} s before the ledger was last written" if behind > SLACK else None
    return Finding("clock", now, trouble)


def _keys(settings: Settings) -> Iterator[Finding]:
    """Those in the data folder, and those that settings name."""
    named = {
        "credentials.key_file": settings.credentials.key_file,
        "dtls.certificate_key_file": settings.dtls.certificate_key_file,
        "dtls.raw_public_key_file": settings.dtls.raw_public_key_file,
        "http_key_file": settings.http_key_file,
    }
    found = {name: file for name, file in named.items() if file is not None}
    for pattern in ("*.key", "*.keys"):
        found |= {file.name: file for file in sorted(settings.data.glob(pattern))}
    for name, file in found.items():
        yield Finding(f"key file {name}", "readable by its owner only", _key_trouble(file))


def _key_trouble(file: Path) -> str | None:
    try:
        mode = file.stat().st_mode
        file.read_bytes()
    except OSError as error:
        return f"{file}: {error.strerror}"
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        return f"{file} can be read by others; 'chmod 600' it"
    return None


def _certificates(settings: Settings) -> Iterator[Finding]:
    for name, file in (("dtls.certificate", settings.dtls.certificate), ("http_cert", settings.http_cert)):
        if file is not None:
            yield _certificate(f"certificate {name}", file)


def _certificate(subject: str, file: Path) -> Finding:
    """The first that ends of a chain."""
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        return Finding(subject, "", f"{file}: {error}")
    ends = min(one.not_valid_after_utc for one in chain)
    left, date = ends - datetime.datetime.now(datetime.UTC), ends.date().isoformat()
    if left < datetime.timedelta():
        return Finding(subject, "", f"{file} ended on {date}")
    if left < SOON:
        return Finding(subject, "", f"{file} ends on {date}, in {left.days} days", needed=False)
    return Finding(subject, f"until {date}")


def _ports(settings: Settings, runs: bool) -> Iterator[Finding]:
    taken = [f"{name} {address}" for name, address in taken_listeners(settings)]
    if taken and not runs:
        yield Finding("ports", "", f"taken by another program: {', '.join(taken)}")
    else:
        yield Finding("ports", "in use by the server" if taken else "free")


def _loop() -> Finding:
    trouble = None if find_spec("uvloop") else "uvloop is not installed; the server is slower without"
    return Finding("event loop", "uvloop", trouble, needed=False)
