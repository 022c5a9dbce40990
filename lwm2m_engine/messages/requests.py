"""What a server can ask of a device: one frozen class an operation (LwM2M Core 1.2, 6.3 and 6.4).

``prefix`` names the end device of a LwM2M Gateway (object 25) that a request is for; its paths are those
of that device. Without one a request is for the client itself.

The last group does not exist on the wire: each stands for a series of the others, which the engine
plans against the device it is meant for.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import attrs

from lwm2m_engine.attributes import Attributes as Attributes
from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import ROOT, Path

VIRTUAL_OBSERVE_NOTIFY = Path((22,))
"""OMA object 22; requests to it stand for observations even on devices that lack it."""


@attrs.frozen(slots=True)
class Read:
    """Read an Object, Object Instance, Resource or Resource Instance. ``accept`` forces a format."""

    operation: ClassVar[str] = "read"
    path: Path
    accept: int | None = None
    prefix: str = ""


@attrs.frozen(slots=True)
class Write:
    """Write to an Object Instance, Resource or Resource Instance.

    ``replace`` is Replace (PUT), else Partial Update (POST). ``entries`` carry absolute paths.
    """

    operation: ClassVar[str] = "write"
    path: Path
    entries: tuple[Entry, ...]
    replace: bool = True
    content_format: int | None = None
    prefix: str = ""


@attrs.frozen(slots=True)
class Execute:
    """Execute a Resource; ``arguments`` as in LwM2M Core 1.2, 6.3.5 (``0='now',1``)."""

    operation: ClassVar[str] = "execute"
    path: Path
    arguments: str = ""
    prefix: str = ""


@attrs.frozen(slots=True)
class Create:
    """Create an Object Instance; ``path`` is the Object, or the Instance when its id is chosen.

    Without a chosen id the entries stand at Instance 0, which is then not part of the payload: it is
    encoded relative to that Instance, else relative to the Object. Entries of several Instances create
    each of them, under the ids the entries have.
    """

    operation: ClassVar[str] = "create"
    path: Path
    entries: tuple[Entry, ...] = ()
    content_format: int | None = None
    prefix: str = ""

    @property
    def instances(self) -> tuple[Path, ...]:
        """The Object Instances whose ids are chosen; none when that is left to the device."""
        if len(self.path) == 2:
            return (self.path,)
        found = tuple(dict.fromkeys(Path(entry.path[:2]) for entry in self.entries))
        return found if len(found) > 1 else ()


@attrs.frozen(slots=True)
class Delete:
    """Delete an Object Instance, or (LwM2M 1.2) a Resource Instance."""

    operation: ClassVar[str] = "delete"
    path: Path
    prefix: str = ""


@attrs.frozen(slots=True)
class Discover:
    """Discover what lies at and below a path; ``depth`` 0 to 3 needs LwM2M 1.2."""

    operation: ClassVar[str] = "discover"
    path: Path
    depth: int | None = None
    prefix: str = ""


@attrs.frozen(slots=True)
class WriteAttributes:
    """Set or remove notification attributes (LwM2M Core 1.2, 7.3)."""

    operation: ClassVar[str] = "write-attributes"
    path: Path
    attributes: Attributes
    prefix: str = ""


@attrs.frozen(slots=True)
class Observe:
    """Observe a path. ``attributes`` go with the request (LwM2M 1.2), to older clients before it."""

    operation: ClassVar[str] = "observe"
    path: Path
    attributes: Attributes = ()
    accept: int | None = None
    prefix: str = ""


@attrs.frozen(slots=True)
class Cancel:
    """Cancel the observation of a path.

    ``passive`` asks nothing of the device: its next notification is answered with a Reset.
    """

    operation: ClassVar[str] = "cancel"
    path: Path
    passive: bool = False
    prefix: str = ""


@attrs.frozen(slots=True)
class ReadComposite:
    """Read several paths in one request (LwM2M 1.1); ``accept`` forces a format."""

    operation: ClassVar[str] = "read-composite"
    paths: tuple[Path, ...]
    path: Path = ROOT
    accept: int | None = None
    prefix: str = ""


@attrs.frozen(slots=True)
class ObserveComposite:
    """Observe several paths with one relation (LwM2M 1.1); ``accept`` forces a format.

    ``attributes`` of the relation as a whole go with the request (LwM2M 1.2).
    """

    operation: ClassVar[str] = "observe-composite"
    paths: tuple[Path, ...]
    path: Path = ROOT
    accept: int | None = None
    attributes: Attributes = ()
    prefix: str = ""


@attrs.frozen(slots=True)
class CancelComposite:
    """Cancel an Observe-Composite of exactly these paths; ``passive`` as in ``Cancel``."""

    operation: ClassVar[str] = "cancel-composite"
    paths: tuple[Path, ...]
    path: Path = ROOT
    passive: bool = False
    prefix: str = ""


@attrs.frozen(slots=True)
class WriteComposite:
    """Write Resources of several Objects in one request (LwM2M 1.1)."""

    operation: ClassVar[str] = "write-composite"
    entries: tuple[Entry, ...]
    path: Path = ROOT
    content_format: int | None = None
    prefix: str = ""


@attrs.frozen(slots=True)
class ReadAll:
    """Read every Object Instance the device announced, Security (0) and OSCORE (21) excepted."""

    operation: ClassVar[str] = "read"
    path: Path = ROOT


@attrs.frozen(slots=True)
class WriteObject:
    """Write several Instances of one Object, each in turn."""

    operation: ClassVar[str] = "write"
    path: Path
    instances: tuple[Write, ...]


@attrs.frozen(slots=True)
class ObserveLinks:
    """Observe what CoRE links name, with their attributes."""

    operation: ClassVar[str] = "observe"
    links: tuple[tuple[Path, Attributes], ...]
    path: Path = VIRTUAL_OBSERVE_NOTIFY


@attrs.frozen(slots=True)
class CancelLinks:
    """Cancel what ``ObserveLinks`` began: everything, or the set with this number."""

    operation: ClassVar[str] = "cancel"
    set: int | None = None
    path: Path = VIRTUAL_OBSERVE_NOTIFY


Single: TypeAlias = (
    Read
    | Write
    | Execute
    | Create
    | Delete
    | Discover
    | WriteAttributes
    | Observe
    | Cancel
    | ReadComposite
    | ObserveComposite
    | CancelComposite
    | WriteComposite
)
"""A request that is one exchange on the wire."""

Series: TypeAlias = ReadAll | WriteObject | ObserveLinks | CancelLinks
"""A request that the engine turns into several exchanges."""

Request: TypeAlias = Single | Series


def prefix_of(request: Request) -> str:
    """The end device of a gateway that a request is for; empty for the client itself."""
    if isinstance(request, WriteObject):
        return request.instances[0].prefix if request.instances else ""
    return "" if isinstance(request, (ReadAll, ObserveLinks, CancelLinks)) else request.prefix
