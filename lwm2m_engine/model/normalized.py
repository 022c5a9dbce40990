"""Definition files written anew: the facts of an Object, none of its texts."""

from __future__ import annotations

import re

from lwm2m_engine.model.form import HEAD, SCHEMA_1_0, SCHEMA_1_1, SINCE_1_1, escaped
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec

_PROSE = re.compile(r"[A-Za-z]+(?:\s+\S+){3,}")


def file_name(spec: ObjectSpec) -> str:
    """``3_1_2.xml`` for Object 3 version 1.2."""
    return f"{spec.id}_{spec.version.replace('.', '_')}.xml"


def is_prose(text: str) -> bool:
    """True for a RangeEnumeration that is a sentence ("the possible values are listed in ...")."""
    return _PROSE.fullmatch(text) is not None


def write(spec: ObjectSpec) -> bytes:
    """The definition as a file that is valid by the DDF schema, byte for byte the same for the same facts.

    Descriptions stay empty, so does a RangeEnumeration that is prose.
    """
    new = spec.lwm2m_version != "1.0" or any(item.type in SINCE_1_1 for item in spec.resources.values())
    lines = [
        '\t<Object ObjectType="MODefinition">',
        _field(2, "Name", spec.name),
        _field(2, "Description1", ""),
        _field(2, "ObjectID", str(spec.id)),
        _field(2, "ObjectURN", spec.urn),
        _field(2, "LWM2MVersion", spec.lwm2m_version),
        _field(2, "ObjectVersion", spec.version),
        _field(2, "MultipleInstances", _multiple(spec.multiple)),
        _field(2, "Mandatory", _mandatory(spec.mandatory)),
        "\t\t<Resources>",
        *(_item(resource) for resource in spec.resources.values()),
        "\t\t</Resources>",
        _field(2, "Description2", ""),
        "\t</Object>",
        "</LWM2M>",
    ]
    lines.insert(0, f'{HEAD}{SCHEMA_1_1 if new else SCHEMA_1_0}">')
    return ("\n".join(lines) + "\n").encode()


def _item(spec: ResourceSpec) -> str:
    return "\n".join(
        [
            f'\t\t\t<Item ID="{spec.id}">',
            _field(4, "Name", spec.name),
            _field(4, "Operations", spec.operations),
            _field(4, "MultipleInstances", _multiple(spec.multiple)),
            _field(4, "Mandatory", _mandatory(spec.mandatory)),
            _field(4, "Type", spec.type.value),
            _field(4, "RangeEnumeration", "" if is_prose(spec.range) else spec.range),
            _field(4, "Units", spec.units),
            _field(4, "Description", ""),
            "\t\t\t</Item>",
        ]
    )


def _field(depth: int, tag: str, text: str) -> str:
    indent = "\t" * depth
    return f"{indent}<{tag}>{escaped(text)}</{tag}>" if text else f"{indent}<{tag}/>"


def _multiple(flag: bool) -> str:
    return "Multiple" if flag else "Single"


def _mandatory(flag: bool) -> str:
    return "Mandatory" if flag else "Optional"
