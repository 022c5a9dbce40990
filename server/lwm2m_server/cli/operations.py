"""``lwm2m read``, ``write``, ``observe`` …: one command an operation of the protocol, on a running server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from lwm2m_engine.attributes import format_attributes, parse_attributes
from lwm2m_engine.errors import PathError, UnknownResource, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.cli.answers import show
from lwm2m_server.cli.delivery import Delivery, delivery_options
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.parameters import as_format, complete_format, complete_path
from lwm2m_server.cli.places import Place, Places

endpoint = click.argument("endpoint")
path = click.argument("path", shell_complete=complete_path)
paths = click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=complete_path)
attributes = click.argument("attributes", metavar="[NAME=VALUE]...", nargs=-1)
content_format = click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    callback=as_format,
    shell_complete=complete_format,
    help="Content format: number or name (tlv); default what the device takes.",
)


def _ask(endpoint: str, flags: Mapping[str, Any], make: Callable[[Places], Mapping[str, Any]]) -> None:
    """Make a message with what is known of the device, send it, and show the answer."""
    delivery = Delivery.to(endpoint, **flags)
    with _misuse():
        message = make(Places(delivery.device))
    delivery.send({key: value for key, value in message.items() if value is not None}, show)


@contextmanager
def _misuse() -> Iterator[None]:
    try:
        yield
    except (PathError, UnknownResource, ValueRejected) as error:
        raise Misuse(str(error)) from error


# --- read ----------------------------------------------------------------------------------------------


@click.command()
@endpoint
@path
@content_format
@delivery_options
def read(endpoint: str, path: str, format_: ContentFormat | None, **flags: Any) -> None:
    """Read a Resource, a Resource Instance, an Object Instance or an Object; / reads everything.

    \b
    lwm2m read device001 /3/0/9
    lwm2m read device001 /3/0/battery_level --json
    """
    _ask(endpoint, flags, lambda at: {"method": "GET", "path": str(at.place(path)), "accept": format_})


@click.command("read-composite")
@endpoint
@paths
@content_format
@delivery_options
def read_composite(endpoint: str, paths: Sequence[str], format_: ContentFormat | None, **flags: Any) -> None:
    """Read several paths in one request (LwM2M 1.1)."""
    _ask(endpoint, flags, lambda at: {"method": "FETCH", "path": _joined(at, paths), "accept": format_})


@click.command()
@endpoint
@path
@click.option("--depth", type=click.IntRange(0, 3), help="Levels below the path (LwM2M 1.2).")
@delivery_options
def discover(endpoint: str, path: str, depth: int | None, **flags: Any) -> None:
    """List what lies at and below a path, with its attributes."""
    query = "" if depth is None else f"?depth={depth}"
    _ask(endpoint, flags, lambda at: {"method": "DISCOVER", "path": f"{at.place(path)}{query}"})


# --- write ---------------------------------------------------------------------------------------------


@click.command()
@endpoint
@path
@click.argument("value")
@click.option("--update", is_flag=True, help="Leave alone what VALUE does not name (partial update).")
@content_format
@delivery_options
def write(
    endpoint: str, path: str, value: str, update: bool, format_: ContentFormat | None, **flags: Any
) -> None:
    """Write VALUE to a Resource or Resource Instance; a JSON object writes an Object Instance.

    @FILE takes the value from a file, @- from standard input, @@ stands for one @. Opaque is base64, unless
    it comes from a file. Time is milliseconds or ISO 8601.

    \b
    lwm2m write device001 /3/0/utc_offset +02:00
    lwm2m write device001 /5/0/0 @firmware.bin
    lwm2m write device001 /1/0 '{"lifetime": 600}' --update
    """

    def make(at: Places) -> Mapping[str, Any]:
        place = at.place(path)
        return {
            "method": "POST" if update else "PUT",
            "path": str(place),
            "value": at.value(value, place),
            "contentFormat": format_,
        }

    _ask(endpoint, flags, make)


@click.command("write-composite")
@endpoint
@click.argument("values", metavar="PATH=VALUE...", nargs=-1, required=True)
@content_format
@delivery_options
def write_composite(
    endpoint: str, values: Sequence[str], format_: ContentFormat | None, **flags: Any
) -> None:
    """Write Resources of several Objects in one request (LwM2M 1.1).

    Or give one JSON object of paths and values, in which null deletes a Resource Instance.

    \b
    lwm2m write-composite device001 /3/0/14=+02:00 /1/0/2=100
    """

    def make(at: Places) -> Mapping[str, Any]:
        whole = len(values) == 1 and values[0].lstrip().startswith(("{", "["))
        target, body = ("/", values[0]) if whole else _assigned(at, values)
        return {"method": "IPATCH", "path": target, "value": body, "contentFormat": format_}

    _ask(endpoint, flags, make)


def _assigned(at: Places, values: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Target and body: the body has paths of one device, which the target names."""
    found: dict[str, Any] = {}
    prefixes = set()
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueRejected(f"{text!r} is not PATH=VALUE")
        place = at.place(name)
        prefixes.add(place.prefix)
        if str(place.path) in found:
            raise ValueRejected("written twice", path=place)
        plain = at.value(value, place)
        found[str(place.path)] = plain if len(place.path) > 2 else _json(plain, place)
    if len(prefixes) > 1:
        raise ValueRejected("one request cannot reach several devices")
    return f"/{prefixes.pop()}", found


def _json(text: str, place: Place) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueRejected(f"a JSON object is expected: {error}", path=place) from None


@click.command()
@endpoint
@path
@click.argument("value", required=False, default="{}")
@content_format
@delivery_options
def create(endpoint: str, path: str, value: str, format_: ContentFormat | None, **flags: Any) -> None:
    """Create an Instance of an Object; PATH is the Object, or the Instance if its id is chosen.

    VALUE is a JSON object of Resources by id or name, or @FILE with one.

    \b
    lwm2m create device001 /3303 '{"sensor_value": 21.5}'
    lwm2m create device001 /3303/5 '{"5700": 21.5}'
    """

    def make(at: Places) -> Mapping[str, Any]:
        place = at.place(path)
        body: Any = at.value(value, place)
        if len(place.path) == 2:
            body, place = {str(place.path): _json(body, place)}, place._replace(path=place.path.parent)
        return {"method": "POST", "path": str(place), "value": body, "contentFormat": format_}

    _ask(endpoint, flags, make)


@click.command()
@endpoint
@path
@delivery_options
def delete(endpoint: str, path: str, **flags: Any) -> None:
    """Delete an Object Instance, or a Resource Instance (LwM2M 1.2)."""
    _ask(endpoint, flags, lambda at: {"method": "DELETE", "path": str(at.place(path))})


@click.command()
@endpoint
@path
@click.argument("arguments", required=False)
@delivery_options
def execute(endpoint: str, path: str, arguments: str | None, **flags: Any) -> None:
    """Execute a Resource, with ARGUMENTS such as 0='now',1 if it takes any."""
    query = f"?{arguments}" if arguments else ""
    _ask(endpoint, flags, lambda at: {"method": "POST", "path": f"{at.place(path)}{query}"})


# --- observe -------------------------------------------------------------------------------------------


@click.command()
@endpoint
@path
@attributes
@content_format
@delivery_options
def observe(
    endpoint: str, path: str, attributes: Sequence[str], format_: ContentFormat | None, **flags: Any
) -> None:
    """Observe a path; attributes such as pmin=10 are set first.

    Prints the values of the moment; notifications come into received-msg.
    """

    def make(at: Places) -> Mapping[str, Any]:
        return {"method": "OBSERVE", "path": f"{at.place(path)}{_query(attributes)}", "accept": format_}

    _ask(endpoint, flags, make)


@click.command("observe-composite")
@endpoint
@click.argument("items", metavar="PATH... [NAME=VALUE]...", nargs=-1, required=True)
@content_format
@delivery_options
def observe_composite(
    endpoint: str, items: Sequence[str], format_: ContentFormat | None, **flags: Any
) -> None:
    """Observe several paths with one relation (LwM2M 1.1); attributes such as pmin=10 need LwM2M 1.2."""
    attributes = [item for item in items if not item.startswith("/") and "=" in item]
    paths = [item for item in items if item not in attributes]
    if len(paths) < 2:
        raise click.UsageError("a composite has two paths or more; 'lwm2m observe' takes one")

    def make(at: Places) -> Mapping[str, Any]:
        return {"method": "OBSERVE", "path": f"{_joined(at, paths)}{_query(attributes)}", "accept": format_}

    _ask(endpoint, flags, make)


@click.command()
@endpoint
@paths
@click.option("--passive", is_flag=True, help="Ask nothing of the device: refuse its next notification.")
@delivery_options
def cancel(endpoint: str, paths: Sequence[str], passive: bool, **flags: Any) -> None:
    """End the observation of a path; of several paths the composite one."""
    query = "?passive" if passive else ""
    _ask(endpoint, flags, lambda at: {"method": "CANCEL", "path": f"{_joined(at, paths)}{query}"})


@click.command("write-attributes")
@endpoint
@path
@click.argument("attributes", metavar="NAME=VALUE...", nargs=-1, required=True)
@delivery_options
def write_attributes(endpoint: str, path: str, attributes: Sequence[str], **flags: Any) -> None:
    """Set attributes such as pmin=10; a name without value removes one."""
    _ask(endpoint, flags, lambda at: {"method": "PUT", "path": f"{at.place(path)}{_query(attributes)}"})


def _query(attributes: Sequence[str]) -> str:
    """Checked here: an ampersand in one would make two of it."""
    return f"?{format_attributes(parse_attributes(attributes))}" if attributes else ""


def _joined(at: Places, paths: Sequence[str]) -> str:
    return ",".join(str(at.place(text)) for text in paths)
