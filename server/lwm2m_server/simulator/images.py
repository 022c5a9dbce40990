"""Images for simulated devices: one line that says what it is, and the bytes.

::

    LWM2M-IMAGE {"name": "tank", "version": "1.1.0", "size": 16384, "sha256": "9f86d0…"}
    …

A device takes nothing else for firmware or software, and nothing that is not what its first line says.
"""

from __future__ import annotations

import hashlib
import json
from enum import Enum

import attrs

MAGIC = b"LWM2M-IMAGE "
LONGEST_LINE = 1024


class Fault(Enum):
    """Why an image is rejected."""

    UNSUPPORTED = "unsupported package type"
    CORRUPT = "integrity check failure"


class ImageRejected(Exception):
    """These bytes are no image, or not the one they say they are."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


@attrs.frozen(slots=True)
class Image:
    """What the first line says: ``size`` in bytes, and the SHA-256, of what follows it."""

    name: str
    version: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, version: str, body: bytes) -> Image:
        return cls(name, version, len(body), hashlib.sha256(body).hexdigest())

    @property
    def line(self) -> bytes:
        return MAGIC + json.dumps(attrs.asdict(self)).encode() + b"\n"


def make_image(name: str, version: str, body: bytes) -> bytes:
    """The file a simulated device installs."""
    return Image.of(name, version, body).line + body


class Reception:
    """Checks an image while it arrives; keeps none of it. ``length`` bytes have come."""

    def __init__(self) -> None:
        self.length = 0
        self._line = bytearray()
        self._image: Image | None = None
        self._hash = hashlib.sha256()
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Raises ``ImageRejected`` as soon as these are no bytes of an image."""
        self.length += len(data)
        if self._image is None:
            self._line += data
            line, found, data = bytes(self._line).partition(b"\n")
            if not line.startswith(MAGIC[: len(line)]) or len(line) > LONGEST_LINE:
                raise ImageRejected(Fault.UNSUPPORTED, "no image of a simulated device")
            if not found:
                return
            self._image = _parsed(line)
        self._size += len(data)
        self._hash.update(data)

    def finish(self) -> Image:
        """Raises ``ImageRejected``."""
        if self._image is None:
            raise ImageRejected(Fault.UNSUPPORTED, "no image of a simulated device")
        if (self._size, self._hash.hexdigest()) != (self._image.size, self._image.sha256):
            raise ImageRejected(Fault.CORRUPT, f"{self._size} bytes that are not those of the first line")
        return self._image


def _parsed(line: bytes) -> Image:
    try:
        said = json.loads(line[len(MAGIC) :])
        return Image(str(said["name"]), str(said["version"]), int(said["size"]), str(said["sha256"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ImageRejected(Fault.UNSUPPORTED, f"first line: {error}") from error
