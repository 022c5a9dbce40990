"""Where settings come from: defaults, ``lwm2m.toml``, ``LWM2M_*`` variables and flags; later wins.

A misspelt key is an error that names the place and the nearest key.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs.errors import CattrsError
from typed_settings.converters import (
    get_default_cattrs_converter,
    get_path_converter_from,
    register_strlist_hook,
)
from typed_settings.dict_utils import merge_settings, set_path
from typed_settings.types import LoadedSettings, LoadedValue, LoaderMeta, OptionInfo

from lwm2m_engine.errors import SettingsError
from lwm2m_server.settings import Address, Settings

FILE = Path("lwm2m.toml")
PREFIX = "LWM2M_"
OF_COMMANDS = frozenset(("LWM2M_URL", "LWM2M_TOKEN_FILE"))
"""Variables that stand for flags of commands about a server, and are no settings."""


def _options(cls: type[attrs.AttrsInstance], prefix: str = "") -> Iterator[OptionInfo]:
    """As ``typed_settings.cls_utils.deep_options``, which reads the docstrings in the source too and takes
    ten times as long for that."""
    attrs.resolve_types(cls)
    for field in attrs.fields(cls):
        path = f"{prefix}{field.name}"
        if field.type is not None and attrs.has(field.type):
            yield from _options(field.type, f"{path}.")
        else:
            yield OptionInfo(
                parent_cls=cls,
                path=path,
                cls=field.type,
                default=field.default,
                has_no_default=field.default is attrs.NOTHING,
                default_is_factory=False,
                converter=field.converter,
            )


OPTIONS = tuple(_options(Settings))
KEYS = tuple(option.path for option in OPTIONS)
"""Every setting, dotted: ``devices.unknown``."""


def variable(key: str) -> str:
    """The environment variable of a setting: ``LWM2M_DEVICES_UNKNOWN``."""
    return PREFIX + key.upper().replace(".", "_")


@attrs.frozen
class Loaded:
    """Settings and where each came from: ``default``, ``demo``, ``env``, ``flag`` or a file name."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None = None

    def rows(self) -> Iterator[tuple[str, object, str]]:
        """Key, value and origin of every setting."""
        for key in KEYS:
            value: object = self.settings
            for name in key.split("."):
                value = getattr(value, name)
            yield key, value, self.origins[key]


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
    presets: Mapping[str, Any] | None = None,
    cwd: Path | None = None,
    implicit: bool = True,
) -> Loaded:
    """Merge every source.

    ``flags`` and ``presets`` are dotted keys with values; presets rank just above the defaults.
    Folders given as flags are added to those of the file. Without ``file``, ``lwm2m.toml`` in
    ``cwd`` counts if there is one, unless ``implicit`` is false. Raises ``SettingsError``.
    """
    cwd = (cwd or Path.cwd()).absolute()
    if file is None and implicit and (cwd / FILE).is_file():
        file = cwd / FILE
    flags = flags or {}
    layers = [_layer("default", _defaults(), cwd), _layer("demo", _nested(presets or {}, "demo"), cwd)]
    if file is not None:
        base = file.absolute().parent
        layers.append(
            _layer("default", {"models": {"dirs": ["models/xml"]}, "plugins": {"dirs": ["plugins"]}}, base)
        )
        layers.append(_layer(str(file), _read(file), base))
    layers.append(_layer("env", _environment(environ), cwd))
    single = {key: value for key, value in flags.items() if not key.endswith(".dirs")}
    layers.append(_layer("flag", _nested(single, "flag"), cwd))
    merged = merge_settings(OPTIONS, layers)
    values = {option.path: _value(option, merged[option.path]) for option in OPTIONS}
    origins = {key: merged[key].loader_meta.name for key in KEYS}
    for key in flags.keys() - single.keys():
        if flags[key]:
            values[key] += tuple(cwd / folder for folder in flags[key])
            origins[key] += " + flag"
    return Loaded(_settings(values), origins, file)


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error
    _refuse_unknown(_leaves(values), str(file))
    return values


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _refuse_unknown(keys: Iterator[str], place: str) -> None:
    for key in keys:
        if key not in KEYS:
            nearest = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise SettingsError(f"{place}: unknown setting {key!r}{hint}")


def _environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {variable(key): key for key in KEYS}
    values: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in OF_COMMANDS:
            continue
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise SettingsError(f"environment: unknown setting {name}{hint}")
        set_path(values, names[name], value)
    return values


def _nested(flat: Mapping[str, Any], place: str) -> dict[str, Any]:
    _refuse_unknown(iter(flat), place)
    values: dict[str, Any] = {}
    for key, value in flat.items():
        set_path(values, key, value)
    return values


def _layer(origin: str, values: dict[str, Any], base: Path) -> LoadedSettings:
    return LoadedSettings(values, LoaderMeta(origin, base_dir=base))


def _defaults() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for option in OPTIONS:
        set_path(values, option.path, option.default)
    return values


def _value(option: OptionInfo, loaded: LoadedValue) -> Any:
    """The value as its type wants it; relative paths start at the place it came from."""
    try:
        with _PATHS.chdir(loaded.loader_meta.base_dir):
            value: Any = _CONVERTER.structure(loaded.value, option.cls)
        field = attrs.fields_dict(option.parent_cls)[option.name]
        if field.validator is not None:
            field.validator(None, field, value)
    except (ValueError, TypeError, CattrsError) as error:
        choices = get_args(option.cls) if get_origin(option.cls) is Literal else ()
        reason = f"{loaded.value!r} is not one of {', '.join(choices)}" if choices else str(_cause(error))
        origin = loaded.loader_meta.name
        place = variable(option.path) if origin == "env" else f"{origin}: {option.path}"
        raise SettingsError(f"{place}: {reason}") from error
    return value


def _cause(error: BaseException) -> BaseException:
    """cattrs wraps what is wrong with an element of a list."""
    return _cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _settings(values: Mapping[str, Any]) -> Settings:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        set_path(nested, key, value)
    return _CONVERTER.structure(nested, Settings)


def _address(value: object, _: type) -> Address:
    return value if isinstance(value, Address) else Address.parse(str(value))


_CONVERTER = get_default_cattrs_converter()
_CONVERTER.register_structure_hook(Address, _address)
# A colon, the usual separator, is part of every address.
register_strlist_hook(_CONVERTER, fn=lambda text: [part.strip() for part in text.split(",")])
_PATHS = get_path_converter_from(_CONVERTER)
