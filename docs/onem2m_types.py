"""The tables of the oneM2M reference page, read off the tables of the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lwm2m_server.onem2m.behaviours.table import behaviour_of
from lwm2m_server.onem2m.names import BY_TY, COMMON, LONG, TYPES, UNSUPPORTED, Access, Type

PAGE = Path(__file__).parent / "reference" / "onem2m.md"
BEGIN, END = "<!-- Begin of what docs/generate.py writes -->", "<!-- End of what docs/generate.py writes -->"

TEXT = """
Every resource has

{common}

C, U, D: what clients can do besides RETRIEVE. *Must* is mandatory at CREATE, *may* optional, *once* can be
given at CREATE only; what is *made* is the server's.

| short key | long key | `ty` | | children (`ty`) | attributes |
|---|---|---|---|---|---|
{types}
Management objects (13) have `mgd` mgmtDefinition, may have `dc` description and `cmlk` mgmtLink, and once
`obis` objectIDs, `obps` objectPaths and `mgs` mgmtSchema. Their children are subscriptions (23).

| short key | long key | `mgd` | | attributes |
|---|---|---|---|---|
{objects}
Answered with 501 / 5001: {unsupported}.

"""
KINDS = {
    "must": (Access.REQUIRED, Access.REQUIRED_ONCE),
    "may": (Access.OPTIONAL,),
    "once": (Access.ONCE,),
    "made": (Access.READ_ONLY,),
    "not supported": (Access.UNSUPPORTED,),
}


def onem2m_page() -> str:
    """The page as it is, with new tables between the marks."""
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(f"({re.escape(BEGIN)}\n).*({re.escape(END)})", re.DOTALL)
    return marked.sub(lambda found: found[1] + _tables() + found[2], page)


def _tables() -> str:
    shared = set.intersection(*(set(type.attributes) for type in TYPES if type.mgd is not None))
    return TEXT.format(
        common="\n".join(f"- {line}" for line in _attributes(COMMON)),
        types="".join(_row(type) for type in TYPES if type.mgd is None),
        objects="".join(_object(type, shared) for type in TYPES if type.mgd is not None),
        unsupported=", ".join(f"{long} ({ty})" for ty, long in UNSUPPORTED.items() if ty not in BY_TY),
    )


def _row(type: Type) -> str:
    children = " ".join(map(str, sorted(type.children)))
    attributes = "; ".join(_attributes(type.attributes))
    return f"| `{type.key}` | `{type.long}` | {type.ty} | {_operations(type)} | {children} | {attributes} |\n"


def _object(type: Type, shared: Iterable[str]) -> str:
    own = {name: access for name, access in type.attributes.items() if name not in shared}
    attributes = "; ".join(_attributes(own))
    return f"| `{type.key}` | `{type.long}` | {type.mgd} | {_operations(type)} | {attributes} |\n"


def _operations(type: Type) -> str:
    behaviour = behaviour_of(type.ty, type.key)
    can = {"C": behaviour.create, "U": behaviour.update, "D": behaviour.delete}
    return " ".join(letter for letter, function in can.items() if function is not None)


def _attributes(attributes: Mapping[str, Access]) -> list[str]:
    lines = []
    for word, accesses in KINDS.items():
        names = [_both(name) for name, access in attributes.items() if access in accesses]
        if names:
            lines.append(f"*{word}*: {', '.join(names)}")
    return lines


def _both(short: str) -> str:
    return f"`{short}`" if LONG[short] == short else f"`{short}` {LONG[short]}"
