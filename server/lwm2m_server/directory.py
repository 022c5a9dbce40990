"""``Directory``: who is who. Endpoint names, the nodes they stand for, and who sent a request."""

from __future__ import annotations

from collections.abc import Iterable

from lwm2m_engine.coap import CoapRequest, Code, Peer
from lwm2m_engine.engine import Engine
from lwm2m_engine.engine.events import Deregistered, Event, Expired, Registered
from lwm2m_engine.errors import RequestError
from lwm2m_server.store.records import Device, DeviceRef

_NOTED = frozenset({Registered, Deregistered, Expired})


class Directory:
    """The devices the engines know at present, by the name they know them by."""

    def __init__(self) -> None:
        self._refs: dict[str, DeviceRef] = {}
        self._registrations: dict[str, str] = {}
        """Id of each durable registration -> endpoint name."""

    def __contains__(self, key: str) -> bool:
        return key in self._refs

    @property
    def registered(self) -> int:
        """How many of them have a registration."""
        return len(self._registrations)

    def get(self, key: str) -> DeviceRef | None:
        return self._refs.get(key)

    def all(self, keys: Iterable[str]) -> list[DeviceRef | None]:
        """The same for many."""
        return list(map(self._refs.get, keys))

    def add(self, ref: DeviceRef) -> None:
        self._refs[ref.endpoint] = ref

    def enter(self, device: Device, key: str) -> DeviceRef:
        """A device from the ledger, under the name its engine gets to know."""
        ref = DeviceRef(device.node, device.tenant, device.name, key)
        self._refs[key] = ref
        if device.registration is not None:
            self._registrations[device.registration.id] = key
        return ref

    def remove(self, key: str) -> DeviceRef | None:
        return self._refs.pop(key, None)

    def note(self, event: Event) -> None:
        """A registration came or went; to be told when that is durable."""
        if event.__class__ not in _NOTED:
            return
        if isinstance(event, Registered):
            self._registrations.pop(event.replaced or "", None)
            self._registrations[event.registration.id] = event.endpoint
        elif isinstance(event, (Deregistered, Expired)):
            self._registrations.pop(event.registration.id, None)

    def sender(self, request: CoapRequest, peer: Peer, engines: Iterable[Engine]) -> str | None:
        """Who sent a request: by its endpoint name, its registration, or its address.

        Raises ``RequestError`` for a name that no device may have.
        """
        path = request.path
        if len(path) == 2 and path[0] == "rd":
            return self._registrations.get(path[1])
        if path == ("rd",):
            named = (text[3:] for text in request.query if text.startswith("ep="))
            endpoint = next(named, "") or peer.identity or ""
            if "\0" in endpoint:
                raise RequestError(Code.BAD_REQUEST, "an endpoint name has no NUL in it")
            return endpoint
        known = (engine.endpoint_of(peer) for engine in engines)
        return next((endpoint for endpoint in known if endpoint is not None), None)


def key_of(device: Device) -> str:
    """The name the engine knows a device by; before it ever registered, one that no client can have."""
    return device.endpoint if device.endpoint is not None else f"\0{device.node}"
