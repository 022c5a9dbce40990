"""The methods of RPCs: what each asks of a device, as messages to it; or what is known without asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from lwm2m_engine.engine.records import Observation, Registration
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages import parse_json, validate
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.rpc import results
from lwm2m_server.rpc.call import bad, known
from lwm2m_server.rpc.targets import Naming, Targets, nearest, need_format
from lwm2m_server.rpc.written import id_of, prepared

PASSIVE: Final = "?passive"
"""Behind the path of a cancel that asks nothing of the device."""
Params = Mapping[str, Any]
Document = dict[str, Any]


@attrs.frozen
class Scene:
    """The device an RPC is about."""

    name: str
    registration: Registration | None
    models: ModelView
    targets: Targets
    observations: Sequence[Observation]

    @classmethod
    def of(
        cls,
        name: str,
        registration: Registration | None,
        models: ModelView,
        naming: Naming,
        observations: Sequence[Observation],
    ) -> Scene:
        return cls(name, registration, models, Targets(models, naming), observations)

    @property
    def formats(self) -> Sequence[int]:
        return self.registration.formats if self.registration is not None else ()


@attrs.frozen
class Plan:
    """Messages to the device, as JSON objects; or else what is known already."""

    messages: tuple[Document, ...] = ()
    known: Mapping[str, Any] | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether the device is not spoken to."""
        return all(str(message["path"]).endswith(PASSIVE) for message in self.messages)


@attrs.frozen
class Method:
    """``plan`` raises ``RequestError`` with a sentence."""

    name: str
    summary: str
    params: tuple[str, ...]
    plan: Callable[[Scene, Params], Plan]

    def __call__(self, scene: Scene, params: Params) -> Plan:
        known(params, self.params, f"the params of {self.name}")
        plan = self.plan(scene, params)
        for message in plan.messages:
            check(message, scene)
        return plan


def method_named(name: str) -> Method:
    """Raises ``RequestError`` naming the nearest one."""
    method = METHODS.get(name)
    if method is None:
        raise bad(f"method: there is no method {name[:40]!r}{nearest(name, tuple(METHODS))}")
    return method


def check(message: Document, scene: Scene) -> None:
    """Whether a device that follows its models can do it. Raises ``RequestError``."""
    version = scene.registration.version if scene.registration is not None else None
    try:
        request = parse_json(message, scene.models)
        validate(request, scene.models, version=version, strict_ranges=True)
    except ExceptionGroup as group:
        faults, rest = group.split(ValueRejected)
        if faults is None or rest is not None:
            raise
        raise bad("; ".join(map(str, faults.exceptions))) from None


# --- one function a method ------------------------------------------------------------------------------


def _read(scene: Scene, params: Params) -> Plan:
    return _one("GET", scene.targets.one(params, (1, 2, 3, 4)), accept=_format(scene, params))


def _read_composite(scene: Scene, params: Params) -> Plan:
    return _several("FETCH", scene.targets.several(params, (1, 2, 3, 4)), accept=_format(scene, params))


def _discover(scene: Scene, params: Params) -> Plan:
    path, depth = scene.targets.one(params, (1, 2, 3)), params.get("depth")
    if depth is None:
        return _one("DISCOVER", path)
    if not isinstance(depth, int) or isinstance(depth, bool) or not 0 <= depth <= 3:
        raise bad("depth: a number from 0 to 3 is expected")
    return Plan(({"method": "DISCOVER", "path": f"{path}?depth={depth}"},))


def _discover_all(scene: Scene, params: Params) -> Plan:
    if scene.registration is None:
        raise bad(f"{scene.name} is not registered; what it has, it says when it registers")
    return _known(results.listed(scene.registration.links, scene.models))


def _observe(scene: Scene, params: Params) -> Plan:
    path = scene.targets.one(params, (1, 2, 3, 4))
    return _one("OBSERVE", f"{path}{_query(params, required=False)}", accept=_format(scene, params))


def _observe_composite(scene: Scene, params: Params) -> Plan:
    paths = scene.targets.several(params, (1, 2, 3, 4))
    if len(paths) == 1:
        scene.targets.notes.append(f"{paths[0]} alone is observed by itself, not as a composite")
    return _several("OBSERVE", paths, accept=_format(scene, params))


def _observe_cancel(scene: Scene, params: Params) -> Plan:
    path = scene.targets.one(params, (1, 2, 3, 4))
    found = [one for one in scene.observations if one.paths == (path,) and not one.composite]
    if not found:
        raise bad(f"nothing observes {path}{_observed(scene)}")
    return _one("CANCEL", f"{path}{_passive(scene, params, found[0])}")


def _observe_composite_cancel(scene: Scene, params: Params) -> Plan:
    paths = scene.targets.several(params, (1, 2, 3, 4))
    wanted = set(paths)
    found = [one for one in scene.observations if set(one.paths) == wanted and len(one.paths) == len(wanted)]
    if not found:
        listed = ", ".join(map(str, paths))
        raise bad(f"no observation is of {listed} and nothing else{_observed(scene)}")
    # The device knows it by its paths in the order they were asked for.
    return _several("CANCEL", found[0].paths, query=_passive(scene, params, found[0]))


def _observe_cancel_all(scene: Scene, params: Params) -> Plan:
    """Without a word with the device, which learns it with its next notification: it may be asleep."""
    cancels = (
        {"method": "CANCEL", "path": f"{','.join(map(str, one.paths))}{PASSIVE}"}
        for one in scene.observations
        if not one.prefix
    )
    messages = tuple(cancels)
    return Plan(messages) if messages else _known(0)


def _observe_read_all(scene: Scene, params: Params) -> Plan:
    return _known(results.observations(scene.observations, scene.registration))


def _execute(scene: Scene, params: Params) -> Plan:
    path, value = scene.targets.one(params, (3,)), params.get("value")
    if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
        raise bad("value: arguments are a text such as 0='now',1, or one number from 0 to 9")
    spec = scene.models.resource(path)
    if spec is not None and "E" not in spec.operations:
        raise bad(f"{path}: {spec.name} cannot be executed, only {_ALLOWED[spec.operations]}")
    return _one("POST", f"{path}?{value}" if value not in (None, "") else path)


def _write_replace(scene: Scene, params: Params) -> Plan:
    path = scene.targets.one(params, (2, 3, 4))
    return _write("PUT", scene, params, path)


def _write_update(scene: Scene, params: Params) -> Plan:
    path = scene.targets.one(params, (2, 3))
    spec = scene.models.resource(path)
    if len(path) == 3 and spec is not None and not spec.multiple:
        raise bad(f"{path}: {spec.name} is a single value, which WriteReplace writes")
    if not isinstance(params.get("value"), Mapping):
        raise bad('value: an object such as {"14": "+02:00"} is expected')
    if len(path) == 2:
        return _write("POST", scene, params, path)
    # Many a client takes a POST to a Resource for an Execute, whatever is in it.
    instance = path.parent
    value = prepared(instance, {str(path[2]): params["value"]}, scene.targets)
    return _one("POST", instance, value=value, contentFormat=_format(scene, params))


def _write_composite(scene: Scene, params: Params) -> Plan:
    nodes = params.get("nodes")
    if not isinstance(nodes, Mapping) or not nodes:
        raise bad('nodes: an object such as {"/3/0/14": "+02:00", "lifetime": 300} is expected')
    value: Document = {}
    for key, one in nodes.items():
        path = scene.targets.node(key)
        if str(path) in value:
            raise bad(f"nodes: {path} stands there twice")
        value[str(path)] = prepared(path, one, scene.targets)
    return Plan((_document("IPATCH", "/", value=value, contentFormat=_format(scene, params)),))


def _write_attributes(scene: Scene, params: Params) -> Plan:
    path = scene.targets.one(params, (1, 2, 3, 4))
    return _one("PUT", f"{path}{_query(params, required=True)}")


def _create(scene: Scene, params: Params) -> Plan:
    path = scene.targets.one(params, (1, 2))
    nodes, value = params.get("nodes"), params.get("value", {})
    if nodes is not None:
        if "value" in params or len(path) != 1 or not isinstance(nodes, Mapping) or not nodes:
            raise bad('nodes: an object such as {"1": {"0": 5}} with the id of an Object, and no value')
        instances = {path / id_of(key): one for key, one in nodes.items()}
    else:
        instances = {path: value}
    body: Document = {}
    for place, one in instances.items():
        if not isinstance(one, Mapping):
            raise bad(f'{place}: an object with the values of Resources, such as {{"0": 5}}, is expected')
        body[str(place)] = prepared(place if len(place) == 2 else place / 0, one, scene.targets)
    chosen = body[str(path)] if len(path) == 1 and nodes is None else body
    target = Path(path[:1])
    return Plan((_document("POST", target, value=chosen, contentFormat=_format(scene, params)),))


def _delete(scene: Scene, params: Params) -> Plan:
    return _one("DELETE", scene.targets.one(params, (2, 4)))


_ONE, _SEVERAL, _FORMAT = ("id", "key"), ("ids", "keys"), ("contentFormat",)

METHODS: Final[Mapping[str, Method]] = {
    method.name: method
    for method in (
        Method("Read", "Read what lies at a path.", (*_ONE, *_FORMAT), _read),
        Method("ReadComposite", "Read several places at once.", (*_SEVERAL, *_FORMAT), _read_composite),
        Method("Discover", "What the device has at and below a path.", (*_ONE, "depth"), _discover),
        Method("DiscoverAll", "What the device said when it registered.", (), _discover_all),
        Method("Observe", "Read it, and hear of changes.", (*_ONE, "attributes", *_FORMAT), _observe),
        Method("ObserveCancel", "End one observation.", (*_ONE, "passive"), _observe_cancel),
        Method("ObserveComposite", "Observe several as one.", (*_SEVERAL, *_FORMAT), _observe_composite),
        Method("ObserveCompositeCancel", "End that.", (*_SEVERAL, "passive"), _observe_composite_cancel),
        Method("ObserveCancelAll", "End all observations.", (), _observe_cancel_all),
        Method("ObserveReadAll", "What is observed, or is to be again.", (), _observe_read_all),
        Method("Execute", "Execute a Resource.", (*_ONE, "value"), _execute),
        Method(
            "WriteReplace", "Write what then is all there is.", (*_ONE, "value", *_FORMAT), _write_replace
        ),
        Method("WriteUpdate", "Write, and leave the rest.", (*_ONE, "value", *_FORMAT), _write_update),
        Method("WriteComposite", "Write several at once.", ("nodes", *_FORMAT), _write_composite),
        Method("WriteAttributes", "When the device notifies.", (*_ONE, "attributes"), _write_attributes),
        Method("Create", "Create an Object Instance.", ("id", "value", "nodes", *_FORMAT), _create),
        Method("Delete", "Delete an Object Instance, or a Resource Instance.", _ONE, _delete),
    )
}
"""By name, which is case-sensitive."""

REPEATABLE: Final = frozenset(METHODS) - {"Execute", "Create"}
"""Those that may reach a device twice."""


# --- parts of messages ----------------------------------------------------------------------------------


def _known(value: Any) -> Plan:
    return Plan(known={"result": "CONTENT", "code": "2.05", "value": value})


def _document(method: str, path: Path | str, **more: Any) -> Document:
    given = {name: one for name, one in more.items() if one is not None}
    return {"method": method, "path": str(path), **given}


def _one(method: str, path: Path | str, **more: Any) -> Plan:
    return Plan((_document(method, path, **more),))


def _several(method: str, paths: Sequence[Path], *, query: str = "", **more: Any) -> Plan:
    return _one(method, f"{','.join(map(str, paths))}{query}", **more)


def _format(scene: Scene, params: Params) -> int | None:
    return need_format(params.get("contentFormat"), scene.formats)


def _passive(scene: Scene, params: Params, one: Observation) -> str:
    """Whether no word is said to the device; there is nothing to say of what is only to be observed again."""
    value = params.get("passive", False)
    if not isinstance(value, bool):
        raise bad("passive: true or false is expected")
    is_live = scene.registration is not None and one.registration == scene.registration.id
    return PASSIVE if value or not is_live else ""


def _observed(scene: Scene) -> str:
    """The end of a sentence."""
    listed = " and ".join(" + ".join(map(str, one.paths)) for one in scene.observations[:20])
    return f"; observed is {listed}" if listed else "; nothing is observed"


def _query(params: Params, *, required: bool) -> str:
    """Attributes behind a path; ``null`` removes one."""
    attributes = params.get("attributes")
    if attributes is None and not required:
        return ""
    if not isinstance(attributes, Mapping) or not attributes:
        raise bad('attributes: an object such as {"pmin": 10, "pmax": 60} is expected; null removes one')
    parts = []
    for name, value in attributes.items():
        if value is None:
            parts.append(name)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            parts.append(f"{name}={Decimal(repr(value)):f}")
        elif isinstance(value, (str, bool)):
            text = str(int(value)) if isinstance(value, bool) else value
            parts.append(f"{name}={text}")
        else:
            raise bad(f"attributes: {name} is a number, a text, or null, which removes it")
    return f"?{'&'.join(parts)}"


def _write(method: str, scene: Scene, params: Params, path: Path) -> Plan:
    if params.get("value") is None:
        raise bad("value: what to write is expected")
    value = prepared(path, params["value"], scene.targets)
    return _one(method, path, value=value, contentFormat=_format(scene, params))


_ALLOWED = {
    "R": "read",
    "W": "written",
    "RW": "read and written",
    "": "set by a bootstrap server",
}
