"""From a payload to facts: decode with the device's models, then run the mappings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeAlias

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.events import InputsChanged, ManagedChanged, Received, Warned
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.mapping.managed import ManagedChange, Outcome
from lwm2m_engine.mapping.table import MappingProblem
from lwm2m_engine.messages.requests import Execute, Request
from lwm2m_engine.messages.wire import below
from lwm2m_engine.model.catalog import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value

Reading: TypeAlias = tuple[tuple[Entry, ...], bytes, str | None]
"""What a payload says; or the payload itself, for it has no values, or cannot be decoded, and why."""


def read(
    state: State,
    device: Device,
    turn: Turn,
    said: CoapReply | CoapRequest,
    path: Path,
    paths: tuple[Path, ...] = (),
    prefix: str = "",
) -> Reading:
    """The values of a payload; of a composite those at or below its ``paths``."""
    if not said.payload and said.content_format is None:
        return (), b"", None
    try:
        entries = _entries(state, device, turn, path, said.payload, said.content_format, prefix)
        if paths:
            _check_asked(entries, paths)
    except CodecError as broken:
        return (), said.payload, str(broken)
    return tuple(entries), b"", None


def report(state: State, device: Device, turn: Turn, received: Received) -> None:
    """Tell what the device said, and what it means for managed resources."""
    turn.tell(received)
    if received.entries and not received.prefix:
        is_history = received.kind == "send"
        apply_mappings(
            state,
            device,
            turn,
            received.entries,
            history=is_history,
            complete=not is_history and not received.paths and len(received.path) < 4,
        )


def begin_mappings(state: State, device: Device, turn: Turn) -> None:
    """What mappings make of the endpoint name alone, and of the announced Object Instances being there."""
    problems: list[MappingProblem] = []
    changes = state.table.begin(device.endpoint, device.inputs, device.managed, problems, _instances(device))
    _tell(device, turn, changes, problems)


def _instances(device: Device) -> Iterator[Path]:
    """Announced ones; of an Object announced without any, that which Objects of one Instance have."""
    if device.registration is None:
        return
    yield from device.registration.instances
    announced = {path[0] for path in device.registration.instances}
    for number in device.registration.objects:
        spec = device.view.object(number) if number not in announced else None
        if spec is not None and not spec.multiple:
            yield Path((number, 0))


def tell_outcome(state: State, device: Device, turn: Turn, request: Request, outcome: Outcome) -> None:
    """An Execute may stand behind an attribute of a managed resource, which tells how it goes."""
    if isinstance(request, Execute) and not request.prefix:
        problems: list[MappingProblem] = []
        changes = state.table.conclude(request.path, outcome, device.managed, problems)
        _tell(device, turn, changes, problems)


def apply_mappings(
    state: State,
    device: Device,
    turn: Turn,
    entries: Sequence[Entry],
    *,
    history: bool = False,
    complete: bool = False,
) -> None:
    """Values that a mapping reads become changes of managed resources.

    An answer or a notification tells what holds at the device now. With ``history`` values may be older
    than what is known; these are left out. ``complete`` entries are all there are where they lie.
    """
    mapped = state.table.mapped(entries)
    if history:
        mapped = [entry for entry in mapped if not _is_outdated(device, entry)]
    if not mapped:
        return
    for entry in mapped:
        _note_time(device, entry, turn.now)
    problems: list[MappingProblem] = []
    inputs = device.inputs
    known: dict[Path, Value | None] = {entry.path: inputs.get(entry.path) for entry in mapped}
    if complete and any(len(path) == 4 for path in known):
        # Others than those that are told may be gone.
        known |= inputs
    changes = state.table.apply(device.endpoint, inputs, device.managed, mapped, problems, complete=complete)
    news = [(path, inputs.get(path)) for path, value in known.items() if inputs.get(path) != value]
    if news:
        turn.tell(InputsChanged(device.endpoint, turn.now, tuple(news)))
    _tell(device, turn, changes, problems)


CLOCK_TOLERANCE = 60.0
"""Seconds a device's clock may be behind ours."""
CLOCK_IS_SET = 1_420_070_400
"""2015-01-01. What shows an earlier time counts from when the device was switched on."""


def _is_outdated(device: Device, entry: Entry) -> bool:
    if entry.time is None or entry.time < CLOCK_IS_SET:
        return False
    return entry.time < device.input_times.get(entry.path, 0.0)


def _note_time(device: Device, entry: Entry, now: float) -> None:
    """From now on older values are history; a clock that is ahead must not shut out what follows."""
    told = entry.time if entry.time is not None and entry.time >= CLOCK_IS_SET else None
    time = now - CLOCK_TOLERANCE if told is None else min(told, now)
    device.input_times[entry.path] = max(time, device.input_times.get(entry.path, 0.0))


def _tell(
    device: Device, turn: Turn, changes: Sequence[ManagedChange], problems: Sequence[MappingProblem]
) -> None:
    tell_problems(device, turn, problems)
    for change in changes:
        turn.tell(ManagedChanged(device.endpoint, turn.now, change))


def tell_problems(device: Device, turn: Turn, problems: Sequence[MappingProblem]) -> None:
    """What plugins' functions could not do."""
    for problem in problems:
        place = (problem.plugin, problem.name, problem.rule)
        turn.tell(Warned(device.endpoint, turn.now, str(problem), "mapping", place))


def _check_asked(entries: Sequence[Entry], paths: tuple[Path, ...]) -> None:
    """A composite is about its paths; raises ``CodecError`` for values of others."""
    for entry in entries:
        if not any(entry.path.startswith(path) for path in paths):
            raise CodecError("it was not asked for", path=entry.path)


def _entries(
    state: State,
    device: Device,
    turn: Turn,
    path: Path,
    payload: bytes,
    content_format: int | None,
    prefix: str,
) -> Sequence[Entry]:
    """Decoded entries, by a plugin's rescue if the codec gives up; raises ``CodecError``."""
    # A payload without Content-Format is text by RFC 7252, 5.5.1; clients that leave it out mean
    # the single value they were asked for.
    number = ContentFormat.TEXT if content_format is None else content_format
    root = device.registration.root if device.registration is not None else "/"
    try:
        return state.codecs.decode(
            payload,
            number,
            at=path,
            types=device.view.types,
            strict=state.settings.strict,
            now=turn.now,
            root=below(root, prefix),
            multiple=partial(_is_multiple, device.view),
        )
    except CodecError as error:
        rescued = state.hooks.rescue_payload(device.endpoint, path, number, payload, error)
        if rescued is None:
            raise
        turn.tell(Warned(device.endpoint, turn.now, f"payload rescued by a plugin: {error}"))
        return rescued


def _is_multiple(models: ModelView, path: Path) -> bool | None:
    spec = models.resource(path)
    return None if spec is None else spec.multiple
