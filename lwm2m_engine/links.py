"""CoRE link-format (RFC 6690) as LwM2M uses it: object lists, Discover answers, attributes.

Real clients bend the format: a quoted ``ver``, ``ver`` on an Object Instance, ``ct`` twice, blanks
around a comma, a comma at the end, links that are none of LwM2M's. All of that is read, with a warning
for each; ``strict`` refuses it instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import attrs

from lwm2m_engine.errors import DecodeError, PathError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path

MAX_BYTES = 65_536
"""Longest link list that is read."""
MAX_LINKS = 4_096
"""Most links that are read."""

CACHED_BYTES, CACHED_LINKS = 1_024, 64
"""Longest link list of which a thousand are kept, parsed, for the next client that sends the same."""
LONG_BYTES, LONG_LINKS = 16_384, 1_024
"""Longest link list of which a few are: those of gateways, of which a fleet has few kinds."""
MOST_SHORT, MOST_LONG = 1_024, 32

ROOT_TYPE = "oma.lwm2m"
"""The ``rt`` that marks the root of the LwM2M tree (LwM2M Core 1.2, 6.2.1)."""


@attrs.frozen(slots=True, cache_hash=True)
class Link:
    """One link: its target as written (``/3/0``) and its attributes in order.

    A valueless attribute has ``None``; a repeated one stands there as often as it was sent.
    """

    target: str
    attributes: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of an attribute."""
        return next((value for key, value in self.attributes if key == name), None)

    def has(self, name: str) -> bool:
        """True if the attribute is there, with a value or without."""
        return any(key == name for key, _ in self.attributes)


@attrs.frozen(slots=True)
class Announced:
    """What an object list says about a client (LwM2M Core 1.2, 6.2.1)."""

    root: str
    """Alternate root path without a slash at its end; ``/`` if none."""
    objects: Mapping[int, str | None]
    """Object ids and the version announced for each; ``None`` where the list names none."""
    instances: tuple[Path, ...]
    """Object Instances, sorted."""
    formats: tuple[int, ...]
    """Content formats in ``ct`` as sent; for LwM2M 1.0 also TLV, which it makes mandatory."""
    extra: tuple[Link, ...]
    """Links that name neither the root, nor an Object, nor an Object Instance."""
    warnings: tuple[str, ...]


# --- reading ---------------------------------------------------------------------------------------

_BLANKS = " \t\r\n"
_TARGET = re.compile(
    r"<(/(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+"
    r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*)?)>"
)
_ATTRIBUTE = re.compile(
    r"([A-Za-z0-9!#$&+\-.^_`|~]+\*?)"
    r"(?:=(?:\"((?:[^\"\\]|\\.)*)\"|([!#$%&'()*+\-./0-9:<=>?@A-Z\[\]^_`a-z{|}~]+)))?",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_links(text: bytes | str, *, strict: bool = False) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    """Links and warnings; an empty text has none of either.

    Raises ``DecodeError`` with the byte offset for text that is no link-format, and with ``strict`` for
    what is otherwise read with a warning.
    """
    if len(text) > MAX_BYTES:
        raise _error(f"a link list of {len(text)} bytes is longer than {MAX_BYTES}", "", 0)
    # Fleets announce the same few lists over and over; sharing them also saves their memory.
    if len(text) <= CACHED_BYTES:
        return _parse_short(text, strict)
    return _parse_long(text, strict) if len(text) <= LONG_BYTES else _parse(text, strict)


def _parse(text: bytes | str, strict: bool) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError(
                "not UTF-8", content_format=ContentFormat.LINK_FORMAT, offset=error.start
            ) from None
    reader = _Reader(text, strict)
    return reader.links(), tuple(reader.warnings)


_parse_short, _parse_long = lru_cache(MOST_SHORT)(_parse), lru_cache(MOST_LONG)(_parse)


class _Reader:
    """A cursor over one text."""

    __slots__ = ("at", "strict", "text", "warnings")

    def __init__(self, text: str, strict: bool) -> None:
        self.text, self.strict, self.at = text, strict, 0
        self.warnings: dict[str, None] = {}

    def links(self) -> tuple[Link, ...]:
        links: list[Link] = []
        end = len(self.text)
        self._blanks()
        while self.at < end:
            if len(links) == MAX_LINKS:
                raise self._error(f"more than {MAX_LINKS} links")
            links.append(self._link())
            self._blanks()
            if self.at == end:
                break
            if self.text[self.at] != ",":
                raise self._error("expected a comma between links")
            self.at += 1
            self._blanks()
            if self.at == end:
                self._tolerate("comma after the last link")
        return tuple(links)

    def _link(self) -> Link:
        match = _TARGET.match(self.text, self.at)
        if match is None:
            raise self._error("expected a link such as </3/0>")
        self.at = match.end()
        target = match[1]
        attributes: list[tuple[str, str | None]] = []
        names: set[str] = set()
        while self._next_attribute():
            name, value = self._attribute(target)
            if name in names:
                self._tolerate(f"{target}: {name} stands there more than once")
            names.add(name)
            attributes.append((name, value))
        return Link(target, tuple(attributes))

    def _next_attribute(self) -> bool:
        """Step over a semicolon; blanks around it only if there is one."""
        if not self.text.startswith(";", self._after_blanks()):
            return False
        self._blanks()
        self.at += 1
        self._blanks()
        if self.at == len(self.text) or self.text[self.at] == ",":
            self._tolerate("semicolon without an attribute")
            return False
        return True

    def _attribute(self, target: str) -> tuple[str, str | None]:
        match = _ATTRIBUTE.match(self.text, self.at)
        if match is None:
            raise self._error("expected an attribute such as ver=1.1")
        name, quoted, token = match.groups()
        if self.text.startswith("=", match.end()):
            raise self._error(f"{target}: {name} has no value after its equals sign, or an unclosed one")
        if quoted is not None and name == "ver":
            # LwM2M 1.0 clients do this in good faith; the grammar of 1.1 has no quotes there.
            self._tolerate(f"{target}: ver in quotes")
        self.at = match.end()
        return name, token if quoted is None else _ESCAPED.sub(r"\1", quoted)

    def _blanks(self) -> None:
        after = self._after_blanks()
        if after > self.at:
            self._tolerate("blank between links")
            self.at = after

    def _after_blanks(self) -> int:
        at = self.at
        while self.text[at : at + 1] and self.text[at] in _BLANKS:
            at += 1
        return at

    def _tolerate(self, fault: str) -> None:
        if self.strict:
            raise self._error(fault)
        self.warnings[fault] = None

    def _error(self, reason: str) -> DecodeError:
        return _error(reason, self.text, self.at)


def _error(reason: str, text: str, at: int) -> DecodeError:
    offset = len(text[:at].encode("utf-8", "surrogatepass"))
    return DecodeError(reason, content_format=ContentFormat.LINK_FORMAT, offset=offset)


# --- writing ---------------------------------------------------------------------------------------

_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)*")


def format_links(links: tuple[Link, ...] | list[Link]) -> str:
    """Link-format text; numbers and versions stand without quotes, everything else with them."""
    return ",".join(_format_link(link) for link in links)


def _format_link(link: Link) -> str:
    return f"<{link.target}>" + "".join(_format_attribute(*attribute) for attribute in link.attributes)


def _format_attribute(name: str, value: str | None) -> str:
    if value is None:
        return f";{name}"
    if _PLAIN.fullmatch(value):
        return f";{name}={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f';{name}="{escaped}"'


# --- object lists ----------------------------------------------------------------------------------

_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_VERSION_LIKE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?(?:\.[0-9]{1,3})*")


def announced(links: tuple[Link, ...], version: str, strict: bool = False) -> Announced:
    """What the links of a Register or Update announce; ``version`` is the client's enabler version.

    Raises ``DecodeError`` with ``strict`` for what is otherwise taken with a warning: links below the
    root that are no LwM2M path, and a ``ver`` that is no ``major.minor`` or stands on an Instance.
    """
    if len(links) <= CACHED_LINKS:
        return _announced_short(links, version, strict)
    return (_announced_long if len(links) <= LONG_LINKS else _announced)(links, version, strict)


def _announced(links: tuple[Link, ...], version: str, strict: bool) -> Announced:
    return _Announcement(strict).read(links, version)


_announced_short, _announced_long = lru_cache(MOST_SHORT)(_announced), lru_cache(MOST_LONG)(_announced)


class _Announcement:
    """Collects the facts of one object list."""

    __slots__ = ("extra", "instances", "objects", "strict", "warnings")

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.objects: dict[int, str | None] = {}
        self.instances: set[Path] = set()
        self.extra: list[Link] = []
        self.warnings: list[str] = []

    def read(self, links: tuple[Link, ...], version: str) -> Announced:
        root_link = _root_link(links)
        root = root_link.target.rstrip("/") if root_link is not None else ""
        for link in links:
            if link is not root_link:
                self._take(link, root)
        return Announced(
            root=root or "/",
            objects=dict(sorted(self.objects.items())),
            instances=tuple(sorted(self.instances)),
            formats=_formats(root_link, version),
            extra=tuple(self.extra),
            warnings=tuple(self.warnings),
        )

    def _take(self, link: Link, root: str) -> None:
        if not link.target.startswith(root + "/"):
            self.extra.append(link)
            return
        path = _path(link.target[len(root) :])
        if path is None:
            self._tolerate(f"{link.target} is no LwM2M path")
        if path is None or not 1 <= len(path) <= 2:
            self.extra.append(link)
            return
        announced_version = self._version(link, path)
        if self.objects.get(path[0]) is None or len(path) == 1:
            self.objects[path[0]] = announced_version or self.objects.get(path[0])
        if len(path) == 2:
            self.instances.add(path)

    def _version(self, link: Link, path: Path) -> str | None:
        text = link.get("ver")
        if text is None:
            return None
        if len(path) == 2:
            self._tolerate(f"{path}: ver belongs on /{path[0]}")
        if _VERSION.fullmatch(text):
            return text
        self._tolerate(f"{path}: ver={text} is not a version such as 1.1")
        match = _VERSION_LIKE.fullmatch(text)
        return f"{match[1]}.{match[2] or 0}" if match is not None else None

    def _tolerate(self, fault: str) -> None:
        if self.strict:
            raise DecodeError(fault, content_format=ContentFormat.LINK_FORMAT)
        self.warnings.append(fault)


def _root_link(links: tuple[Link, ...]) -> Link | None:
    """The link with ``rt="oma.lwm2m"``, else a plain ``</>``."""
    for link in links:
        if ROOT_TYPE in (link.get("rt") or "").split():
            return link
    return next((link for link in links if link.target == "/"), None)


def _path(target: str) -> Path | None:
    try:
        return Path(target)
    except PathError:
        return None


def _formats(root_link: Link | None, version: str) -> tuple[int, ...]:
    attributes = root_link.attributes if root_link is not None else ()
    words = [word for name, value in attributes if name == "ct" and value for word in value.split()]
    # A Content-Format is 16 bits (RFC 7252, 12.3); anything else in the list names none.
    numbers = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) <= 5]
    if version == "1.0":
        numbers.append(ContentFormat.TLV)
    return tuple(dict.fromkeys(int(number) for number in numbers if number <= 65535))
