"""Configurations as JSON, with places that are filled in for each client.

::

    {"noSec": false,
     "delete": ["/"],
     "write": {"/0/1": {"lwm2m_server_uri": "coaps://lwm2m.example.com:5684", "1": false, "2": 0,
                        "3": {"text": "{endpoint}"}, "5": {"key": "management"}, "10": 123},
               "/1/0": {"0": 123, "1": 300, "6": true, "7": "U"}}}

``{endpoint}`` in a text is the name of the client. Opaque values are base64, or ``{"text": …}``,
``{"hex": …}``, or ``{"key": NAME}``: random bytes made for this client and kept under that name.

Keys and identity that an Instance of Security does not name are written empty.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from lwm2m_engine.bootstrap.config import SECURITY, BootstrapConfig
from lwm2m_engine.bootstrap.secrets import exposed
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import PathError, UnsupportedFormat, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.bodies import instance_entries, resource_entries
from lwm2m_engine.messages.bootstrap import WRITE_FORMATS
from lwm2m_engine.messages.requests import Write
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path

Keys: TypeAlias = Callable[[str], bytes]
"""The key of a client by the name that a template gives it; made when it is first asked for."""

KEYS = (3, 4, 5)
"""Public key or identity, the server's public key, and secret key: mandatory in every Instance of Security,
whatever its mode (LwM2M Core 1.2, Appendix E.1), and some clients insist."""
MAX_RETRIES = 10
MAX_WRITES = 256
MEMBERS = frozenset(
    {
        "automaticIds",
        "contentFormat",
        "delete",
        "discover",
        "noSec",
        "notes",
        "onFailure",
        "read",
        "retries",
        "write",
    }
)
_PLACE = re.compile(r"\{\{|\}\}|\{([a-z_]*)\}|[{}]")


def config_of(document: Mapping[str, Any], endpoint: str, keys: Keys, models: ModelView) -> BootstrapConfig:
    """What the client ``endpoint`` is to have. Raises an ``ExceptionGroup`` of ``ValueRejected``."""
    reader = _Reader(endpoint, keys, models)
    config = reader.read(document)
    if reader.faults:
        raise ExceptionGroup("bootstrap configuration", reader.faults)
    return config


def is_personal(value: Any) -> bool:
    """Whether anything in a configuration may be another for each client."""
    if isinstance(value, Mapping):
        return set(value) == {"key"} or any(is_personal(member) for member in value.values())
    return isinstance(value, str) and "{" in value


class _Reader:
    """Collects what is wrong, so that people see it all at once."""

    def __init__(self, endpoint: str, keys: Keys, models: ModelView) -> None:
        self._endpoint, self._keys, self._models = endpoint, keys, models
        self.faults: list[ValueRejected] = []

    def read(self, document: Mapping[str, Any]) -> BootstrapConfig:
        for name in sorted(document.keys() - MEMBERS):
            self._fault(name[:40], f"there is no such member; known: {', '.join(sorted(MEMBERS))}")
        default = BootstrapConfig(())
        return BootstrapConfig(
            writes=self._writes(document.get("write", {})),
            deletes=self._paths(document, "delete", default.deletes, 2),
            discovers=self._paths(document, "discover", default.discovers, 2),
            reads=self._paths(document, "read", default.reads, 2),
            automatic_ids=self._flag(document, "automaticIds", default.automatic_ids),
            content_format=self._content_format(document.get("contentFormat")),
            on_failure=self._one_of(document, "onFailure", ("continue", "stop")),
            retries=self._number(document, "retries", MAX_RETRIES),
            nosec=self._flag(document, "noSec", default.nosec),
            notes=tuple(map(str, self._list(document, "notes", ()))),
        )

    # --- what is written ---------------------------------------------------------------------------

    def _writes(self, members: Any) -> tuple[Write, ...]:
        if not isinstance(members, Mapping):
            self._fault("write", 'a JSON object is due: {"/1/0": {"0": 123}}')
            return ()
        if len(members) > MAX_WRITES:
            self._fault("write", f"more than {MAX_WRITES} members")
            return ()
        for member in exposed({"write": members}, self._models):
            self._fault(member[:40], '{"key": …} is for a Resource that holds a secret, such as /0/x/5')
        return tuple(write for key, body in members.items() for write in self._write(key, body))

    def _write(self, key: str, body: Any) -> Iterator[Write]:
        try:
            path = Path(key)
            if len(path) == 1 and isinstance(body, Mapping):
                for number, member in body.items():
                    yield from self._write(f"/{path[0]}/{number}", member)
                return
            entries = self._entries(path, self._filled(body))
        except (ValueRejected, PathError) as error:
            self.faults.append(_placed(error, key))
            return
        yield Write(path, entries)

    def _entries(self, path: Path, body: Any) -> tuple[Entry, ...]:
        if len(path) == 2:
            if not isinstance(body, Mapping):
                raise ValueRejected('a JSON object is due: {"0": 123}')
            entries = instance_entries(path, body, self._models, None)
            return _with_keys(path, entries) if path[0] == SECURITY else entries
        if len(path) > 2:
            return resource_entries(path, body, self._models, None)
        raise ValueRejected("an Object Instance or a Resource is written", path=path)

    def _filled(self, value: Any) -> Any:
        """With everything that depends on the client, and bytes as base64."""
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            (name, content), *_ = value.items()
            if name in ("text", "hex", "key"):
                return base64.b64encode(self._bytes(name, content)).decode("ascii")
        return {key: self._filled(member) for key, member in value.items()}

    def _bytes(self, form: str, content: Any) -> bytes:
        if not isinstance(content, str):
            raise ValueRejected(f'{{"{form}": …}} takes a text')
        if form == "key":
            return self._keys(content)
        if form == "text":
            return self._text(content).encode()
        try:
            return bytes.fromhex(content)
        except ValueError:
            raise ValueRejected("this is not hexadecimal") from None

    def _text(self, text: str) -> str:
        return _PLACE.sub(self._place, text)

    def _place(self, match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] != "endpoint":
            raise ValueRejected(f"{match[0]} is nothing that is filled in; {{endpoint}} is, {{{{ is a brace")
        return self._endpoint

    # --- how ---------------------------------------------------------------------------------------

    def _paths(
        self, document: Mapping[str, Any], name: str, default: tuple[Path, ...], deepest: int
    ) -> tuple[Path, ...]:
        if name not in document:
            return default
        paths = []
        for text in self._list(document, name, ()):
            try:
                path = Path(str(text))
            except PathError as error:
                self.faults.append(_placed(error, name))
                continue
            if len(path) > deepest:
                self._fault(name, f"{path}: the root, an Object or an Object Instance is due")
            paths.append(path)
        return tuple(paths)

    def _list(self, document: Mapping[str, Any], name: str, default: Sequence[Any]) -> Sequence[Any]:
        value = document.get(name, default)
        if isinstance(value, (list, tuple)):
            return value
        self._fault(name, "a JSON list is due")
        return ()

    def _flag(self, document: Mapping[str, Any], name: str, default: bool) -> bool:
        value = document.get(name, default)
        if not isinstance(value, bool):
            self._fault(name, "true or false is due")
        return value is True

    def _number(self, document: Mapping[str, Any], name: str, most: int) -> int:
        value = document.get(name, 0)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        self._fault(name, f"a number from 0 to {most} is due")
        return 0

    def _one_of(self, document: Mapping[str, Any], name: str, words: Sequence[str]) -> Any:
        value = document.get(name, words[0])
        if value not in words:
            self._fault(name, f"one of {', '.join(words)} is due")
        return value

    def _content_format(self, value: Any) -> int | None:
        if value is None:
            return None
        try:
            number = ContentFormat.named(value)
        except UnsupportedFormat as error:
            self._fault("contentFormat", str(error))
            return None
        if number not in WRITE_FORMATS:
            known = ", ".join(one.label for one in WRITE_FORMATS)
            self._fault("contentFormat", f"{number.label} writes no Object Instance; {known} do")
        return int(number)

    def _fault(self, place: str, reason: str) -> None:
        self.faults.append(ValueRejected(reason, path=place))


def _with_keys(path: Path, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The values of an Instance of Security, in the order of its Resources."""
    given = {entry.path[2] for entry in entries}
    empty = (Entry(path / number, b"") for number in KEYS if number not in given)
    return tuple(sorted((*entries, *empty), key=lambda entry: entry.path))


def _placed(error: ValueRejected | PathError, key: str) -> ValueRejected:
    """Which member it is about; below an Instance its own path says it."""
    if isinstance(error, ValueRejected) and error.path is not None:
        return error
    return ValueRejected(error.reason, path=key[:40])
