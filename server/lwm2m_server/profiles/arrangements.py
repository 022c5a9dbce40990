"""What a device profile means for a device of one kind: the ``Arrangement`` it is set up with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from lwm2m_engine.engine import Arrangement, Group
from lwm2m_engine.engine.plans import UNREADABLE_OBJECTS
from lwm2m_engine.engine.records import Registration
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.mapping import AfterConnect, ProfileMapping, Resolved, Strategy

SHOWN: Final = 8
"""Places that a note names."""


@attrs.frozen(slots=True, eq=False)
class Plan:
    """What is asked of all devices of a kind, and what of the profile cannot be."""

    arrangement: Arrangement
    notes: tuple[str, ...]
    """For whoever wonders why something is not there."""


def plan(mapping: ProfileMapping, registration: Registration, models: ModelView) -> Plan:
    """Only Object Instances that are announced are in it, and Resources that can be read, as far as models
    tell. Another version of an Object than the profile names is as good."""
    resolved = mapping.resolved(registration)
    observed = [path for path in resolved.observe if _is_readable(path, models)]
    attributes = sorted((path, given) for path, given in resolved.attributes.items() if given)
    arrangement = Arrangement(
        attributes=tuple(attributes),
        observations=tuple(_observations(mapping.strategy, observed)),
        reads=tuple(_reads(mapping, registration, resolved, models)),
        reads_first=mapping.after_connect is not AfterConnect.OBSERVE,
    )
    return Plan(arrangement, tuple(_notes(resolved, models)))


def _observations(strategy: Strategy, paths: Sequence[Path]) -> Iterator[Group]:
    if strategy is Strategy.SINGLE:
        yield from (Group((path,)) for path in paths)
    elif strategy is Strategy.COMPOSITE_ALL:
        if paths:
            yield Group(tuple(paths), True)
    else:
        for group in _by(paths, 1).values():
            yield Group(group, True)


def _reads(
    mapping: ProfileMapping, registration: Registration, resolved: Resolved, models: ModelView
) -> Iterator[Group]:
    if mapping.after_connect is AfterConnect.READ_ALL:
        yield from (Group((path,)) for path in _everything(registration))
        return
    wanted: Iterable[Path] = resolved.read
    if mapping.after_connect is AfterConnect.READ_MAPPED:
        wanted = dict.fromkeys((*resolved.attribute, *resolved.telemetry))
    paths = [path for path in wanted if _is_readable(path, models)]
    if mapping.read_as_observed:
        yield from _observations(mapping.strategy, paths)
        return
    instances = _by(paths, 2)
    if mapping.after_connect is AfterConnect.READ_MAPPED and len(instances) > 1:
        # One request; with a client without composites one for each Instance.
        yield Group(tuple(paths), True)
        return
    for instance, below in instances.items():
        yield Group(below if len(below) == 1 else (Path(instance),))


def _everything(registration: Registration) -> Iterator[Path]:
    """One Read an Object Instance, so that no answer is very large."""
    instances = _by(registration.instances, 1)
    for number in registration.objects:
        if number not in UNREADABLE_OBJECTS:
            yield from instances.get((number,), (Path((number,)),))


def _by(paths: Iterable[Path], length: int) -> Mapping[tuple[int, ...], tuple[Path, ...]]:
    """Paths by that which so many levels of them lie in."""
    found: dict[tuple[int, ...], list[Path]] = {}
    for path in paths:
        found.setdefault(path[:length], []).append(path)
    return {above: tuple(below) for above, below in found.items()}


def _is_readable(path: Path, models: ModelView) -> bool:
    """Only a model can tell that a Resource is not: without one the device is asked."""
    if len(path) < 3 or models.object(path[0]) is None:
        return True
    spec = models.resource(path)
    return spec is not None and "R" in spec.operations


def _notes(resolved: Resolved, models: ModelView) -> Iterator[str]:
    for object, (named, announced) in resolved.other_versions.items():
        made_for = f"the device profile is made for {named} and used all the same"
        yield f"/{object} is version {announced} here; {made_for}"
    if resolved.absent:
        yield f"the device profile names what is not announced: {_listed(resolved.absent)}"
    mapped = dict.fromkeys((*resolved.observe, *resolved.attribute, *resolved.telemetry))
    unreadable = [path for path in mapped if not _is_readable(path, models)]
    if unreadable:
        yield f"the device profile names what cannot be read, by the object models: {_listed(unreadable)}"


def _listed(places: Sequence[object]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(map(str, places[:SHOWN])) + more
