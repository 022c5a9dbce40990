"""``Hooks``: what the engine asks of the world above it while it runs. ``PluginManager`` is one."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lwm2m_engine.coap import CoapRequest, Code, Peer
from lwm2m_engine.engine.events import Event
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.messages.uplink import Register
from lwm2m_engine.paths import Path


@attrs.frozen(slots=True)
class Verdict:
    """Whether a client may register; ``code`` and ``reason`` tell it why not."""

    allowed: bool
    code: int = Code.FORBIDDEN
    reason: str = ""


class Hooks:
    """The engine's questions, each with the answer of a world without plugins.

    Implementations must not raise: whoever runs foreign code behind a hook catches and reports.
    """

    __slots__ = ()

    def admit(self, register: Register, peer: Peer, known: bool) -> Verdict | None:
        """May this client register? ``known`` if it may by configuration; ``None`` leaves it at that."""
        return None

    def mgmt_command(self, command: ManagedCommand) -> Sequence[Request] | None:
        """What to ask of a device whose managed resource an application changes; ``None`` leaves that to the
        rules. The one that may raise: ``RequestError`` refuses the change."""
        return None

    def outgoing(self, endpoint: str, request: CoapRequest) -> CoapRequest | None:
        """Another request to send in place of ``request``; ``None`` sends it as it is."""
        return None

    def rescue_payload(
        self, endpoint: str, path: Path, content_format: int, payload: bytes, error: CodecError
    ) -> Sequence[Entry] | None:
        """What a payload means that no codec could read; ``None`` if that remains unknown."""
        return None

    def event(self, event: Event) -> None:
        """Something happened."""
