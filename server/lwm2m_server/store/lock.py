"""One process per data directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

from lwm2m_engine.errors import SettingsError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class InUse(SettingsError):
    """Another process has it."""


class DataDirectory:
    """The directory both stores lie in, held by this process until ``close`` or its end.

    Made with permissions 0700 where missing. Raises ``InUse`` when another process holds it,
    ``SettingsError`` when it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(f"data directory {path}: {error.strerror}") from error
        try:
            _lock(self._file)
        except OSError as error:
            os.close(self._file)
            raise InUse(f"data directory {path} is in use by another process") from error

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.db"

    @property
    def inventory(self) -> Path:
        return self.path / "inventory.json"

    def close(self) -> None:
        """Let another process have it. The lock file stays: removing it would race with who waits."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
