"""Files of an upload: single ones, and those in zip and tar.gz archives, which may be hostile.

An archive is opened in memory and nothing of it is written anywhere: names in it are labels, never paths.
What it unpacks to is bounded by number, by bytes, and by how many times as large it is as the archive.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Final

import attrs

from lwm2m_engine.model.ddf import MAX_BYTES

RATIO: Final = 200
"""How many times as large as itself an archive may become; prose in XML becomes a tenth."""
FLOOR: Final = 1_000_000
"""Bytes that even a small archive may become."""
MAX_NAME: Final = 255
_ZIP, _GZIP, _ENTRY = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b", b"PK\x01\x02"


class BadUpload(Exception):
    """Nothing of it is taken."""


@attrs.frozen(slots=True)
class Limits:
    """Of one upload."""

    files: int
    unpacked: int
    """Bytes."""


@attrs.frozen(slots=True)
class File:
    """One file, or what is wrong with it."""

    name: str
    """Without folders."""
    data: bytes = b""
    fault: str = ""
    """Why it cannot be read."""
    aside: str = ""
    """Why it is no object definition."""


def unpack(parts: Iterable[File], limits: Limits) -> list[File]:
    """All files, in order. Raises ``BadUpload``. Blocks: for a thread."""
    found: list[File] = []
    for part in parts:
        for file in _files(part, limits):
            if len(found) == limits.files:
                raise BadUpload(f"more than {limits.files} files")
            found.append(file)
    if not found:
        raise BadUpload("there is no file in it")
    return found


def label(name: str) -> str:
    """A file name as it was given, without the folders that some put before it."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in base)[
        :MAX_NAME
    ]


def _files(part: File, limits: Limits) -> Iterator[File]:
    allowed = min(limits.unpacked, max(FLOOR, RATIO * len(part.data)))
    try:
        if part.data.startswith(_ZIP):
            yield from _in_zip(part, allowed, limits.files)
        elif part.data.startswith(_GZIP):
            yield from _in_tar(part, allowed)
        else:
            yield part
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise BadUpload(f"{part.name}: cannot be read: {error}") from error


def _in_zip(part: File, allowed: int, files: int) -> Iterator[File]:
    # Each entry of the directory costs more to read than this look at all of them.
    if part.data.count(_ENTRY) > 2 * files:
        raise BadUpload(f"{part.name}: more than {2 * files} entries")
    unpacked = 0
    with zipfile.ZipFile(io.BytesIO(part.data)) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            if entry.flag_bits & 1:
                yield File(label(entry.filename), fault="it is encrypted")
                continue
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield File(label(entry.filename), fault="it is packed in another way than deflate")
                continue
            if _is_other(entry.filename):
                yield _other(entry.filename)
                continue
            with archive.open(entry) as stream:
                file = _read(entry.filename, stream)
            unpacked += len(file.data)
            if unpacked > allowed:
                raise BadUpload(f"{part.name}: unpacks to more than {allowed} bytes")
            yield file


def _in_tar(part: File, allowed: int) -> Iterator[File]:
    bounded = _Bounded(gzip.GzipFile(fileobj=io.BytesIO(part.data)), part.name, allowed)
    # As a stream: nothing is read twice, and nothing past the bound.
    with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
        for entry in archive:
            if not entry.isreg():
                continue
            stream = archive.extractfile(entry)
            if _is_other(entry.name) or stream is None:
                yield _other(entry.name)
            else:
                yield _read(entry.name, stream)


class _Bounded:
    """A stream that raises ``BadUpload`` behind so many bytes."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, name: str, allowed: int) -> None:
        self._stream, self._name, self._allowed, self._left = stream, name, allowed, allowed

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise BadUpload(f"{self._name}: unpacks to more than {self._allowed} bytes")
        return data


def _read(name: str, stream: IO[bytes]) -> File:
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return File(label(name), fault=f"more than {MAX_BYTES} bytes")
    return File(label(name), data)


def _is_other(name: str) -> bool:
    """What archives have besides; macOS puts a shadow of each file into ``__MACOSX``."""
    base = label(name)
    return not base.lower().endswith(".xml") or base.startswith(".") or "__MACOSX" in name.split("/")


def _other(name: str) -> File:
    return File(label(name), aside="it is not named *.xml")
