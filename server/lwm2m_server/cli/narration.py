"""Engine events as lines a person can follow; what ``lwm2m demo`` prints while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import singledispatchmethod

import attrs

from lwm2m_engine.coap import dotted, is_success
from lwm2m_engine.engine.events import (
    Asleep,
    Awake,
    Deregistered,
    Event,
    Expired,
    Failed,
    ManagedChanged,
    Queued,
    Received,
    Registered,
    Warned,
)
from lwm2m_engine.engine.records import Registration
from lwm2m_engine.entries import Entry
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.cli.values import literal, quantity

METHODS = {
    "read": "GET",
    "write": "PUT",
    "execute": "POST",
    "create": "POST",
    "delete": "DELETE",
    "discover": "DISCOVER",
    "write-attributes": "PUT",
    "observe": "OBSERVE",
    "cancel": "CANCEL",
}
"""How messages to a device spell each operation."""

SHOWN_VALUES = 3


@attrs.frozen
class Narrator:
    """Turns events into lines.

    ``catalog`` gives the models in force; ``sources`` names the Resources an attribute of a managed
    resource is made from. Names in ``quiet`` are not narrated: of a thousand simulated devices
    nobody wants to read.
    """

    catalog: Callable[[], Catalog]
    sources: Callable[[str, str], Sequence[Path]]
    write: Callable[[str], object]
    quiet: frozenset[str] = frozenset()
    _registrations: dict[str, Registration] = attrs.field(factory=dict, init=False)

    def __call__(self, tenant: str, event: Event) -> None:
        """A listener of the bus."""
        if event.endpoint in self.quiet:
            return
        told = self._tell(event)
        if told:
            clock = time.strftime("%H:%M:%S", time.localtime(event.at))
            self.write(f"{clock} {event.endpoint} {told}")

    @singledispatchmethod
    def _tell(self, event: Event) -> str:
        return ""

    @_tell.register
    def _(self, event: Registered) -> str:
        registration = self._registrations[event.endpoint] = event.registration
        objects = " ".join(map(str, sorted(registration.objects)))
        lifetime = f"lifetime {registration.lifetime} s"
        return f"registered   LwM2M {registration.version}, {lifetime}, objects {objects}"

    @_tell.register
    def _(self, event: Received) -> str:
        if event.kind == "response":
            method = METHODS.get(event.operation, event.operation)
            head = f"{method} {event.path} -> {dotted(event.code)}"
        else:
            head = f"{event.kind} {event.path}"
        if event.error:
            return f"{head}  not decoded: {event.error}"
        if not event.entries or not is_success(event.code):
            return head
        return f"{head}  {summary(event.entries, self._models(event.endpoint))}"

    def _models(self, endpoint: str) -> ModelView:
        registration = self._registrations.get(endpoint)
        if registration is None:
            return self.catalog()
        return self.catalog().view(registration.version, registration.objects)

    @_tell.register
    def _(self, event: ManagedChanged) -> str:
        name = event.change.name
        parts = [
            " ".join([attribute, literal(value), *self._arrow(name, attribute)])
            for attribute, value in event.change.changed.items()
        ]
        return f"{event.change.kind.partition(':')[2]}   {' · '.join(parts)}"

    def _arrow(self, name: str, attribute: str) -> list[str]:
        paths = [str(path) for path in self.sources(name, attribute)]
        return ["<-", *paths] if paths else []

    @_tell.register
    def _(self, event: Queued) -> str:
        method = METHODS.get(event.message.request.operation, event.message.request.operation)
        return f"message accepted: {method} {event.message.request.path}"

    @_tell.register
    def _(self, event: Failed) -> str:
        method = METHODS.get(event.operation, event.operation)
        return f"{method} {event.path} failed: {event.reason} {event.detail}".rstrip()

    @_tell.register
    def _(self, event: Asleep) -> str:
        return "asleep (queue mode); messages to it wait for its next Update"

    @_tell.register
    def _(self, event: Awake) -> str:
        return "awake"

    @_tell.register
    def _(self, event: Deregistered) -> str:
        return "deregistered"

    @_tell.register
    def _(self, event: Expired) -> str:
        return f"expired   silent for its lifetime of {event.registration.lifetime} s"

    @_tell.register
    def _(self, event: Warned) -> str:
        return f"tolerated: {event.text}"


def summary(entries: Iterable[Entry], models: ModelView) -> str:
    """``16 values: Manufacturer "ACME", Battery Level 72 %, …``; the telling ones first."""
    known = list(entries)
    named = [(entry, models.resource(entry.path)) for entry in known]
    # A unit makes a number mean something; the first value usually says who is talking.
    telling = [
        (entry, spec) for index, (entry, spec) in enumerate(named) if spec and (index == 0 or spec.units)
    ]
    chosen = (telling or named)[:SHOWN_VALUES]
    texts = [
        f"{spec.name if spec else entry.path} {quantity(entry.value, spec.units if spec else '')}"
        for entry, spec in chosen
    ]
    count = f"{len(known)} value{'s' if len(known) != 1 else ''}"
    return f"{count}: {', '.join(texts)}{', …' if len(known) > len(chosen) else ''}"
