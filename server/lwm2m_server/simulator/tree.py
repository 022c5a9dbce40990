"""What a simulated device has inside: objects, instances, resources and notification attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError, ValueRejected
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType, Value, coerce

Content: TypeAlias = Value | dict[int, Value] | Callable[[], Value] | None
"""One value, several by Resource Instance, one made when it is read, or nothing to read."""

HIDDEN = (0, 21)
"""Security and OSCORE: nothing a server may look at."""


@attrs.define(slots=True)
class Resource:
    """A Resource of a simulated device; ``executed`` lists the arguments it was executed with.

    ``on_write`` and ``on_execute`` are what the device does about it, beyond keeping a value; they
    raise ``RequestError`` to refuse. What ``on_write`` returns is kept. ``on_block`` hears how many
    bytes have come of a value that arrives in blocks.
    """

    type: ResourceType
    content: Content = None
    operations: str = "R"
    executed: list[str] = attrs.field(factory=list)
    on_write: Callable[[Content], Content] | None = None
    on_execute: Callable[[str], None] | None = None
    on_block: Callable[[int], None] | None = None

    @property
    def multiple(self) -> bool:
        return isinstance(self.content, dict)

    def entries(self, path: Path) -> list[Entry]:
        if isinstance(self.content, dict):
            return [Entry(path / key, value) for key, value in sorted(self.content.items())]
        value = self.content() if callable(self.content) else self.content
        return [] if value is None else [Entry(path, value)]


Instance: TypeAlias = dict[int, Resource]


@attrs.define(slots=True)
class SimulatedObject:
    """``template`` makes a new instance; without it the object has only the instances it was given."""

    id: int
    instances: dict[int, Instance]
    version: str | None = None
    template: Callable[[], Instance] | None = None


class Tree:
    """The objects of one device. Refusals are ``RequestError`` with the code a client answers."""

    def __init__(self, objects: Iterable[SimulatedObject]) -> None:
        self.objects = {thing.id: thing for thing in objects}
        self.attributes: dict[Path, dict[str, str]] = {}

    # --- looking ---

    def object(self, path: Path) -> SimulatedObject:
        found = self.objects.get(path[0]) if path else None
        if found is None:
            raise RequestError(Code.NOT_FOUND, f"no {path}")
        return found

    def instance(self, path: Path) -> Instance:
        instance = self.object(path).instances.get(path[1])
        if instance is None:
            raise RequestError(Code.NOT_FOUND, f"no {Path(path[:2])}")
        return instance

    def resource(self, path: Path) -> Resource:
        resource = self.instance(path).get(path[2])
        if resource is None:
            raise RequestError(Code.NOT_FOUND, f"no {Path(path[:3])}")
        return resource

    def type(self, path: Path) -> ResourceType | None:
        """The type of a Resource; satisfies the codecs' ``types``."""
        thing = self.objects.get(path[0])
        if thing is None or len(path) < 3:
            return None
        instance = thing.instances.get(path[1])
        if instance is None:
            instance = thing.template() if thing.template is not None else {}
        found = instance.get(path[2])
        return None if found is None else found.type

    # --- reading ---

    def read(self, path: Path) -> list[Entry]:
        """What can be read at a path and below it."""
        if not path:
            raise RequestError(Code.METHOD_NOT_ALLOWED, "the root cannot be read")
        if path[0] in HIDDEN:
            raise RequestError(Code.UNAUTHORIZED, f"/{path[0]} is not for servers")
        if len(path) < 3:
            return list(self._readable(path))
        resource = self.resource(path)
        if "R" not in resource.operations:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} cannot be read")
        entries = [entry for entry in resource.entries(Path(path[:3])) if entry.path.startswith(path)]
        if not entries and not resource.multiple:
            raise RequestError(Code.NOT_FOUND, f"no {path}")
        return entries

    def _readable(self, path: Path) -> Iterator[Entry]:
        for number, instance in self._instances(path):
            for id_, resource in sorted(instance.items()):
                if "R" in resource.operations:
                    yield from resource.entries(Path((path[0], number, id_)))

    def _instances(self, path: Path) -> list[tuple[int, Instance]]:
        if len(path) > 1:
            return [(path[1], self.instance(path))]
        return sorted(self.object(path).instances.items())

    # --- changing ---

    def write(self, path: Path, entries: Sequence[Entry], replace: bool) -> list[Path]:
        """All or nothing; the paths that have new values."""
        if len(path) < 2:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} cannot be written")
        self.instance(path)
        wanted: dict[Path, list[Entry]] = {}
        for entry in entries:
            wanted.setdefault(Path(entry.path[:3]), []).append(entry)
        if len(path) > 2:
            wanted.setdefault(Path(path[:3]), [])
        # Replacing one Resource Instance leaves the others.
        replace = replace and len(path) < 4
        new = {place: self._content(place, values, replace) for place, values in wanted.items()}
        # Those that may refuse come first: all or nothing.
        for place in sorted(new, key=lambda place: self.resource(place).on_write is None):
            resource = self.resource(place)
            content = new[place]
            resource.content = content if resource.on_write is None else resource.on_write(content)
        return list(new)

    def _content(self, path: Path, entries: list[Entry], replace: bool) -> Content:
        resource = self.resource(path)
        if "W" not in resource.operations:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} cannot be written")
        values = [(entry, _coerced(entry, resource.type)) for entry in entries]
        if isinstance(resource.content, dict):
            kept = {} if replace else resource.content
            return kept | {entry.path[3]: value for entry, value in values if len(entry.path) > 3}
        if len(values) != 1 or len(values[0][0].path) > 3:
            raise RequestError(Code.BAD_REQUEST, f"{path} takes one value")
        return values[0][1]

    def execute(self, path: Path, arguments: str) -> None:
        resource = self.resource(path)
        if "E" not in resource.operations:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} cannot be executed")
        if resource.on_execute is not None:
            resource.on_execute(arguments)
        resource.executed.append(arguments)

    def create(self, path: Path, entries: Sequence[Entry]) -> Path:
        """The path of the new instance."""
        thing = self.object(path)
        if thing.template is None:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"/{thing.id} takes no more instances")
        numbers = {entry.path[1] for entry in entries if len(entry.path) > 1} | set(path[1:2])
        if len(numbers) > 1 or numbers & thing.instances.keys():
            raise RequestError(Code.BAD_REQUEST, "not one new instance")
        created = path / numbers.pop() if numbers else self.next(path)
        thing.instances[created[1]] = thing.template()
        try:
            self.write(created, [entry for entry in entries if len(entry.path) > 2], replace=False)
        except RequestError:
            del thing.instances[created[1]]
            raise
        return created

    def next(self, path: Path) -> Path:
        """The first Instance of an Object that is not there."""
        instances = self.object(path).instances
        return path / next(number for number in range(65535) if number not in instances)

    def delete(self, path: Path) -> None:
        """An Instance, or an instance of a Resource."""
        if len(path) == 2:
            self.instance(path)
            if self.object(path).template is None:
                raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} stays")
            del self.object(path).instances[path[1]]
        elif len(path) == 4 and isinstance(content := self.resource(path).content, dict):
            if content.pop(path[3], None) is None:
                raise RequestError(Code.NOT_FOUND, f"no {path}")
        else:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} cannot be deleted")
        for place in [place for place in self.attributes if place.startswith(path)]:
            del self.attributes[place]

    # --- listing ---

    def links(self) -> list[Link]:
        """The object list of a Register: instances, and objects that have none or name a version."""
        links = []
        for id_, thing in sorted(self.objects.items()):
            if id_ in HIDDEN:
                continue
            if thing.version is not None or not thing.instances:
                version = (("ver", thing.version),) if thing.version is not None else ()
                links.append(Link(f"/{id_}", version))
            links += [Link(f"/{id_}/{number}") for number in sorted(thing.instances)]
        return links

    def discover(self, path: Path) -> list[Link]:
        """The path and what is below it, with notification attributes."""
        if not path:
            return self.links()
        links = [self._link(path)]
        if len(path) == 3:
            self.resource(path)
            return links
        for number, instance in self._instances(path):
            place = Path((path[0], number))
            if place != path:
                links.append(self._link(place))
            links += [self._link(place / id_) for id_ in sorted(instance)]
        return links

    def _link(self, path: Path) -> Link:
        attributes: tuple[tuple[str, str | None], ...] = ()
        if len(path) == 3 and self.resource(path).multiple:
            attributes = (("dim", str(len(self.resource(path).entries(path)))),)
        return Link(str(path), attributes + tuple(self.attributes.get(path, {}).items()))

    def effective(self, path: Path) -> dict[str, str]:
        """The attributes that count at a path: its own before those of what it lies in (7.3.2)."""
        merged: dict[str, str] = {}
        for depth in range(1, len(path) + 1):
            merged |= self.attributes.get(Path(path[:depth]), {})
        return merged


def _coerced(entry: Entry, kind: ResourceType) -> Value:
    try:
        return coerce(entry.value, kind)
    except ValueRejected as error:
        raise RequestError(Code.BAD_REQUEST, str(error)) from error
