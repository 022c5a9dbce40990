"""Every exception of the library.

::

    LwM2MError
    ├── ModelError ─────── DDFError · UnknownObject · UnknownResource · NoSuchVersion
    ├── PathError
    ├── ValueRejected
    ├── CodecError ─────── DecodeError · EncodeError · UnsupportedFormat
    ├── RequestError       (carries the CoAP response code)
    ├── DeliveryError ──── UnknownDevice
    ├── MappingError ───── MappingConflict
    ├── PluginError
    └── SettingsError

The facts of a failure are attributes; the sentence a person reads is made from them by ``__str__``.
Several faults found together are raised as an ``ExceptionGroup``.
"""

from __future__ import annotations


class LwM2MError(Exception):
    """Root of all errors this library raises on purpose."""


# --- object models ---------------------------------------------------------------------------------


class ModelError(LwM2MError):
    """An object definition is missing or unusable."""


class DDFError(ModelError):
    """An object definition file (LwM2M DDF, OMA XML) cannot be used."""

    def __init__(self, reason: str, *, file: str = "", line: int | None = None) -> None:
        super().__init__(reason, file, line)
        self.reason, self.file, self.line = reason, file, line

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return f"{place}: {self.reason}" if place else self.reason


class UnknownObject(ModelError, KeyError):
    """No definition of this Object ID is loaded."""

    def __init__(self, object_id: int) -> None:
        super().__init__(object_id)
        self.object_id = object_id

    def __str__(self) -> str:
        return f"no model of object {self.object_id} is loaded"


class NoSuchVersion(ModelError, KeyError):
    """The object is known, but not in this version."""

    def __init__(self, object_id: int, version: str, available: tuple[str, ...]) -> None:
        super().__init__(object_id, version, available)
        self.object_id, self.version, self.available = object_id, version, available

    def __str__(self) -> str:
        return f"object {self.object_id} has no version {self.version}; loaded: {', '.join(self.available)}"


class UnknownResource(ModelError, KeyError):
    """The object's definition has no such Resource (by id or by generated name)."""

    def __init__(self, object_id: int, resource: int | str, nearest: str | None = None) -> None:
        super().__init__(object_id, resource, nearest)
        self.object_id, self.resource, self.nearest = object_id, resource, nearest

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"object {self.object_id} has no resource {self.resource!r}{hint}"


# --- paths and values ------------------------------------------------------------------------------


class PathError(LwM2MError, ValueError):
    """A text is not an LwM2M path (LwM2M Core 1.2, 7.1)."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.text, self.reason = text, reason

    def __str__(self) -> str:
        return f"{self.text!r} is not an LwM2M path: {self.reason}"


class ValueRejected(LwM2MError, ValueError):
    """A value does not fit the type, range or enumeration of its Resource."""

    def __init__(self, reason: str, *, path: object = None, value: object = None) -> None:
        super().__init__(reason, path, value)
        self.reason, self.path, self.value = reason, path, value

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path is not None else self.reason


# --- codecs ----------------------------------------------------------------------------------------


class CodecError(LwM2MError, ValueError):
    """A payload cannot be decoded or encoded.

    ``content_format`` is the CoAP Content-Format number, ``offset`` the byte at which decoding failed
    (``None`` when unknown), ``path`` the LwM2M path that was being read or written.
    """

    def __init__(
        self,
        reason: str,
        *,
        content_format: int | None = None,
        offset: int | None = None,
        path: object = None,
    ) -> None:
        super().__init__(reason, content_format, offset, path)
        self.reason, self.content_format, self.offset, self.path = reason, content_format, offset, path

    def __str__(self) -> str:
        parts = [self.reason]
        if self.path is not None:
            parts.append(f"path {self.path}")
        if self.offset is not None:
            parts.append(f"byte {self.offset}")
        if self.content_format is not None:
            parts.append(f"content format {self.content_format}")
        return parts[0] if len(parts) == 1 else f"{parts[0]} ({', '.join(parts[1:])})"


class DecodeError(CodecError):
    """The bytes are not a valid payload of their format for this path."""


class EncodeError(CodecError):
    """These entries cannot be expressed in this format."""


class UnsupportedFormat(CodecError):
    """No codec is registered for this Content-Format number."""


# --- requests and delivery -------------------------------------------------------------------------


class RequestError(LwM2MError):
    """A request is refused; ``code`` is the CoAP response code that says so."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason

    def __str__(self) -> str:
        return self.reason


class DeliveryError(LwM2MError):
    """A message could not be brought to a device, or its answer was not usable."""

    def __init__(self, endpoint: str, reason: str = "") -> None:
        super().__init__(endpoint, reason)
        self.endpoint, self.reason = endpoint, reason

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.reason or type(self).__doc__}"


class UnknownDevice(DeliveryError, KeyError):
    """no such device"""


# --- mapping, plugins, settings --------------------------------------------------------------------


class MappingError(LwM2MError):
    """A mapping rule cannot be compiled; the text names file, rule and the nearest known name."""


class MappingConflict(MappingError):
    """Two plugins write the same attribute of the same managed resource."""


class PluginError(LwM2MError):
    """A plugin cannot be loaded or breaks its contract."""


class SettingsError(LwM2MError):
    """A setting is unknown or has an unusable value; the text names file and key."""
