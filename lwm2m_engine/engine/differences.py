"""What is left to do with a device, to get from what holds at it to what an ``Arrangement`` wants."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lwm2m_engine.attributes import Attributes
from lwm2m_engine.engine.arrangements import (
    ARRANGED,
    NOTHING,
    Arrangement,
    Group,
    Task,
    in_order,
    observing,
    reading,
)
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.records import Arranged, Observation, Registration
from lwm2m_engine.formats import COMPOSITE_FORMATS
from lwm2m_engine.messages.requests import Cancel, CancelComposite, Observe, ObserveComposite, WriteAttributes
from lwm2m_engine.paths import Path


@attrs.frozen(slots=True)
class Standing:
    """How far a device is set up."""

    device: Device
    registration: Registration
    arranged: Arranged
    former: Arrangement | None
    """What it has been set up with; ``None`` if that is not known, after a restart for instance."""
    is_settled: bool
    """Nothing is left to do of that."""
    current: Task | None
    """What is under way, of that."""

    def missing(self, wanted: Arrangement) -> tuple[Task, ...]:
        """First what is not wanted any more is cancelled; the rest as for a client that registers."""
        done = self._done_reads(wanted)
        reads = (task for task in reading(wanted.reads) if wanted.reads[task.reads - 1] not in done)
        known = frozenset(self.former.observations) if self.former and self.is_settled else frozenset()
        observations = observing([one for one in wanted.observations if one not in known])
        rest = in_order(wanted, tuple(reads), tuple(observations))
        return (*self._cancels(wanted), *self._attributes(wanted), *rest)

    def reads_begun(self, wanted: Arrangement) -> int:
        """So many of its reads, from the first on, are done already."""
        done = self._done_reads(wanted)
        return next((place for place, one in enumerate(wanted.reads) if one not in done), len(wanted.reads))

    def _cancels(self, wanted: Arrangement) -> tuple[Task, ...]:
        live = (one for one in self.device.observations.values() if one.origin == ARRANGED)
        return tuple(Task(cancel(one)) for one in live if not self._is_kept(one, wanted))

    def _is_kept(self, one: Observation, wanted: Arrangement) -> bool:
        """Whether a live observation is wanted, or a part of one that the client cannot have as a whole."""
        has_composites = knows_composites(self.registration, self.arranged)
        if Group(one.paths, one.composite) in wanted.observations:
            return not one.composite or has_composites
        if one.composite:
            return False
        refused = self.former.observations if self.former is not None else ()
        return any(
            group.composite and one.paths[0] in group.paths and (not has_composites or group in refused)
            for group in wanted.observations
        )

    def _attributes(self, wanted: Arrangement) -> tuple[Task, ...]:
        """What is to be written shows when it is."""
        paths = [path for path, _ in (*wanted.attributes, *self.arranged.attributes)]
        if self.current is not None and isinstance(self.current.request, WriteAttributes):
            paths.append(self.current.request.path)
        former = self.former if self.is_settled else None
        return tuple(
            Task(WriteAttributes(path, ()))
            for path in dict.fromkeys(paths)
            if former is None or former.attributes_of(path) != wanted.attributes_of(path)
        )

    def _done_reads(self, wanted: Arrangement) -> frozenset[Group]:
        known = (one for one in (self.former, wanted) if one is not None)
        of = next((one for one in known if one.digest == self.arranged.digest), NOTHING)
        return frozenset(of.reads if self.arranged.complete else of.reads[: self.arranged.reads])


def knows_composites(registration: Registration, arranged: Arranged) -> bool:
    """As far as it is known. LwM2M 1.0 has none, and whoever announces formats must have one for them."""
    if registration.version < "1.1" or arranged.singly:
        return False
    formats = registration.formats
    return not formats or any(number in formats for number in COMPOSITE_FORMATS)


def observe(one: Observation) -> Observe | ObserveComposite:
    """What begins such an observation."""
    return ObserveComposite(one.paths) if one.composite else Observe(one.paths[0])


def cancel(one: Observation) -> Cancel | CancelComposite:
    return CancelComposite(one.paths) if one.composite else Cancel(one.paths[0])


def is_observed(
    observations: Iterable[Observation], request: Observe | ObserveComposite | Cancel | CancelComposite
) -> bool:
    """Whether one of them is what a request begins or ends."""
    composite = isinstance(request, (ObserveComposite, CancelComposite))
    paths = request.paths if isinstance(request, (ObserveComposite, CancelComposite)) else (request.path,)
    return any(one.paths == paths and one.composite is composite and not one.prefix for one in observations)


def attributes_at(arranged: Arranged, path: Path) -> Attributes:
    """What was written there."""
    return next((own for place, own in arranged.attributes if place == path), ())
