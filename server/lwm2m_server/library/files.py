"""``ModelFiles``: the XML of uploaded Object models, in files named by the SHA-256 of what is in them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

MODELS: Final = "models"
"""In the data folder."""
SUFFIX: Final = ".xml"
_DRAFT: Final = ".new"


class ModelFiles:
    """A file is written before the index names it, and outlives the index: what no row names is swept away
    at the next start. All methods block; they may run on any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, files: Collection[bytes]) -> None:
        """On the disk when it returns. Raises ``OSError``."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for data in files:
            self._write(data)
        if sys.platform != "win32":  # there a directory cannot be opened, and renames are in its journal
            directory = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def read(self, digest: str) -> bytes:
        """Raises ``OSError``, also for a file that holds something else."""
        data = self._file(digest).read_bytes()
        if digest_of(data) != digest:
            raise OSError(f"{self._file(digest)} is damaged")
        return data

    def sweep(self, wanted: Collection[str]) -> int:
        """Remove what none of these digests names; how many files. Raises ``OSError``."""
        found = [file for file in self.folder.glob("*") if file.suffix in (SUFFIX, _DRAFT)]
        orphans = [file for file in found if file.suffix == _DRAFT or file.stem not in wanted]
        for file in orphans:
            file.unlink(missing_ok=True)
        return len(orphans)

    def _write(self, data: bytes) -> None:
        file = self._file(digest_of(data))
        if _holds(file, data):
            return
        draft = file.with_suffix(_DRAFT)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}{SUFFIX}"


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _holds(file: Path, data: bytes) -> bool:
    try:
        return file.read_bytes() == data
    except OSError:
        return False
