"""The reference page of mappings, read off the plugins that come along."""
# ruff: noqa: E501 - lines of Markdown are longer than those of code

from __future__ import annotations

from contextlib import suppress
from itertools import groupby

from lwm2m_engine import Action, Catalog, Mapping, PluginManager, ResourceSpec, Rule
from lwm2m_engine.errors import UnknownResource
from lwm2m_engine.mapping.rules import ENDPOINT, Source
from lwm2m_engine.plugins import loading
from lwm2m_engine.plugins.registry import OFF_BY_DEFAULT
from lwm2m_server.onem2m.names import short_name, type_of_key

HEAD = """\
# Mappings

Which Resources make which attributes of which management object, in the plugins that come along, and what becomes of it
when an application writes an attribute. How to use them: [Management objects](../how-to/management-objects.md); how to write
others: [Write a mapping plugin](../how-to/write-a-mapping-plugin.md).

Behind long names of oneM2M stand the short ones. What has nothing in the last column is what the device tells, and cannot be
written. `{instance}` stands for the Object Instance ID: there is a management object for each. All but `device-info` also
have `objectIDs` and `objectPaths`, which say what they are made from.

"""

FEW = 3
"""More mappings of one plugin than this are alike, and one is shown for all."""


def mappings_page() -> str:
    """Every mapping of the bundled plugins."""
    candidates = list(loading.bundled())
    manager = PluginManager(candidates, enabled=[candidate.name for candidate in candidates])
    catalog = Catalog.bundled()
    manager.table(catalog)
    off = {one.name for one in candidates if getattr(loading.run(one), OFF_BY_DEFAULT, False)}
    parts = [HEAD]
    for plugin, found in groupby(manager.mappings, key=lambda pair: pair[0]):
        own = [mapping for _, mapping in found]
        parts.append(f"## {plugin}\n\n")
        if plugin in off:
            parts.append(f'Off by default: `plugins.enabled = ["{plugin}"]`.\n\n')
        if len(own) > FEW:
            parts.append(_alike(own))
            own = [mapping for mapping in own if mapping.name.startswith("temperature")]
        parts += (_mapping(mapping, catalog) for mapping in own)
    return "".join(parts).rstrip() + "\n"


def _alike(mappings: list[Mapping]) -> str:
    names = ", ".join(f"`{mapping.name}`" for mapping in mappings)
    return f"All by one rule: every Resource becomes an attribute.\n\n{names}. One of them:\n\n"


def _mapping(mapping: Mapping, catalog: Catalog) -> str:
    rows = [*(_rule(rule, mapping, catalog) for rule in mapping.rules)]
    rows += (_action(action, mapping, catalog) for action in mapping.actions)
    read = ", read after each Register" if mapping.read_at_register else ""
    head = f"### {mapping.name}\n\n`{mapping.target}`{read}.\n\n"
    return head + "| attribute | from | back |\n|---|---|---|\n" + "".join(rows) + "\n"


def _rule(rule: Rule, mapping: Mapping, catalog: Catalog) -> str:
    sources = "<br>".join(_source(source, catalog) for source in rule.sources)
    back = "Write" if rule.write else ""
    return f"| {_attribute(rule.target, mapping)} | {sources} | {back} |\n"


def _action(action: Action, mapping: Mapping, catalog: Catalog) -> str:
    back = f"Execute {_source(action.source, catalog)}"
    if action.when is not None:
        sources = " and ".join(_source(source, catalog) for source in action.when.sources)
        back += f", when {sources} allow it"
    if action.status is not None:
        back += f"; `{action.status}` tells how it goes"
    return f"| {_attribute(action.target, mapping)} | reads `{str(action.shows).lower()}` | {back} |\n"


def _attribute(target: str, mapping: Mapping) -> str:
    kind = type_of_key(mapping.target)
    short = short_name(target, kind.attributes) if kind is not None else None
    return f"`{target}` {short}" if short not in (None, target) else f"`{target}`"


def _source(source: Source, catalog: Catalog) -> str:
    if source is ENDPOINT:
        return "Endpoint Client Name"
    elements = str(source).strip("/").split("/")
    resource = _resource(int(elements[0]), elements[2], catalog)
    path = "/".join([*elements[:2], str(resource.id), *elements[3:]])
    return f"`/{path}` {resource.name}"


def _resource(number: int, name: str, catalog: Catalog) -> ResourceSpec:
    """Of the newest version of the Object that has it."""
    for version in reversed(catalog.versions(number)):
        with suppress(UnknownResource):
            return catalog[number, version][int(name) if name.isdecimal() else name]
    raise LookupError(f"object {number} has no {name}")
