"""``PackageFiles``: the bytes of packages, each a file named by its SHA-256."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FOLDER: Final = "packages"
"""In the data folder."""
_DRAFT: Final = ".new"


class Draft:
    """A file on its way in. Every method may block."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(suffix=_DRAFT, dir=folder)
        self._folder, self._file = folder, Path(name)
        self._stream, self._hash = os.fdopen(number, "wb"), hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> str:
        """Its SHA-256; it is on the disk when this returns."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._hash.hexdigest()

    def keep(self, digest: str) -> None:
        """Under its name from now on."""
        self._stream.close()
        os.replace(self._file, self._folder / digest)

    def drop(self) -> None:
        """If it was not kept."""
        self._stream.close()
        self._file.unlink(missing_ok=True)


class PackageFiles:
    """In one folder. What is sent to many devices at a time is in memory once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._images: dict[str, bytes] = {}
        self._users: Counter[str] = Counter()

    def path(self, digest: str) -> Path:
        return self.folder / digest

    def draft(self) -> Draft:
        """Raises ``OSError``."""
        return Draft(self.folder)

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def sweep(self, wanted: Collection[str]) -> None:
        """Remove what none of these digests names. Raises ``OSError``."""
        for file in self.folder.glob("*"):
            if file.suffix == _DRAFT or (len(file.name) == 64 and file.name not in wanted):
                file.unlink(missing_ok=True)

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """A part of it, shorter at the end. Raises ``OSError``."""
        file = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, size, offset)
        finally:
            os.close(file)

    @contextmanager
    def image(self, digest: str) -> Iterator[bytes]:
        """All of it, for as long as it is used. Raises ``OSError``."""
        if digest not in self._images:
            self._images[digest] = self.path(digest).read_bytes()
        self._users[digest] += 1
        try:
            yield self._images[digest]
        finally:
            self._users[digest] -= 1
            if not self._users[digest]:
                del self._users[digest], self._images[digest]
