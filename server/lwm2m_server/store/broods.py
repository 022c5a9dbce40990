"""Broods: resources that their parents are born with, and that have no rows until one of them changes.

Every node is born with the same few resources. Their ids follow those of their parents, so what they are
follows from the row of the parent and a document that thousands of parents have in common (the table
``brood``). When one changes or goes, it and its siblings get rows, and the parent has no brood any more.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from lwm2m_server.store.records import Born, Brood, Resource

REACH = 15
"""Highest ``offset`` a child may have."""


def brood_to_json(brood: Brood) -> str:
    rows = [
        (born.offset, born.name, born.type, born.key, born.attributes, born.named, born.evict)
        for born in brood.children
    ]
    return orjson.dumps(rows).decode()


def brood_from_json(text: str) -> Brood:
    return Brood(tuple(Born(*row) for row in orjson.loads(text)))


def born(child: Born, parent: Resource) -> Resource:
    """A child as it was born."""
    id, attributes = parent.id + child.offset, child.attributes
    if child.named is not None:
        attributes = {**attributes, child.named: parent.name}
    return Resource(id, parent.tenant, parent.id, child.name, child.type, child.key, attributes, id)


def named(name: str, parent: Resource, brood: Brood) -> Resource | None:
    """The child of this name."""
    found = next((child for child in brood.children if child.name == name), None)
    return None if found is None else born(found, parent)


def children(brood: Brood, parent: Resource) -> Iterator[Resource]:
    """All of them."""
    return (born(child, parent) for child in brood.children)
