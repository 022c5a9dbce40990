"""``Implementation``: one plugin's function behind a hook, and what it may hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import attrs

from lwm2m_engine.codecs.codec import Codec
from lwm2m_engine.errors import CodecError, DecodeError, EncodeError, PluginError

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen(slots=True)
class Implementation:
    """Called without pluggy's multicall, so that what one plugin raises does not stop the others."""

    plugin: str
    hook: str
    function: Callable[..., object]
    arguments: tuple[str, ...]
    """The hook's arguments that this plugin wants, in its order."""

    def call(self, **values: object) -> object:
        """Whatever the plugin's code returns or raises."""
        return self.function(*(values[name] for name in self.arguments))

    def collect(self, kinds: type[T] | tuple[type[T], ...], **values: object) -> list[T]:
        """All that a start-up hook yields or returns; raises ``PluginError`` if it fails.

        ``None`` is an empty collection: a hook may decide to add nothing.
        """
        try:
            result = self.call(**values)
            items = [] if result is None else list(result)  # type: ignore[call-overload]
        except Exception as error:
            raise PluginError(f"{self.hook} raised {type(error).__name__}: {error}") from error
        for item in items:
            if not isinstance(item, kinds):
                raise PluginError(f"{self.hook} gave {item!r}, not {_names(kinds)}")
        return items


def expect(kind: type[T], value: object) -> T:
    """``value``, if the hook's contract allows it; raises ``PluginError``."""
    if not isinstance(value, kind):
        raise PluginError(f"gave {value!r}, not {_names(kind)}")
    return value


def expect_all(kind: type[T], values: object) -> tuple[T, ...]:
    """As ``expect``, for a hook that gives several."""
    return tuple(expect(kind, value) for value in expect(Iterable, values))  # type: ignore[type-abstract]


def by_kind(
    given: Iterable[tuple[object, ...]], owners: Mapping[str, str]
) -> dict[str, Callable[[Any], Any]]:
    """What ``server_sinks`` gave; raises ``PluginError``. ``owners`` say whose a kind is already."""
    found: dict[str, Callable[[Any], Any]] = {}
    for item in given:
        match item:
            case (str(kind), make) if kind and callable(make):
                if kind in found or kind in owners:
                    owner = owners.get(kind, "this plugin")
                    raise PluginError(f"server_sinks: EndpointType:{kind} is there already, of {owner}")
                found[kind] = make
            case _:
                raise PluginError(f"server_sinks gave {item!r}, not an EndpointType and what makes its sinks")
    return found


def guarded(plugin: str, codec: Codec) -> Codec:
    """A codec that raises nothing but what the engine expects of one."""
    decode_paths, encode_paths = codec.decode_paths, codec.encode_paths
    return attrs.evolve(
        codec,
        decode=_only(DecodeError, plugin, codec.decode),
        encode=_only(EncodeError, plugin, codec.encode),
        decode_paths=decode_paths and _only(DecodeError, plugin, decode_paths),
        encode_paths=encode_paths and _only(EncodeError, plugin, encode_paths),
        decode_each=codec.decode_each and _only(DecodeError, plugin, codec.decode_each),
    )


def _only(kind: type[CodecError], plugin: str, function: Callable[P, T]) -> Callable[P, T]:
    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except CodecError:
            raise
        except Exception as error:
            raise kind(f"plugin {plugin} raised {type(error).__name__}: {error}") from error

    return call


def _names(kind: type | tuple[type, ...]) -> str:
    return " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
