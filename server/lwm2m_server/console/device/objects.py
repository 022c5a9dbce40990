"""``/console/devices/{name}/objects``: what a device has, and everything that can be asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import Path
from lwm2m_server.console.device.attributes import attributes_for
from lwm2m_server.console.device.calls import TIMEOUTS
from lwm2m_server.console.device.fields import field, optional, rows
from lwm2m_server.console.device.frame import device_of, device_page, tree_for
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.device.tree import Object, Observed, Tree
from lwm2m_server.console.device.values import id_of
from lwm2m_server.console.pages import is_htmx, part

LAZY: Final = 8
"""Of an object with more instances, what they have is fetched when it is wanted."""
OPEN: Final = 4
"""Objects of a device with no more are all open."""
DEVICE: Final = 3
"""The Object that says most of what a device is."""


class ObjectPages:
    """The tree, and one place in it with all that can be done there."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        return [
            Route("/devices/{name}/objects", self.tree, methods=["GET"]),
            Route("/devices/{name}/objects/{path:path}", self.place, methods=["GET"]),
        ]

    async def tree(self, request: Request) -> Response:
        """All objects, or what has the words of ``q`` in its name or path."""
        device = await device_of(request)
        tree, query = await tree_for(request, device), request.query_params.get("q", "").strip()
        only_known = "known" in request.query_params
        found = await asyncio.to_thread(_shown, tree, query, only_known)
        return await device_page(
            request,
            "device/objects.html",
            "Objects",
            device=device,
            tree=found,
            total=len(tree.objects),
            q=query,
            only_known=only_known,
            lazy=LAZY,
            opened=_opened(found, all=bool(query)),
            **how_of(tree),
        )

    async def place(self, request: Request) -> Response:
        """A page, or for htmx a panel of the tree."""
        path = _path(request.path_params["path"])
        device = await device_of(request)
        tree = await tree_for(request, device, path[0])
        context = place_of(path, tree, device) | how_of(tree)
        if is_htmx(request):
            base = address(request.path_params["name"])
            wants_rows = "rows" in request.query_params and len(path) == 2
            template = "device/instance_rows.html" if wants_rows else "device/panel.html"
            return await part(request, template, device=device, base=base, **context)
        return await device_page(request, "device/place.html", "Objects", device=device, **context)


def _shown(tree: Tree, query: str, only_known: bool) -> Tree:
    return (tree.known() if only_known else tree).found(query)


def _opened(tree: Tree, *, all: bool) -> set[int]:
    """Ids of the objects that are open at first: all of few, else Device."""
    ids = [one.path[0] for one in tree.objects]
    if all or len(ids) <= OPEN:
        return set(ids)
    return {DEVICE} if DEVICE in ids else set(ids[:1])


def how_of(tree: Tree) -> dict[str, Any]:
    """How a device can be asked."""
    return {"formats": tree.formats, "timeouts": TIMEOUTS}


def place_of(path: Path, tree: Tree, device: Mapping[str, Any]) -> dict[str, Any]:
    """What a template shows of a place. Raises ``HTTPException``."""
    object = tree.object(path[0])
    instance = tree.instance(path) if len(path) > 1 else None
    resource = tree.resource(path) if len(path) > 2 else None
    known = (object, instance, resource)[: len(path)] if len(path) <= 3 else (resource,)
    if object is None or any(one is None for one in known):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"the device has no {path}")
    definition = resource.definition if resource is not None else None
    observed = next((one.observed for one in (resource, instance, object) if one is not None), None)
    inputs: dict[str, Any] = {"field": None, "rows": (), "fields": ()}
    if resource is not None and definition is not None and definition.is_writable:
        raw = resource.reading.raw if resource.reading is not None else None
        if definition.multiple and len(path) == 3:
            inputs["rows"] = tuple(rows(definition, raw))
        else:
            inputs["field"] = field("v", definition, _one(raw, path), required=True)
    elif resource is None:
        inputs["fields"] = tuple(_fields(path, object, tree))
    return {
        "path": path,
        "id": id_of(path),
        "object": object,
        "instance": instance,
        "resource": resource,
        "definition": definition,
        "observed": observed,
        "attributes": attributes_for(
            path,
            definition.type if definition is not None else None,
            device["version"] or "1.0",
            in_force(path, observed),
        ),
        **inputs,
    }


def in_force(path: Path, observed: Observed | None) -> dict[str, str | None]:
    """Attributes that the observation of just this place brought with it."""
    if observed is None or observed.path != str(path) or not observed.attributes:
        return {}
    pairs = (text.partition("=") for text in observed.attributes.split("&"))
    return {name: value or None for name, _, value in pairs}


def _fields(path: Path, object: Object, tree: Tree) -> Any:
    """Of an Instance what can be written, with the values it has; of an Object what a new Instance has."""
    instance = tree.instance(path) if len(path) == 2 else None
    known = {one.path[2]: one.reading for one in instance.resources} if instance is not None else {}
    for one in object.definitions:
        if one.is_executable or (instance is not None and not one.is_writable):
            continue
        last = known.get(one.id)
        raw = last.raw if last is not None and not one.multiple else None
        yield optional(f"r{one.id}", one, raw, required=instance is None and one.mandatory)


def _one(raw: Any, path: Path) -> Any:
    if len(path) == 4:
        return raw.get(str(path[3])) if isinstance(raw, Mapping) else None
    return raw


def _path(text: str) -> Path:
    """Raises ``HTTPException``."""
    try:
        path = Path(f"/{text.strip('/')}")
    except PathError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    if not path:
        raise HTTPException(HTTPStatus.NOT_FOUND, "the root is all the device has")
    return path
