"""What a simulated device answers: the device management interface from the client's side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lwm2m_engine.attributes import check_attributes, parse_attributes, updated
from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_engine.codecs import decode, decode_paths, encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, LwM2MError, PathError, RequestError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import format_links
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.tree import Tree

_TLV_RESOURCE = b"\x80"
"""From here on the first byte of TLV stands for a Resource, not for an Instance of something."""
SENML_FORMATS = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON)


class Service:
    """Applies requests to a tree; ``changed`` hears of every path that has a new value or is gone."""

    def __init__(self, tree: Tree, version: str, changed: Callable[[Sequence[Path]], None]) -> None:
        self._tree = tree
        self._version = version
        self._changed = changed

    def answer(self, request: CoapRequest) -> CoapReply:
        """Never raises: what is wrong with a request is its answer."""
        try:
            return self._route(request)
        except RequestError as error:
            return CoapReply(error.code)
        except (CodecError, PathError, ValueRejected):
            return CoapReply(Code.BAD_REQUEST)

    def _route(self, request: CoapRequest) -> CoapReply:
        path = path_of(request.path)
        match request.code:
            case Code.GET:
                if request.accept == ContentFormat.LINK_FORMAT:
                    return self._discover(path)
                return self.represent(self._tree.read(path), path, request.accept)
            case Code.PUT:
                if request.content_format is None and not request.payload:
                    return self._write_attributes(path, request)
                return self._write(path, request, replace=True)
            case Code.POST:
                return self._post(path, request)
            case Code.DELETE:
                self._tree.delete(path)
                self._changed([path])
                return CoapReply(Code.DELETED)
            case Code.FETCH | Code.IPATCH if self._version != "1.0":
                return self._composite(request)
        raise RequestError(Code.METHOD_NOT_ALLOWED, "no such operation")

    def _post(self, path: Path, request: CoapRequest) -> CoapReply:
        if len(path) == 1:
            # Bare Resources leave the id to us; every other payload names the Instance.
            bare = request.content_format == ContentFormat.TLV and request.payload[:1] >= _TLV_RESOURCE
            created = self._tree.create(path, self._decode(request, self._tree.next(path) if bare else path))
            self._changed([created])
            return CoapReply(Code.CREATED, location=tuple(map(str, created)))
        if len(path) == 3 and "E" in self._tree.resource(path).operations:
            self._tree.execute(path, request.payload.decode("utf-8", "replace"))
            self._changed([path])
            return CoapReply(Code.CHANGED)
        if len(path) == 3:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"{path} cannot be executed")
        return self._write(path, request, replace=False)

    def _write(self, path: Path, request: CoapRequest, replace: bool) -> CoapReply:
        entries = self._decode(request, path)
        self._changed(self._tree.write(path, entries, replace))
        return CoapReply(Code.CHANGED)

    def _composite(self, request: CoapRequest) -> CoapReply:
        if request.content_format not in SENML_FORMATS:
            raise RequestError(Code.UNSUPPORTED_CONTENT_FORMAT, "composites are SenML")
        if request.code == Code.FETCH:
            paths = self.paths(request)
            return self.represent(self.collect(paths), ROOT, request.accept)
        changed: list[Path] = []
        for entry in self._decode(request, ROOT):
            if entry.value is None:
                self._tree.delete(entry.path)
                changed.append(entry.path)
            else:
                changed += self._tree.write(Path(entry.path[:3]), [entry], replace=False)
        self._changed(changed)
        return CoapReply(Code.CHANGED)

    def paths(self, request: CoapRequest) -> tuple[Path, ...]:
        """What a request reads: its path, or those a composite lists."""
        if request.code == Code.FETCH:
            return tuple(decode_paths(request.payload, request.content_format))
        return (path_of(request.path),)

    def collect(self, paths: Sequence[Path]) -> list[Entry]:
        """What a composite finds; what is not there is left out (LwM2M Core 1.2, 6.3.8)."""
        entries: list[Entry] = []
        for path in paths:
            try:
                entries += self._tree.read(path)
            except RequestError:
                continue
        return entries

    def represent(self, entries: Sequence[Entry], path: Path, accept: int | None) -> CoapReply:
        """2.05 in the format the server accepts, or in the one usual for the version."""
        format_ = accept if accept is not None else self._usual(path)
        if not self._can(format_):
            raise RequestError(Code.NOT_ACCEPTABLE, f"no content format {format_}")
        try:
            payload = encode(entries, format_, at=path, types=self._tree.type)
        except LwM2MError:
            raise RequestError(Code.NOT_ACCEPTABLE, f"not as content format {format_}") from None
        return CoapReply(Code.CONTENT, payload, format_)

    def _usual(self, path: Path) -> int:
        if self._version != "1.0":
            return ContentFormat.SENML_CBOR
        if len(path) == 3 and not self._tree.resource(path).multiple:
            opaque = self._tree.type(path) is ResourceType.OPAQUE
            return ContentFormat.OPAQUE if opaque else ContentFormat.TEXT
        return ContentFormat.TLV

    def _can(self, number: int) -> bool:
        try:
            return ContentFormat(number).since <= self._version
        except ValueError:
            return False

    def _decode(self, request: CoapRequest, path: Path) -> list[Entry]:
        number = request.content_format if request.content_format is not None else ContentFormat.TEXT
        if not request.payload and len(path) == 1:
            return []
        if not self._can(number):
            raise RequestError(Code.UNSUPPORTED_CONTENT_FORMAT, f"no content format {number}")
        return decode(request.payload, number, at=path, types=self._tree.type, multiple=self._multiple)

    def _multiple(self, path: Path) -> bool | None:
        try:
            return self._tree.resource(path).multiple
        except RequestError:
            return None

    def _discover(self, path: Path) -> CoapReply:
        links = format_links(self._tree.discover(path))
        return CoapReply(Code.CONTENT, links.encode(), ContentFormat.LINK_FORMAT)

    def _write_attributes(self, path: Path, request: CoapRequest) -> CoapReply:
        attributes = parse_attributes(request.query)
        check_attributes(attributes, path)
        self._tree.discover(path)
        own = tuple(self._tree.attributes.get(path, {}).items())
        self._tree.attributes[path] = {
            name: value for name, value in updated(own, attributes) if value is not None
        }
        self._changed([path])
        return CoapReply(Code.CHANGED)


def path_of(segments: Sequence[str]) -> Path:
    """Raises ``RequestError`` 4.04."""
    try:
        return Path("/" + "/".join(segments))
    except PathError:
        raise RequestError(Code.NOT_FOUND, "not an LwM2M path") from None
