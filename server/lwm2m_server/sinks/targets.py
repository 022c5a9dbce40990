"""What the targets of subscriptions mean: URLs, or AEs of the tenant, and what kind of sink these are."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from lwm2m_server.sinks.kinds import POLLING_CHANNEL, WEBHOOK
from lwm2m_server.sinks.protocols import Endpoint, Retry
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Application

KIND_LABEL: Final = "EndpointType:"
PAUSED_LABEL: Final = "Deliveries:paused"
"""Of an AE that gets nothing until it is taken away; its notices wait meanwhile, as long as any do."""
_AE: Final = 2
_CREDENTIALS: Final = re.compile(r"(?<=://)([^/?#@:]*):[^/?#@]*@")


class NoSuchTarget(Retry):
    """Neither a URL nor an AE of the tenant; or one that does not say where it can be reached."""


class Paused(Retry):
    """An operator wants it left alone."""


class Targets:
    """Looks up; asked again for each delivery, since applications move."""

    def __init__(self, inventory: Inventory, installation: str) -> None:
        self._inventory, self._ids = inventory, ResourceIds(installation)

    def resolve(self, tenant: str, target: str) -> Endpoint:
        """Raises ``NoSuchTarget``, ``Paused``."""
        if is_url(target):
            return Endpoint(tenant, WEBHOOK, (target,))
        application = self.application(tenant, target)
        if application is None:
            raise NoSuchTarget(f"there is no application {target}")
        if is_paused(application):
            raise Paused(f"deliveries to {application.name} are paused")
        return endpoint_of(application)

    def application(self, tenant: str, target: str) -> Application | None:
        """By AE-ID, name or resource id, alone or behind the tenant's name."""
        names = [name for name in target.split("/") if name and name != "~"]
        if len(names) == 2 and names[0] == tenant:
            del names[0]
        if len(names) != 1:
            return None
        (name,) = names
        found = self._inventory.application_by_aei(tenant, name) or self._inventory.application(tenant, name)
        if found is not None:
            return found
        parsed = self._ids.parse(name)
        if parsed is None or parsed[1] != _AE:
            return None
        found = self._inventory.application_by_id(parsed[0])
        return found if found is not None and found.tenant == tenant else None


def endpoint_of(application: Application) -> Endpoint:
    """Where it wants its notices, paused or not."""
    attributes = application.attributes
    addresses = tuple(attributes.get("poa") or ())
    if not addresses:
        return Endpoint(application.tenant, POLLING_CHANNEL, (application.aei,))
    labels = tuple(attributes.get("lbl") or ())
    headers = tuple(attributes.get("poah") or ())
    return Endpoint(application.tenant, _kind(labels), addresses, headers, labels)


def is_paused(application: Application) -> bool:
    return PAUSED_LABEL in (application.attributes.get("lbl") or ())


def is_url(target: str) -> bool:
    return "://" in target


def check_url(url: str) -> str:
    """Raises ``ValueError`` with a sentence for what no notice can be posted to; returns the host."""
    if any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("a URL has no blanks and no control characters")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{parts.scheme[:20]}: is not http or https")
    if not parts.hostname:
        raise ValueError("it names no host")
    _ = parts.port  # raises ValueError, too
    return parts.hostname


def masked(address: str) -> str:
    """Without the password that may be in it, to be shown and told."""
    return _CREDENTIALS.sub(r"\1:***@", address)


def _kind(labels: tuple[str, ...]) -> str:
    kinds = [label[len(KIND_LABEL) :].strip() for label in labels if label.startswith(KIND_LABEL)]
    return kinds[0] if kinds else WEBHOOK
