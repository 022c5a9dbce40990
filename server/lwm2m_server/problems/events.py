"""From what engines report to problems: messages, payloads, mappings, profiles."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from lwm2m_engine.coap import dotted, is_success
from lwm2m_engine.engine.events import Event, Failed, Received, Registered, Updated, Warned
from lwm2m_engine.engine.records import Registration
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.bus import Bus
from lwm2m_server.notes import SECRET
from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import SUBJECTS, WINDOW, Problems
from lwm2m_server.store.records import DeviceRef

UNAUTHORIZED: Final = 0x81
ABOUT: Final = {"mapping": kinds.MAPPING, "profile": kinds.PROFILE}
_WISHED: Final = frozenset({"cancelled"})
"""How messages end that nobody has to mend."""


class Watch:
    """Listens on the bus. Most events are nothing to it, which it tells at the first look."""

    def __init__(
        self,
        problems: Problems,
        ref: Callable[[str], DeviceRef | None],
        models: Callable[[str, str], ModelView],
    ) -> None:
        """``ref`` gives the device of an endpoint name, ``models`` those of a tenant's endpoint."""
        self._problems, self._ref, self._models = problems, ref, models
        self._since = float("-inf")
        self._strange: set[tuple[int, tuple[int, ...]]] = set()
        """Noted since then: node, and Object and Resource."""

    def listen(self, bus: Bus) -> Collection[Callable[[], None]]:
        """Returns what ends it."""
        return (
            bus.subscribe(self._received, Received),
            bus.subscribe(self._failed, Failed),
            bus.subscribe(self._warned, Warned),
            bus.subscribe(self._registered, Registered),
            bus.subscribe(self._updated, Updated),
        )

    def strange(self, device: DeviceRef, paths: Collection[Path], at: float) -> None:
        """Values of Resources without a model; one problem for all devices that have them.

        They may come with each notification, so each is noted once a minute of each device.
        """
        if not self._since <= at < self._since + WINDOW:
            self._since = at
            self._strange.clear()
        for path in {path[:3:2] for path in paths}:
            if (device.node, path) in self._strange or len(self._strange) >= SUBJECTS:
                continue
            self._strange.add((device.node, path))
            object_id, resource = path[0], path[-1]
            spec = self._models(device.tenant, device.endpoint).object(object_id)
            if spec is None:
                self._unknown_object(device, object_id, at)
                continue
            self._problems.note(
                kinds.UNKNOWN,
                f"the Resource {object_id}/*/{resource} is not in the model of the Object "
                f"{object_id} ({spec.name}) in version {spec.version}",
                tenant=device.tenant,
                same=f"{object_id}/{spec.version}/{resource}",
                by=str(device.node),
                at=at,
                object=object_id,
                version=spec.version,
                resource=resource,
                example=device.name,
            )

    def unmapped(self, device: DeviceRef, name: str, why: str, at: float) -> None:
        """A management object that the target system has no place for."""
        self._problems.note(
            kinds.MAPPING,
            f"the management object {name} cannot be kept: {why}",
            tenant=device.tenant,
            same=name,
            node=device.node,
            device=device.name,
            at=at,
            endpoint=device.endpoint,
            resource=name,
            error=why,
        )

    def _received(self, tenant: str, event: Event) -> None:
        assert isinstance(event, Received)
        if event.error is not None:
            self._undecodable(tenant, event, event.error)
        elif not is_success(event.code) and event.message is not None and event.message >= 0:
            self._refused(tenant, event)

    def _undecodable(self, tenant: str, event: Received, error: str) -> None:
        node, name = self._who(event.endpoint)
        number = event.content_format
        is_secret = bool(event.path) and event.path[0] in SECRET
        where = f"{event.prefix}{event.path}"
        self._problems.note(
            kinds.UNDECODABLE,
            f"the {_SOURCES[event.kind]} of {where} could not be decoded: {error}",
            tenant=tenant,
            same=f"{event.kind} {where} {number}",
            node=node,
            device=name,
            at=event.at,
            endpoint=event.endpoint,
            source=event.kind,
            path=where,
            paths=[str(path) for path in event.paths] or None,
            contentFormat=number,
            format=_format(number),
            payload=None if is_secret else event.payload,
            size=len(event.payload),
            error=error,
        )

    def _refused(self, tenant: str, event: Received) -> None:
        node, name = self._who(event.endpoint)
        code, where = dotted(event.code), f"{event.prefix}{event.path}"
        self._problems.note(
            kinds.MESSAGE,
            f"{event.operation} of {where}: the device answered {code}",
            tenant=tenant,
            same=f"{event.operation} {where} {code}",
            node=node,
            device=name,
            at=event.at,
            endpoint=event.endpoint,
            operation=event.operation,
            path=where,
            code=code,
            reason="unauthorized" if event.code == UNAUTHORIZED else "refused",
            diagnostic=event.payload[:200].decode("utf-8", "replace") or None,
        )

    def _failed(self, tenant: str, event: Event) -> None:
        assert isinstance(event, Failed)
        if event.message < 0 or event.reason in _WISHED:
            return
        node, name = self._who(event.endpoint)
        where = f"{event.prefix}{event.path}"
        text = f"{event.operation} of {where}: {event.reason}"
        self._problems.note(
            kinds.MESSAGE,
            f"{text}: {event.detail}" if event.detail else text,
            tenant=tenant,
            same=f"{event.operation} {where} {event.reason}",
            node=node,
            device=name,
            at=event.at,
            endpoint=event.endpoint,
            operation=event.operation,
            path=where,
            reason=event.reason,
            detail=event.detail or None,
        )

    def _warned(self, tenant: str, event: Event) -> None:
        assert isinstance(event, Warned)
        node, name = self._who(event.endpoint)
        kind = ABOUT.get(event.about, kinds.WARNING)
        names = ("plugin", "resource", "rule") if event.about == "mapping" else ("path",)
        self._problems.note(
            kind,
            event.text,
            tenant=tenant,
            same=" ".join(event.place) or event.text,
            node=node,
            device=name,
            at=event.at,
            endpoint=event.endpoint,
            **dict(zip(names, event.place, strict=False)),
        )

    def _registered(self, tenant: str, event: Event) -> None:
        assert isinstance(event, Registered)
        self._look_at(tenant, event.endpoint, event.registration, event.at)

    def _updated(self, tenant: str, event: Event) -> None:
        assert isinstance(event, Updated)
        if event.changed:
            self._look_at(tenant, event.endpoint, event.registration, event.at)

    def _look_at(self, tenant: str, endpoint: str, registration: Registration, at: float) -> None:
        """What a device announces is to be known."""
        models = self._models(tenant, endpoint)
        for number in registration.objects:
            if models.object(number) is None and (device := self._ref(endpoint)) is not None:
                self._unknown_object(device, number, at)

    def _unknown_object(self, device: DeviceRef, number: int, at: float) -> None:
        version = self._models(device.tenant, device.endpoint).version(number)
        self._problems.note(
            kinds.UNKNOWN,
            f"there is no model of the Object {number}, version {version}",
            tenant=device.tenant,
            same=f"{number}/{version}",
            by=str(device.node),
            at=at,
            object=number,
            version=version,
            example=device.name,
        )

    def _who(self, endpoint: str) -> tuple[int, str]:
        found = self._ref(endpoint)
        return (0, endpoint) if found is None else (found.node, found.name)


_SOURCES: Final = {"response": "answer", "notification": "notification", "send": "Send"}


def _format(number: int | None) -> str | None:
    try:
        return None if number is None else ContentFormat(number).label
    except ValueError:
        return None
