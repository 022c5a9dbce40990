"""``PackageFiles``: the bytes of packages, each a file named by its SHA-256."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PackageFiles:
    """In one folder. What is sent to many devices at a time is in memory once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images: dict[str, bytes] = {}
        self._users: Counter[str] = Counter()

    def path(self, digest: str) -> Path:
        return self._folder / digest

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
