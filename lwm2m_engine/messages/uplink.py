"""What a client says to a server: the parsed form of a Register request (LwM2M Core 1.2, 6.2.1)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from lwm2m_engine.links import Link


@attrs.frozen(slots=True)
class Register:
    """A registration request, parsed and not yet admitted."""

    endpoint: str
    version: str
    """Enabler version, ``1.0``, ``1.1`` or ``1.2``."""
    lifetime: int
    """Seconds; 0 means forever (LwM2M 1.2)."""
    binding: str
    queue_mode: bool
    sms: str | None
    attributes: Mapping[str, str]
    """Query parameters LwM2M does not define, kept as they came."""
    links: tuple[Link, ...]
    """The object list as announced, foreign links included."""
    warnings: tuple[str, ...] = ()
    """What a strict server would have refused."""


@attrs.frozen(slots=True)
class Update:
    """A registration update, parsed (LwM2M Core 1.2, 6.2.2); ``None`` where it mentions nothing."""

    lifetime: int | None = None
    """Seconds; 0 means forever (LwM2M 1.2)."""
    binding: str | None = None
    queue_mode: bool | None = None
    """Told by the binding of LwM2M 1.0; later versions register anew to change it."""
    sms: str | None = None
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    """Query parameters LwM2M does not define, kept as they came."""
    links: tuple[Link, ...] | None = None
    """The new object list, which replaces the old one."""
    warnings: tuple[str, ...] = ()
    """What a strict server would have refused."""
