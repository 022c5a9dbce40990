"""What happened to a device, as a line in the ledger's journal, and read from there again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import attrs
import orjson

from lwm2m_server.store.records import DeviceRef

KINDS: Final = (
    "registered",
    "updated",
    "deregistered",
    "expired",
    "awake",
    "sleeping",
    "sent",
    "response",
    "notification",
    "send",
    "error",
    "managed",
    "update",
    "warning",
)
"""What may happen; the message of the first six and of ``warning`` is a line of ``logs``."""


_AS_NAMED: Final = "null"
"""Of an endpoint name that the node has, too."""


@attrs.frozen(slots=True)
class Happening:
    """``message`` is what stands in ``received-msg``, ``error-msg`` or ``logs``, or looks like it."""

    number: int
    """Of the events of an installation, in the order they were stored."""
    kind: str
    tenant: str
    node: int
    endpoint: str
    message: dict[str, Any]

    @property
    def device(self) -> str:
        """``rn`` of the node."""
        name: str = self.message["nodeResourceName"]
        return name


def record(device: DeviceRef, kind: str, message: str) -> str:
    """A line; ``message`` is JSON text."""
    endpoint = device.endpoint
    shown = _AS_NAMED if endpoint == device.name else orjson.dumps(endpoint).decode()
    return f'[{_quoted(device.tenant)},{device.node},{shown},"{kind}",{message}]'


def happening(number: int, line: bytes) -> Happening:
    tenant, node, endpoint, kind, message = orjson.loads(line)
    return Happening(number, kind, tenant, node, endpoint or message["nodeResourceName"], message)


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
