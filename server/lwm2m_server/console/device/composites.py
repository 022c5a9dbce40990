"""``/console/devices/{name}/composite``: several places at once, which were chosen in the tree."""

from __future__ import annotations

from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import Path
from lwm2m_server.console.device.fields import Field, optional
from lwm2m_server.console.device.frame import device_of, device_page, tree_for
from lwm2m_server.console.device.objects import how_of
from lwm2m_server.console.device.tree import Resource, Tree

MOST: Final = 256
"""Places that one request may name."""


@attrs.frozen
class Chosen:
    """One place; ``field`` is to write it, if that can be done."""

    path: Path
    name: str
    resource: Resource | None
    field: Field | None


class CompositePages:
    """Read-Composite, Observe-Composite, Write-Composite."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        return [Route("/devices/{name}/composite", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """What each ``path`` is, and what can be done with them all; ``more`` has some that were typed."""
        device = await device_of(request)
        tree, asked = await tree_for(request, device), request.query_params
        texts = [*asked.getlist("path"), *asked.get("more", "").replace(",", " ").split()]
        paths, wrong = _paths(texts)
        chosen = [_chosen(number, path, tree) for number, path in enumerate(paths)]
        together = [
            one
            for one in device["observations"]
            if one["composite"] and set(one["paths"]) == set(map(str, paths))
        ]
        context: dict[str, Any] = how_of(tree)
        return await device_page(
            request,
            "device/composite.html",
            "Objects",
            device=device,
            chosen=chosen,
            wrong=wrong,
            writable=any(one.field is not None for one in chosen),
            observed=bool(together),
            **context,
        )


def _paths(texts: list[str]) -> tuple[list[Path], list[str]]:
    """Those that are paths, each once, and the rest."""
    found: dict[Path, None] = {}
    wrong = []
    for text in texts[:MOST]:
        try:
            path = Path(text)
        except PathError as error:
            wrong.append(str(error))
            continue
        if path:
            found[path] = None
    return list(found), wrong


def _chosen(number: int, path: Path, tree: Tree) -> Chosen:
    """Fields are named by their place in the list."""
    resource = tree.resource(path) if len(path) > 2 else None
    object = tree.object(path[0])
    if resource is None:
        return Chosen(path, object.title if object is not None else "", None, None)
    definition = resource.definition
    if definition is None or not definition.is_writable or (definition.multiple and len(path) == 3):
        return Chosen(path, resource.name, resource, None)
    raw = resource.reading.raw if resource.reading is not None else None
    value = raw.get(str(path[3])) if len(path) == 4 and isinstance(raw, dict) else raw
    return Chosen(path, resource.name, resource, optional(f"n{number}", definition, value))
