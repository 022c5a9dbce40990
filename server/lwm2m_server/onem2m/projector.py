"""``Projector``: the door facts enter the oneM2M tree through: engine events to ledger writes.

Everything is worked out when an event is planned; the write that comes back runs in the ledger's writer
and touches nothing but the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lwm2m_engine.coap import Code, dotted, is_success
from lwm2m_engine.engine.events import (
    Answered,
    Asleep,
    Awake,
    Deregistered,
    Event,
    Expired,
    Failed,
    Held,
    InputsChanged,
    ManagedChanged,
    ObservationEnded,
    Observed,
    Received,
    Registered,
    RegistrationChanged,
    Sent,
    Started,
    Updated,
    Warned,
)
from lwm2m_engine.engine.records import Registration
from lwm2m_engine.mapping.managed import AttributeValue, ManagedChange
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.onem2m import content
from lwm2m_server.onem2m.answers import Answers
from lwm2m_server.onem2m.behaviours.commands import is_command
from lwm2m_server.onem2m.behaviours.nodes import ERRORS, RECEIVED, SENT, is_born_with
from lwm2m_server.onem2m.happenings import record
from lwm2m_server.onem2m.names import UnknownName, managed
from lwm2m_server.onem2m.notify.notices import Notices
from lwm2m_server.onem2m.rendering import MGMT_OBJ
from lwm2m_server.onem2m.rights import explain
from lwm2m_server.onem2m.rows import Rows, Write, together
from lwm2m_server.settings import Settings
from lwm2m_server.store.errors import ContainerFull
from lwm2m_server.store.ids import SECOND, Ids, NodeIds, ResourceIds
from lwm2m_server.store.records import DeviceRef, Resource
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.telemetry import recording as telemetry


class Projector:
    """Plans what each event changes in the ledger. Called on the loop, in order of the events.

    What becomes of the server's own requests (``Asks``: their numbers are negative) is theirs to keep.
    """

    def __init__(
        self,
        ids: Ids,
        resource_ids: ResourceIds,
        settings: Settings,
        notices: Notices,
        answers: Answers | None = None,
    ) -> None:
        """``answers`` hears which row is the answer to a message."""
        self._ids, self._notices = ids, notices
        self._rows = Rows(ids, resource_ids, notices, answers)
        self._extras = settings.message_extras
        self._log_updates_every = settings.devices.log_updates_every
        self._logged: dict[int, float] = {}
        """When an Update of a node last left a line, if no other line about its life came after it."""
        self._newborn: DeviceRef | None = None
        self._born_at: float | None = None
        self.on_strange: Callable[[DeviceRef, Sequence[Path], float], object] = lambda device, paths, at: None
        """Hears of values whose Resources have no model, and when they came."""
        self.on_unmapped: Callable[[DeviceRef, str, str, float], object] = lambda device, name, why, at: None
        """Hears of a management object that oneM2M has no place for, by its name."""

    def admitted(self, device: DeviceRef) -> None:
        """A node is made for the device, in the step whose events are planned next."""
        self._newborn, self._born_at = device, None

    def made(self, write: Transaction, node: Resource) -> None:
        """A node was stored for a device."""
        self._notices.created(write, node.parent, node)

    def plan(self, event: Event, device: DeviceRef, models: Callable[[str], ModelView]) -> Write | None:
        """The write an event asks for; ``None`` if there is nothing to keep. ``models`` gives those of an
        endpoint.

        The write raises ``Gone`` for a node removed meanwhile, ``Conflict`` for an endpoint name that
        another node has.
        """
        if event.__class__ is Received:
            return self._received(event, device, models(event.endpoint))
        plan = _PLANS.get(event.__class__)
        return plan(self, event, device) if plan is not None else None

    # --- registration --------------------------------------------------------------------------------

    def _registered(self, event: Registered, device: DeviceRef) -> Write:
        if device is self._newborn:
            self._born_at = event.at
        line = self._life(device, event.at, "registered", _summary(event.registration))
        node, registration, liveness, at = device.node, event.registration, event.liveness, event.at
        return together(lambda write: write.put_registration(node, registration, liveness, at), line)

    def _updated(self, event: Updated, device: DeviceRef) -> Write:
        node, at, registration = device.node, event.at, event.registration
        heard = self._heard(event, node)
        if event.changed:
            line = self._life(device, at, "updated", _summary(registration))
            return together(lambda write: write.change_registration(node, registration), heard, line)
        last = self._logged.get(node)
        if last is not None and at < last + self._log_updates_every:
            return heard
        self._logged[node] = at
        return together(heard, self._rows.line(device, at, "updated"))

    def _heard(self, event: Updated, node: int) -> Write:
        at, liveness = event.at, event.liveness
        if event.moved:
            return lambda write: write.touch(node, liveness, at)
        return lambda write: write.renew(node, at, liveness.expires_at)

    def _registration_changed(self, event: RegistrationChanged, device: DeviceRef) -> Write:
        return lambda write: write.change_registration(device.node, event.registration)

    def _ended(self, event: Deregistered | Expired, device: DeviceRef) -> Write:
        expired = isinstance(event, Expired)
        line = self._life(device, event.at, "expired" if expired else "deregistered")
        return together(lambda write: write.end_registration(device.node, event.at, expired=expired), line)

    def _awake(self, event: Awake, device: DeviceRef) -> Write:
        return self._life(device, event.at, "awake")

    def _asleep(self, event: Asleep, device: DeviceRef) -> Write:
        return self._life(device, event.at, "sleeping")

    def _warned(self, event: Warned, device: DeviceRef) -> Write:
        return self._rows.line(device, event.at, "warning", event.text)

    def _life(self, device: DeviceRef, at: float, name: str, text: str = "") -> Write:
        """A line that the next Update has one after, whenever it comes."""
        self._logged.pop(device.node, None)
        return self._rows.line(device, at, name, text)

    # --- messages ------------------------------------------------------------------------------------

    def _received(self, event: Received, device: DeviceRef, models: ModelView) -> Write | None:
        if unknown := telemetry.unknown(event, models):
            self.on_strange(device, unknown, event.at)
        told = telemetry.record(event, device.node, models)
        if event.message is not None and event.message < 0:
            return told
        message = self._message_of(event, device, models)
        return message if told is None else together(message, told)

    def _message_of(self, event: Received, device: DeviceRef, models: ModelView) -> Write:
        request_id = self._rows.request_id(event.message)
        body = content.received(event, device.name, models, request_id, extras=self._extras)
        answer = self._rows.add(device, event.at, RECEIVED, event.kind, body, event.message)
        if event.message is None or (event.error is None and is_success(event.code)):
            return answer
        reason, detail = "decode", event.error
        if detail is None and event.code == Code.UNAUTHORIZED:
            reason, detail = "unauthorized", explain(event.operation, event.path)
        elif detail is None:
            reason, detail = "refused", f"the device answered {dotted(event.code)}"
        body = content.failed(event, device.name, request_id, reason=reason, detail=detail)
        problem = self._rows.add(device, event.at, ERRORS, "error", body)
        return together(answer, problem if reason != "refused" else _of_command(problem, device))

    def _started(self, event: Started, device: DeviceRef) -> Write | None:
        if event.at_once or event.message < 0:
            # Whoever stores it stores it as started.
            return None
        return lambda write: write.mark_in_flight(event.message, True)

    def _held(self, event: Held, device: DeviceRef) -> Write | None:
        if event.message < 0:
            return None
        return lambda write: write.mark_in_flight(event.message, False)

    def _sent(self, event: Sent, device: DeviceRef) -> Write | None:
        if event.message < 0:
            return None
        id, own = self._ids.next(), NodeIds(device.node)
        message, outgoing, sent = event.message, own.outgoing, own.sent
        note = record(device, "sent", content.sent(device.name, event.at, self._rows.request_id(message)))

        def move(write: Transaction) -> None:
            write.note_event(note)
            if not event.answered:
                write.await_answer(device.node, message)
            try:
                self._notices.move(write, message, outgoing, sent, id)
            except ContainerFull as error:
                self._rows.refuse(write, error, device, event.at, SENT)

        return move

    def _answered(self, event: Answered, device: DeviceRef) -> Write | None:
        if event.message < 0:
            return None
        return lambda write: write.end_awaiting(event.message)

    def _failed(self, event: Failed, device: DeviceRef) -> Write | None:
        if event.message < 0:
            return None
        request_id = self._rows.request_id(event.message)
        body = content.failed(event, device.name, request_id, reason=event.reason, detail=event.detail)
        problem = self._rows.add(device, event.at, ERRORS, "error", body, event.message)
        outgoing = NodeIds(device.node).outgoing

        def remove(write: Transaction) -> None:
            self._notices.remove(write, outgoing, event.message)
            write.end_awaiting(event.message)

        return together(remove, problem)

    # --- observations and managed resources ----------------------------------------------------------

    def _observed(self, event: Observed, device: DeviceRef) -> Write:
        return lambda write: write.put_observation(device.node, event.observation)

    def _observation_ended(self, event: ObservationEnded, device: DeviceRef) -> Write | None:
        """What is wanted still is kept; the engine asks for it again."""
        if event.reason == "registration":
            # The row tells by its registration that it is of one that is over.
            return None
        if event.reason == "suspended":
            return lambda write: write.put_observation(device.node, event.observation)
        return lambda write: write.remove_observation(event.observation.token)

    def _inputs_changed(self, event: InputsChanged, device: DeviceRef) -> Write:
        inputs = _clean_inputs(event.inputs)
        return lambda write: write.set_inputs(device.node, inputs)

    def _managed_changed(self, event: ManagedChanged, device: DeviceRef) -> Write | None:
        change = event.change
        try:
            whole = managed(change.kind, _cleaned(change.attributes))
            changed = whole.attributes
            if change.changed.keys() != change.attributes.keys():
                changed = managed(change.kind, _cleaned(change.changed)).attributes
        except UnknownName as error:
            self.on_unmapped(device, change.name, str(error), event.at)
            return self._rows.line(device, event.at, "warning", f"{change.name}: {error}")
        is_newborn = device is self._newborn and event.at == self._born_at
        if is_newborn and is_born_with(device.name, change.name, whole.key, changed):
            return None
        id, modified = self._ids.next(), int(event.at * SECOND)
        new = {"mgd": whole.mgd, **_places(change, whole.key), **whole.attributes}
        created = Resource(
            id, device.tenant, device.node, change.name, MGMT_OBJ, whole.key, new, max(modified, id)
        )

        body = content.managed(device.name, event.at, change.name, whole.key, changed)
        note = record(device, "managed", body)

        def clash(write: Transaction) -> None:
            text = f"{change.name} is no {whole.key}; {change.kind} is not kept"
            self._rows.line(device, event.at, "warning", text)(write)

        def manage(write: Transaction) -> None:
            known = write.child(device.node, change.name)
            if known is None:
                write.put(created)
                self._notices.created(write, device.node, created)
                write.note_event(note)
            elif known.key != whole.key:
                clash(write)
            elif not changed.items() <= known.attributes.items():
                after = write.change(known.id, {**known.attributes, **changed}, modified)
                if after is not None:
                    self._notices.updated(write, known, after)
                write.note_event(note)

        return manage


_PLANS: Mapping[type, Callable[[Projector, Any, DeviceRef], Write | None]] = {
    Registered: Projector._registered,
    Updated: Projector._updated,
    RegistrationChanged: Projector._registration_changed,
    Deregistered: Projector._ended,
    Expired: Projector._ended,
    Awake: Projector._awake,
    Asleep: Projector._asleep,
    Warned: Projector._warned,
    Started: Projector._started,
    Held: Projector._held,
    Sent: Projector._sent,
    Answered: Projector._answered,
    Failed: Projector._failed,
    Observed: Projector._observed,
    ObservationEnded: Projector._observation_ended,
    InputsChanged: Projector._inputs_changed,
    ManagedChanged: Projector._managed_changed,
}
"""By event; ``Queued`` is not here, because whoever submits a message also stores it."""


def _of_command(problem: Write, device: DeviceRef) -> Write:
    """Who wrote to a management object does not look for answers of the device. What is answered is what was
    sent last: a device has one request under way."""

    def run(write: Transaction) -> None:
        sent = write.latest(NodeIds(device.node).sent)
        if sent is not None and is_command(sent):
            problem(write)

    return run


def _places(change: ManagedChange, key: str) -> dict[str, Any]:
    """Where a management object comes from (TS-0005, 6.2). Of deviceInfo the D2C documents show nothing else
    than its values."""
    if not change.places or key == "m2m:dvi":
        return {}
    return {
        "obis": [urn for urn, _ in change.places],
        "obps": [str(path) for _, path in change.places],
    }


def _summary(registration: Registration) -> str:
    return content.summary(
        registration.version, registration.lifetime, registration.queue_mode, tuple(registration.objects)
    )


def _clean_inputs(inputs: tuple[tuple[Path, Value | None], ...]) -> dict[Path, Value | None]:
    return {path: content.clean(value) if isinstance(value, str) else value for path, value in inputs}


def _clean(value: AttributeValue) -> Any:
    match value:
        case dict():
            return {content.clean(name): _clean(one) for name, one in value.items()}
        case list():
            return [_clean(one) for one in value]
        case _:
            return content.plain(value, None)


def _cleaned(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    return {name: _clean(value) for name, value in attributes.items()}
