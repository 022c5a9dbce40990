"""What a form asks of a device, as an RPC; raises ``Unfit`` with a sentence where nothing can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import Path
from lwm2m_server.console.device.attributes import read_attributes
from lwm2m_server.console.device.fields import Entered, Unfit, field, read_rows
from lwm2m_server.console.device.tree import Definition, Object, Tree

Document = dict[str, Any]

TIMEOUTS: Final = (5, 10, 30, 60, 120)
"""Seconds to choose from."""


@attrs.frozen(slots=True)
class Deed:
    """A method and the place it is about; of composites there are several."""

    method: str
    path: Path
    paths: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        return TITLES.get(self.method, self.method)


TITLES: Final = {
    "ReadComposite": "Read-Composite",
    "WriteReplace": "Write (replace)",
    "WriteUpdate": "Write (partial update)",
    "WriteComposite": "Write-Composite",
    "WriteAttributes": "Write-Attributes",
    "ObserveCancel": "Cancel Observation",
    "ObserveComposite": "Observe-Composite",
    "ObserveCompositeCancel": "Cancel Observation-Composite",
    "ObserveCancelAll": "Cancel all Observations",
}


def deed_of(text: str) -> Deed:
    """Of a button: ``Read /3/0/9``. Raises ``Unfit``."""
    method, _, place = text.partition(" ")
    if method not in _PARAMS:
        raise Unfit(f"{text[:40]!r} is nothing to ask of a device")
    return Deed(method, path_of(place or "/"))


def path_of(text: str) -> Path:
    try:
        return Path(text)
    except PathError as error:
        raise Unfit(str(error)) from None


def call_of(deed: Deed, form: Entered, tree: Tree) -> Document:
    """The body of an RPC."""
    params = _PARAMS[deed.method](deed, form, tree)
    if deed.method in _WITH_FORMAT and form.text("contentFormat"):
        params["contentFormat"] = _number(form.text("contentFormat"), "a content format")
    document: Document = {"method": deed.method, "params": params}
    if form.text("timeout"):
        document["timeout"] = _number(form.text("timeout"), "a time") * 1000
    if form.text("persistent"):
        document["persistent"] = True
    return document


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise Unfit(f"{text[:20]!r} is not {what}")
    return int(text)


# --- params of each method -------------------------------------------------------------------------------


def _place(deed: Deed, form: Entered, tree: Tree) -> Document:
    return {"id": str(deed.path)}


def _nothing(deed: Deed, form: Entered, tree: Tree) -> Document:
    return {}


def _places(deed: Deed, form: Entered, tree: Tree) -> Document:
    paths = [str(path_of(text)) for text in form.all("path")]
    if not paths:
        raise Unfit("no path is chosen")
    return {"ids": paths}


def _observe(deed: Deed, form: Entered, tree: Tree) -> Document:
    attributes = read_attributes(form)
    return _place(deed, form, tree) | ({"attributes": attributes} if attributes else {})


def _execute(deed: Deed, form: Entered, tree: Tree) -> Document:
    return _place(deed, form, tree) | {"value": form.text("arguments").strip() or None}


def _attributes(deed: Deed, form: Entered, tree: Tree) -> Document:
    attributes = read_attributes(form)
    if not attributes:
        raise Unfit("no attribute is entered")
    return _place(deed, form, tree) | {"attributes": attributes}


def _write(deed: Deed, form: Entered, tree: Tree) -> Document:
    path = deed.path
    if len(path) < 2:
        raise Unfit(f"{path}: an Object Instance, a Resource or an instance of one is written")
    if len(path) == 2:
        return {"id": str(path), "value": _values(form, _definitions(path, tree), "")}
    definition = _definition(path, tree)
    if len(path) == 3 and definition.multiple:
        values = read_rows(form, definition)
        if not values:
            raise Unfit("no value is entered")
        return {"id": str(path), "value": values}
    value = field("v", definition, required=True).read(form)
    if value is None:
        raise Unfit("no value is entered")
    return {"id": str(path), "value": value}


def _create(deed: Deed, form: Entered, tree: Tree) -> Document:
    if not deed.path:
        raise Unfit("of which Object?")
    object = tree.object(deed.path[0])
    values = _values(form, object.definitions if object is not None else (), "", needed=False)
    id = form.text("instance").strip()
    if not id:
        return {"id": f"/{deed.path[0]}", "value": values}
    return {"id": f"/{deed.path[0]}", "nodes": {id: values}}


def _write_composite(deed: Deed, form: Entered, tree: Tree) -> Document:
    nodes: Document = {}
    for number, text in enumerate(form.all("path")):
        path = path_of(text)
        if len(path) < 3:
            continue
        value = field(f"n{number}", _definition(path, tree)).read(form)
        if value is not None:
            nodes[str(path)] = value
    if not nodes:
        raise Unfit("no value is entered")
    return {"nodes": nodes}


def _values(
    form: Entered, definitions: tuple[Definition, ...], prefix: str, *, needed: bool = True
) -> Document:
    """Of Resources by their ids, those that were entered."""
    found: Document = {}
    for one in definitions:
        value = field(f"{prefix}r{one.id}", one).read(form)
        if value is not None:
            found[str(one.id)] = {"0": value} if one.multiple else value
    if needed and not found:
        raise Unfit("no value is entered")
    return found


def _definitions(path: Path, tree: Tree) -> tuple[Definition, ...]:
    object: Object | None = tree.object(path[0])
    return tuple(one for one in object.definitions if one.is_writable) if object is not None else ()


def _definition(path: Path, tree: Tree) -> Definition:
    resource = tree.resource(path)
    if resource is None or resource.definition is None:
        raise Unfit(f"{path}: no model tells what type it has")
    return resource.definition


_PARAMS: Final[Mapping[str, Callable[[Deed, Entered, Tree], Document]]] = {
    "Read": _place,
    "Discover": _place,
    "Observe": _observe,
    "ObserveCancel": _place,
    "Execute": _execute,
    "WriteReplace": _write,
    "WriteUpdate": _write,
    "WriteAttributes": _attributes,
    "Create": _create,
    "Delete": _place,
    "ReadComposite": _places,
    "ObserveComposite": _places,
    "ObserveCompositeCancel": _places,
    "ObserveCancelAll": _nothing,
    "WriteComposite": _write_composite,
}
TYPED: Final = frozenset(("WriteReplace", "WriteUpdate", "WriteComposite", "Create"))
"""Methods with values: what was entered is read as the models define it."""
_WITH_FORMAT: Final = frozenset(
    (
        "Read",
        "ReadComposite",
        "Observe",
        "ObserveComposite",
        "WriteReplace",
        "WriteUpdate",
        "WriteComposite",
        "Create",
    )
)
