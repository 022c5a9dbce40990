"""``Packages``: firmware and software of tenants, taken in while it comes, and kept as long as it is used."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import attrs

from lwm2m_engine.errors import LwM2MError
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.protocols import Collection
from lwm2m_server.store.transaction import Reader
from lwm2m_server.updates.files import Draft, PackageFiles

TYPES: Final = ("firmware", "software")
FITS: Final = ("manufacturer", "model", "hardwareVersion", "profile")
SCHEMES: Final = ("https", "http", "coaps", "coap", "coaps+tcp", "coap+tcp")
LONGEST: Final = 255
"""Bytes of a title, of a version and of a URL, as Resources have room for."""
LONGEST_TEXT: Final = 4096
PIECE: Final = 1 << 20
"""Bytes that are written at a time."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+~-]{0,127}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

Users = Callable[[str, str], str | None]
"""Told tenant and package; who uses it, if anybody does."""


class PackageRefused(LwM2MError):
    """What is said of a package cannot be; the text says what."""


class TooLarge(PackageRefused):
    """It has more bytes than a package may have."""


class PackageInUse(LwM2MError):
    """The text says who uses it."""


@attrs.frozen(slots=True)
class Description:
    """What is said of a package by whoever brings it."""

    version: str
    type: str
    name: str | None = None
    """``None``: of title and version."""
    title: str | None = None
    """``None``: its name."""
    tag: str | None = None
    text: str = ""
    file_name: str = ""
    checksum: str | None = None
    """SHA-256, in hexadecimal digits."""
    fits: Mapping[str, str] = {}

    def checked(self) -> Description:
        """With its name. Raises ``PackageRefused``."""
        if self.type not in TYPES:
            raise PackageRefused(f"type is {self.type[:40]!r}, and not one of {', '.join(TYPES)}")
        title = self.title or self.name or ""
        for member, value in (("version", self.version), ("title", title)):
            if not value or len(value.encode()) > LONGEST or not value.isprintable():
                raise PackageRefused(f"{member} is to be 1 to {LONGEST} bytes of text")
        name = self.name or re.sub(r"[^A-Za-z0-9._:+~-]+", "-", f"{title}-{self.version}").strip("-.")
        if _NAME.fullmatch(name) is None:
            raise PackageRefused(f"{name[:40]!r} is no name: letters, digits and . _ : + ~ - are")
        if self.checksum is not None and _DIGEST.fullmatch(self.checksum.lower()) is None:
            raise PackageRefused("checksum is to be a SHA-256, 64 hexadecimal digits")
        for text in (self.text, self.file_name, self.tag or "", *self.fits.values()):
            if len(text) > LONGEST_TEXT:
                raise PackageRefused(f"a text is longer than {LONGEST_TEXT} characters")
        unknown = [member for member in self.fits if member not in FITS]
        if unknown:
            raise PackageRefused(f"fits has {unknown[0][:40]!r}, and not {', '.join(FITS)}")
        return attrs.evolve(self, name=name, title=title, checksum=self.checksum and self.checksum.lower())


class Packages:
    """Belongs to the event loop; files are written on threads."""

    def __init__(
        self, index: Collection[Package], reader: Reader, files: PackageFiles, ids: Ids, largest: int
    ) -> None:
        """``largest`` is in bytes."""
        self._index, self._files, self._ids, self._largest = index, files, ids, largest
        self._changing = asyncio.Lock()
        self.users: list[Users] = [
            lambda tenant, name: "an update under way" if reader.uses_package(tenant, name) else None
        ]

    def of(self, tenant: str) -> Sequence[Package]:
        return self._index.of(tenant)

    def get(self, tenant: str, name: str) -> Package | None:
        return self._index.get(tenant, name)

    def is_there(self, package: Package) -> bool:
        """Whether it can be had."""
        return package.url is not None or self._files.path(package.digest).is_file()

    def users_of(self, package: Package) -> Sequence[str]:
        """Who needs it, as people call them."""
        found = (users(package.tenant or "", package.name) for users in self.users)
        return [user for user in found if user is not None]

    async def receive(self, tenant: str, description: Description, chunks: AsyncIterator[bytes]) -> Package:
        """Keep the bytes of a package. One of the same name whose file is lost gets it back.

        Raises ``PackageRefused``, ``Conflict``, ``CommitFailed``, ``OSError``.
        """
        said = description.checked()
        self._refuse_taken(tenant, said)
        draft = await asyncio.to_thread(self._files.draft)
        try:
            await self._write(draft, chunks)
            digest = await asyncio.to_thread(draft.finish)
            if not draft.size:
                raise PackageRefused("there are no bytes")
            if said.checksum not in (None, digest):
                raise PackageRefused(
                    f"the SHA-256 of the {draft.size} bytes is {digest}, not {said.checksum}"
                )
            package = self._package(tenant, said, digest, draft.size, None)
            async with self._changing:
                await asyncio.to_thread(draft.keep, digest)
                await self._add(package)
        finally:
            await asyncio.to_thread(draft.drop)
        return package

    async def refer(self, tenant: str, description: Description, url: str, size: int) -> Package:
        """One that lies elsewhere; devices fetch it from there. Raises as ``receive``."""
        said = description.checked()
        self._refuse_taken(tenant, said)
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname or len(url.encode()) > LONGEST:
            raise PackageRefused(f"url is to be a URI of at most {LONGEST} bytes, of {', '.join(SCHEMES)}")
        if parts.scheme == "http" and said.checksum is None:
            raise PackageRefused("http needs a checksum: anybody on the way may put something else there")
        package = self._package(tenant, said, said.checksum or "", size, url)
        await self._add(package)
        return package

    async def remove(self, package: Package) -> None:
        """Raises ``PackageInUse``, ``CommitFailed``."""
        async with self._changing:
            for user in self.users_of(package):
                raise PackageInUse(f"{package.name} is used by {user}")
            await self._index.remove(package.tenant, package.name)
            if package.url is None and all(one.digest != package.digest for one in self._index.all()):
                await asyncio.to_thread(self._files.remove, package.digest)

    def _refuse_taken(self, tenant: str, said: Description) -> None:
        """Before many bytes come."""
        known = self.get(tenant, said.name or "")
        if known is not None and self.is_there(known):
            raise Conflict(f"there is a package {known.name!r}")
        for other in self._index.of(tenant):
            same = (other.title, other.version, other.type) == (said.title, said.version, said.type)
            if same and other.name != said.name:
                raise Conflict(f"{other.name!r} is {other.title!r} {other.version} already")

    async def _add(self, package: Package) -> None:
        known = self.get(package.tenant or "", package.name)
        if known is None:
            await self._index.add(package)
        elif (known.digest, known.size) == (package.digest, package.size):
            return
        else:
            raise Conflict(f"there is a package {known.name!r} with other bytes")

    async def _write(self, draft: Draft, chunks: AsyncIterator[bytes]) -> None:
        piece = bytearray()
        async for chunk in chunks:
            piece += chunk
            if draft.size + len(piece) > self._largest:
                raise TooLarge(f"a package has {self._largest} bytes at most")
            if len(piece) >= PIECE:
                await asyncio.to_thread(draft.write, bytes(piece))
                piece.clear()
        await asyncio.to_thread(draft.write, bytes(piece))

    def _package(self, tenant: str, said: Description, digest: str, size: int, url: str | None) -> Package:
        return Package(
            tenant,
            said.name or "",
            said.version,
            said.type,
            said.file_name,
            digest,
            size,
            self._ids.next(),
            title=said.title or "",
            tag=said.tag,
            description=said.text,
            url=url,
            fits=dict(said.fits),
        )
