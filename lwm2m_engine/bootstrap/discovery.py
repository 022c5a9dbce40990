"""``Inventory``: what a client has before its bootstrap, as its Bootstrap-Discover tells."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from lwm2m_engine.bootstrap.config import SECURITY
from lwm2m_engine.coap import CoapReply
from lwm2m_engine.errors import PathError
from lwm2m_engine.links import Link, parse_links
from lwm2m_engine.paths import Path


@attrs.frozen(slots=True)
class Found:
    """An Object Instance a client has."""

    short_id: int | None = None
    """Of the server it belongs to (``ssid``); the bootstrap server has none."""
    uri: str | None = None


@attrs.frozen(slots=True)
class Inventory:
    """What was found so far. Nothing, if the client does not know Bootstrap-Discover."""

    version: str | None = None
    """The enabler version it names."""
    instances: Mapping[Path, Found] = attrs.field(factory=dict)

    @property
    def bootstrap_account(self) -> Path | None:
        """The Security Instance of the bootstrap server: the one without ``ssid`` (6.1.7.3)."""
        return next((path for path, found in self._accounts() if found.short_id is None), None)

    def account(self, short_id: int) -> Path | None:
        """The Security Instance of an LwM2M server."""
        return next((path for path, found in self._accounts() if found.short_id == short_id), None)

    def _accounts(self) -> list[tuple[Path, Found]]:
        return [(path, found) for path, found in sorted(self.instances.items()) if path[0] == SECURITY]

    def with_answer(self, reply: CoapReply) -> Inventory:
        """And what an answer adds; raises ``DecodeError`` for one that is no link-format."""
        links, _ = parse_links(reply.payload)
        version, found = self.version, dict(self.instances)
        for link in links:
            if link.target == "/":
                version = link.get("lwm2m") or version
            path = _instance(link)
            if path is not None:
                found[path] = Found(_short_id(link), link.get("uri"))
        return Inventory(version, found)


def _instance(link: Link) -> Path | None:
    try:
        path = Path(link.target)
    except PathError:
        return None
    return path if len(path) == 2 else None


def _short_id(link: Link) -> int | None:
    text = link.get("ssid") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None
