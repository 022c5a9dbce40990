"""How simulated devices update: what they have for it, how long it takes, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from typing import Any, Protocol, TypeVar

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_engine.paths import Path
from lwm2m_server.simulator.downloading import ConnectionLost, Download, InvalidUri, UnsupportedProtocol
from lwm2m_server.simulator.images import Fault, Image, ImageRejected
from lwm2m_server.simulator.tree import Content, Resource

R = TypeVar("R", bound=IntEnum)


class Protocols(IntEnum):
    """Firmware Update Protocol Support (/5/0/8)."""

    COAP, COAPS, HTTP, HTTPS, COAP_TCP, COAP_TLS = range(6)


class Delivery(IntEnum):
    """Firmware Update Delivery Method (/5/0/9)."""

    PULL, PUSH, BOTH = range(3)


class PowerLost(RequestError):
    """Now; what was going on is not finished, and nobody is told."""

    def __init__(self) -> None:
        super().__init__(Code.INTERNAL_SERVER_ERROR, "power lost")


async def fetched(download: Download, results: Mapping[Fault | type[Exception], R]) -> Image | R | None:
    """The image, or the result that says why there is none; ``None`` if the power was lost meanwhile."""
    try:
        return await download.run()
    except PowerLost:
        return None
    except ImageRejected as rejected:
        return results[rejected.fault]
    except (InvalidUri, UnsupportedProtocol, ConnectionLost) as error:
        return results[type(error)]


@attrs.define(slots=True)
class UpdateFaults:
    """What goes wrong with the updates of one device; each may be changed while it runs."""

    result: int | None = None
    """The Update Result (2 to 13) it ends with instead of success, at the step this code belongs to."""
    times: int | None = None
    """How many updates end so; all, if nothing is said."""
    power_loss_at: int | None = None
    """Bytes of an image after which it loses power, once."""
    forgetful: bool = False
    """It does not go on with a download after power was lost."""
    power_loss_installing: bool = False
    """Power is lost while it installs, once: afterwards it runs what it ran before, and knows of nothing."""
    lost: bool = False
    """It does not come back from the restart after an installation."""
    lying: bool = False
    """It reports success, and runs what it ran before."""

    def take_result(self, *codes: int) -> int | None:
        """The result due now, if it is one of these."""
        if self.result not in codes or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.result

    def lose_power(self, host: Host, silence: float, length: int) -> None:
        """Raises ``PowerLost`` when so many bytes of an image are there that it is time."""
        if self.power_loss_at is not None and length >= self.power_loss_at:
            self.power_loss_at = None
            host.restart(silence)
            raise PowerLost


@attrs.frozen(slots=True)
class UpdateOptions:
    """``install`` and ``reboot`` are seconds: before it falls silent, and how long it is. ``software`` is
    how many Instances of Object 9 there are, ``components`` name those of Object 33629."""

    name: str = "firmware"
    protocols: tuple[int, ...] = (Protocols.COAP, Protocols.HTTP)
    delivery: int = Delivery.BOTH
    install: float = 1.0
    reboot: float = 2.0
    software: int = 0
    components: tuple[str, ...] = ()


class Host(Protocol):
    """The device, as its update Objects see it."""

    version: str

    def set(self, path: str | Path, value: Content) -> None:
        """A value changes; observers hear of it."""

    def get(self, path: str | Path) -> Resource:
        """Raises ``RequestError``."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on until the device stops or restarts."""

    def restart(self, silence: float | None) -> None:
        """Power is lost, or taken, now; it is back after so many seconds, or never."""

    def download(self, uri: str, progressed: Callable[[int], None]) -> Download:
        """From there, as this device does it."""
