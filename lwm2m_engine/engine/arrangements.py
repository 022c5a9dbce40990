"""``Arrangement``: what a device is to be set up with after it registers, and what is left to do of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import attrs

from lwm2m_engine.attributes import Attributes
from lwm2m_engine.engine.records import Arranged
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Observe,
    ObserveComposite,
    Read,
    ReadComposite,
    WriteAttributes,
)
from lwm2m_engine.paths import Path

ARRANGED: Final = "arranged"
"""``origin`` of an observation that nobody asked for but the arrangement."""

Request: TypeAlias = (
    Cancel | CancelComposite | WriteAttributes | Read | ReadComposite | Observe | ObserveComposite
)


@attrs.frozen(slots=True)
class Group:
    """Paths that one request is about: a single one, or several of a composite."""

    paths: tuple[Path, ...]
    composite: bool = False


@attrs.frozen(slots=True)
class Task:
    """One exchange of a set-up. Whether there is still a need for it shows when its turn comes."""

    request: Request
    reads: int = 0
    """With it so many of the arrangement's reads are done."""

    @property
    def parts(self) -> tuple[Task, ...]:
        """The same with a client that knows no composites; itself if it is none."""
        request = self.request
        if isinstance(request, ObserveComposite):
            return tuple(Task(Observe(path)) for path in request.paths)
        if isinstance(request, ReadComposite):
            *others, last = map(Read, _covering(request.paths))
            return (*map(Task, others), Task(last, self.reads))
        return (self,)


@attrs.frozen(slots=True)
class Arrangement:
    """What is to hold at a device as long as it is registered.

    First it gets its notification attributes, so that the first interval follows them; then it is observed,
    and read before or after that. One object may be that of any number of devices.
    """

    attributes: tuple[tuple[Path, Attributes], ...] = ()
    observations: tuple[Group, ...] = ()
    reads: tuple[Group, ...] = ()
    """Once in each registration."""
    reads_first: bool = False
    """They come before the observations."""
    digest: str = attrs.field(init=False, eq=False)
    """Tells arrangements apart, over restarts too."""
    tasks: tuple[Task, ...] = attrs.field(init=False, eq=False, repr=False)
    """All there is to do with a client that has just registered."""

    @digest.default
    def _digest(self) -> str:
        told = self.attributes, self.observations, self.reads, self.reads_first
        return blake2b(repr(told).encode(), digest_size=8).hexdigest()

    @tasks.default
    def _tasks(self) -> tuple[Task, ...]:
        attributes = (Task(WriteAttributes(path, wanted)) for path, wanted in self.attributes)
        reads, observations = tuple(reading(self.reads)), tuple(observing(self.observations))
        return (*attributes, *in_order(self, reads, observations))

    def attributes_of(self, path: Path) -> Attributes:
        """What is to hold at a path."""
        return next((wanted for place, wanted in self.attributes if place == path), ())


def reading(reads: Sequence[Group]) -> Iterator[Task]:
    for place, group in enumerate(reads, 1):
        yield Task(ReadComposite(group.paths) if group.composite else Read(group.paths[0]), place)


def observing(observations: Sequence[Group]) -> Iterator[Task]:
    for group in observations:
        yield Task(ObserveComposite(group.paths) if group.composite else Observe(group.paths[0]))


def in_order(
    arrangement: Arrangement, reads: tuple[Task, ...], observations: tuple[Task, ...]
) -> tuple[Task, ...]:
    return (*reads, *observations) if arrangement.reads_first else (*observations, *reads)


NOTHING: Final = Arrangement()


@attrs.define(slots=True, eq=False)
class Setup:
    """What is left to do with one device."""

    tasks: tuple[Task, ...]
    """Those before ``place`` are done. Thousands of devices have the same."""
    arranged: Arranged
    """What the next ``RegistrationChanged`` tells."""
    place: int = 0
    current: Task | None = None
    """The one that is under way."""
    inherited: bool = False
    """It is of an arrangement before this one."""
    later: tuple[Task, ...] = ()
    """What the device could not do just now: after the next Update."""
    attempts: int = 0
    """How often there was no answer to the task whose turn it is."""
    acknowledged: bool = False
    """The device has the request that is under way."""
    paused: bool = False
    """There was no answer; nothing is asked before the device is heard again."""
    polite: bool = False
    """The last exchange was one of these, so that a message goes first."""

    @property
    def is_due(self) -> bool:
        """Whether something can be asked, or nothing is left."""
        return not self.paused and (self.place < len(self.tasks) or not self.later)

    def take(self) -> Task | None:
        """The next one, if there is any."""
        if self.place >= len(self.tasks):
            return None
        task = self.tasks[self.place]
        self.place += 1
        return task

    def add(self, *tasks: Task) -> None:
        """To be done after all others."""
        self.tasks, self.place = (*self.tasks[self.place :], *tasks), 0

    def insert(self, *tasks: Task) -> None:
        """To be done next."""
        self.tasks, self.place = (*tasks, *self.tasks[self.place :]), 0

    def resume(self) -> None:
        """The device has registered or updated its registration."""
        self.paused = False
        if self.later:
            later, self.later = self.later, ()
            self.add(*later)


def _covering(paths: Sequence[Path]) -> Iterator[Path]:
    """Fewest Reads of Instances and Resources: that of an Instance, if there are several paths in it."""
    instances: dict[tuple[int, ...], list[Path]] = {}
    for path in paths:
        instances.setdefault(path[:2], []).append(path)
    for instance, below in instances.items():
        yield below[0] if len(below) == 1 else Path(instance)
