"""What is drawn: who speaks with whom, what a device has inside, and what its Access Control is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from boxes import Box, Line, Placed, picture
from plays import EXECUTE, READ, WRITE, access_controls, provisioned, thermometer
from sequences import CATALOG, shown

from lwm2m_engine import Path
from lwm2m_engine.model.spec import ObjectSpec
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.tree import Instance, Resource, SimulatedObject

RIGHTS = {READ: "Read, Observe", WRITE: "Write", EXECUTE: "Execute", 8: "Delete", 16: "Create"}


def architecture() -> str:
    device = Box(
        "device: LwM2M Client",
        inside=(
            Box("/0 Security", "accounts and keys"),
            Box("/1 Server", "lifetime, binding"),
            Box("/2 Access Control", "rights"),
            Box("/3 Device, /3303 …", "its values"),
        ),
    )
    servers = Box(
        "lwm2m serve",
        inside=(
            Box("bootstrap server", inside=(Box("configurations, credentials"),)),
            Box("LwM2M server", inside=(Box("registrations"), Box("messages, observations"))),
        ),
    )
    applications = Box("applications", inside=(Box("your own"), Box("lwm2m …")))
    return picture(
        [Placed(device, 10, 20, 240), Placed(servers, 460, 10, 235), Placed(applications, 775, 88, 115)],
        [
            Line(
                device.title, "bootstrap server", ("Bootstrap", "CoAP over UDP,", "DTLS or OSCORE"), both=True
            ),
            Line(
                device.title,
                "LwM2M server",
                ("Register, Read, Notify …", "CoAP over UDP or TCP,", "DTLS, TLS or OSCORE"),
                both=True,
            ),
            Line("lwm2m serve", applications.title, ("oneM2M", "over HTTP"), both=True),
        ],
    )


def object_model() -> str:
    """Two Objects of a device; names, types and operations are those of the registry."""
    things = (_device(), thermometer(21.5, 4.0))
    boxes = [_object(CATALOG[thing.id], thing) for thing in things]
    return picture([Placed(box, 10 + number * 445, 20, 435) for number, box in enumerate(boxes)])


def _device() -> SimulatedObject:
    integer = ResourceType.INTEGER
    resources = {
        0: Resource(ResourceType.STRING, "Example Ltd"),
        4: Resource(ResourceType.NONE, operations="E"),
        6: Resource(integer, {0: 1, 1: 5}),
        7: Resource(integer, {0: 3800, 1: 5000}),
        9: Resource(integer, 72),
    }
    return SimulatedObject(3, {0: resources})


def _object(spec: ObjectSpec, thing: SimulatedObject) -> Box:
    number = "many Instances" if spec.multiple else "one Instance"
    inside = (_instance(spec, Path((spec.id, key)), value) for key, value in thing.instances.items())
    return Box(f"/{spec.id} {spec.name}", f"Object, version {spec.version}, {number}", tuple(inside))


def _instance(spec: ObjectSpec, path: Path, instance: Instance) -> Box:
    rows = (_resource(spec, path / number, resource) for number, resource in instance.items())
    return Box(str(path), "Object Instance", tuple(rows))


def _resource(spec: ObjectSpec, path: Path, resource: Resource) -> Box:
    known = spec[path[2]]
    title, kind = f"{path} {known.name}", f"{known.operations} {known.type.value}".strip()
    if resource.multiple:
        entries = resource.entries(path)
        inside = tuple(Box(f"{entry.path} = {shown(entry.value)}", "Resource Instance") for entry in entries)
        return Box(title, f"{kind}, multiple", inside)
    values = [f" = {shown(entry.value)}" for entry in resource.entries(path)]
    return Box(title + "".join(values), kind)


def access_control() -> str:
    """The Access Control Instances of the device in the recorded exchange, and what they are about."""
    boxes, lines, y = [], [], 20
    for number, (controlled, owner, rights) in enumerate(access_controls(provisioned())):
        control = Box(f"/2/{number} Access Control", inside=tuple(_rows(controlled, owner, rights)))
        target = Box(f"{controlled} {CATALOG[controlled[0]].name}")
        boxes += [Placed(control, 10, y, 480), Placed(target, 650, y + control.height // 2 - 13, 240)]
        lines.append(Line(control.title, target.title, ("is about",)))
        y += control.height + 14
    return picture(boxes, lines)


def _rows(controlled: Path, owner: int, rights: Mapping[int, int]) -> Iterator[Box]:
    yield Box("0 Object ID, 1 Object Instance ID", f"{controlled[0]}, {controlled[1]}")
    for server, bits in rights.items():
        who = f"server {server}" if server else "every other server"
        what = "; ".join(name for bit, name in RIGHTS.items() if bits & bit)
        yield Box(f"2/{server} ACL", f"{bits}: {who}: {what}")
    yield Box("3 Access Control Owner", f"{owner}: everything")


def updates() -> str:
    """The states of an update, by where the package is."""
    way = Box(
        "on its way",
        inside=(
            Box("queued", "not begun, or to be tried again"),
            Box("offered", "the device knows where it is"),
            Box("transferring", "pushed, or fetched"),
        ),
    )
    there = Box(
        "on the device",
        inside=(
            Box("downloaded", "not to be installed yet"),
            Box("awaiting-approval"),
            Box("installing", "told to, or does"),
            Box("rebooting", "not heard of"),
            Box("verifying", "which version runs?"),
        ),
    )
    over = Box("over", inside=(Box("succeeded"), Box("failed"), Box("cancelled")))
    return picture(
        [Placed(way, 10, 40, 290), Placed(there, 410, 10, 250), Placed(over, 760, 40, 130)],
        [
            Line("transferring", "awaiting-approval", ("downloaded",)),
            Line("verifying", "succeeded", ("the version",)),
        ],
    )
