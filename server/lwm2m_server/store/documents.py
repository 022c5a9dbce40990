"""Engine records as JSON text and back. A field added with a default reads old documents."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

import cattrs
import orjson

from lwm2m_engine.engine.records import Observation, Registration
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, Value


def dumps(document: object) -> str:
    """Compact JSON; raises ``TypeError`` for what JSON or UTF-8 cannot hold."""
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS).decode()


def loads(text: str) -> Any:
    return orjson.loads(text)


def registration_to_json(registration: Registration) -> str:
    return dumps(_converter.unstructure(registration))


def registration_from_json(text: str) -> Registration:
    return _converter.structure(orjson.loads(text), Registration)


def observation_to_json(observation: Observation) -> str:
    return dumps(_converter.unstructure(observation))


def observation_from_json(text: str) -> Observation:
    return _converter.structure(orjson.loads(text), Observation)


def inputs_to_json(inputs: Mapping[Path, Value]) -> str:
    return dumps({str(path): _tagged(value) for path, value in inputs.items()})


def inputs_from_json(text: str) -> dict[Path, Value]:
    return {Path(path): _untagged(value) for path, value in orjson.loads(text).items()}


def _tagged(value: Value) -> object:
    """JSON's own types stand for themselves, the others are one-member objects."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, ObjLink):
        return {"link": str(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _untagged(value: Any) -> Value:
    if isinstance(value, dict):
        (tag, text), *_ = value.items()
        return _UNTAG[tag](text)
    result: Value = value
    return result


_UNTAG: dict[str, Callable[[str], Value]] = {"bytes": base64.b64decode, "link": ObjLink.parse, "float": float}

_converter = cattrs.Converter(detailed_validation=False)
_converter.register_unstructure_hook(Path, str)
_converter.register_structure_hook(Path, lambda text, _: Path(text))
_converter.register_unstructure_hook(bytes, lambda value: base64.b64encode(value).decode("ascii"))
_converter.register_structure_hook(bytes, lambda text, _: base64.b64decode(text))
# A device announces dozens of links: pairs are a quarter of the work of objects with named members.
_converter.register_unstructure_hook(Link, lambda link: (link.target, link.attributes))
_converter.register_structure_hook(Link, lambda pair, _: Link(pair[0], tuple(map(tuple, pair[1]))))
