"""The JSON Schema of device profiles, and what it finds wrong with a document, in sentences."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson

from lwm2m_engine.errors import LwM2MError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_FILE: Final = Path(__file__).with_name("profile.schema.json")
MAX_FAULTS: Final = 100
MAX_SHOWN: Final = 40
"""Letters of a wrong value that a sentence repeats."""


@attrs.frozen(slots=True)
class Fault:
    """What is wrong, or worth knowing, and where."""

    place: str
    """From the top of the document, such as ``profileData.transportConfiguration.bootstrap[0].port``."""
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" if self.place else self.reason


class ProfileRejected(LwM2MError, ValueError):
    """A document is no device profile, or one that cannot be."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults))


@cache
def schema() -> Mapping[str, Any]:
    """As it is shipped."""
    found: Mapping[str, Any] = orjson.loads(_FILE.read_bytes())
    return found


def faults_of(document: Any) -> list[Fault]:
    """Where a document is not what the schema says, in the order of the document; the first so many."""
    faults = (fault for error in _validator().iter_errors(document) for fault in _sentences(error))
    return list(islice(faults, MAX_FAULTS))


def place_of(parts: Iterable[str | int]) -> str:
    """``a.b[0]["/3/0/9"]``"""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() and len(part) <= MAX_SHOWN:
            text += f".{part}" if text else part
        else:
            text += f"[{_quoted(part)}]"
    return text


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """What somebody may have meant."""
    spelt = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name[:MAX_SHOWN].lower(), spelt, n=1, cutoff=cutoff)
    return spelt[found[0]] if found else None


@cache
def _validator() -> Validator:
    # Takes longer to import than the rest of the server; most runs never check a profile.
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        """To Python, ``$`` is also before a line break at the end; to JSON Schema it is not."""
        if isinstance(instance, str) and (instance.endswith("\n") or not re.search(pattern, instance)):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    kind: Any = extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    validator: Validator = kind(schema())
    return validator


def _sentences(error: Any) -> Iterator[Fault]:
    """Of one ``ValidationError``."""
    parts = list(error.absolute_path)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema["properties"]
        for name in error.instance.keys() - known.keys():
            yield Fault(place_of([*parts, name]), unknown(name, known))
    elif error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        # The validator tells each by itself, with no more than a sentence to tell which.
        name = next((one for one in missing if f"'{one}'" in error.message), missing[0])
        yield Fault(place_of([*parts, name]), "is missing")
    elif error.validator in ("maxItems", "maxProperties"):
        yield Fault(place_of(parts), f"has more than {error.validator_value} members")
    elif "propertyNames" in error.absolute_schema_path:
        yield Fault(place_of([*parts, error.instance]), f"{error.schema['description']} is due as a name")
    else:
        yield Fault(place_of(parts), f"{error.schema['description']} is due, not {_shown(error.instance)}")


def unknown(name: str, known: Iterable[str]) -> str:
    found = nearest(name, known)
    hint = f"did you mean {found!r}?" if found is not None else f"known: {', '.join(known)}"
    return f"there is no such member; {hint}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return _quoted(value) if value else "an empty text"
    return orjson.dumps(value).decode()[:MAX_SHOWN]


def _quoted(text: str) -> str:
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return orjson.dumps(shown).decode()
