"""``lwm2m profiles``: device profiles of a running server, and which devices they are for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table

_LISTS: Final = ("observe", "attribute", "telemetry")
_RULE: Final = ("endpoint", "manufacturer", "model")

_json = click.option("--json", "as_json", is_flag=True, help="As the API has it.")
_name = click.argument("name")
_file = click.argument("file", type=click.File("rb"))


@click.group()
def profiles() -> None:
    """What is done with the devices of a kind, and what their Resources are called."""


@profiles.command("list")
@click.option("--name", "part", default="", metavar="PART", help="Only those with this in their names.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(part: str, as_json: bool, **flags: Any) -> None:
    """One line a profile."""
    found = list(_all(Client.of(**flags), part))
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [(one["name"], _yes(one["default"]), str(one["rules"]), ", ".join(one["groups"])) for one in found]
    show_table(("profile", "default", "rules", "groups"), rows)


@profiles.command()
@_name
@_json
@client_options
def show(name: str, as_json: bool, **flags: Any) -> None:
    """What the profile NAME says of Resources, of servers, and of its devices."""
    client = Client.of(**flags)
    document = client.get(_path(client, name))
    if as_json:
        click.echo(json.dumps(document))
        return
    configuration = document["profileData"]["transportConfiguration"]
    assignment = client.get(_path(client, name, "assignment"))
    facts = [*_facts(configuration), *_servers(configuration), *_assigned(assignment)]
    click.echo(columns(("", ""), facts).lstrip("\n"))
    show_table(("path", "for", "key", "attributes"), _resources(configuration["observeAttr"]))


@profiles.command("export")
@_name
@click.option(
    "--output", type=click.File("wb"), default="-", metavar="FILE", help="Default: standard output."
)
@client_options
def export(name: str, output: IO[bytes], **flags: Any) -> None:
    """The whole document of the profile NAME, to be imported elsewhere."""
    client = Client.of(**flags)
    output.write(json.dumps(client.get(_path(client, name)), indent=2, ensure_ascii=False).encode() + b"\n")


@profiles.command("import")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True, metavar="FILE...")
@click.option("--replace", is_flag=True, help="Replace those that there are.")
@client_options
def import_(files: tuple[IO[bytes], ...], replace: bool, **flags: Any) -> None:
    """Profiles as they were exported, here or from another platform."""
    client = Client.of(**flags)
    for file in files:
        document = _document(file)
        name = document.get("name")
        if replace and isinstance(name, str):
            answer = client.call("PUT", _path(client, name), document)
        else:
            answer = client.call("POST", client.api("/profiles"), document)
        _tell(answer, "imported")


@profiles.command()
@_name
@_file
@client_options
def create(name: str, file: IO[bytes], **flags: Any) -> None:
    """The profile NAME, from a document or a transport configuration in FILE."""
    client = Client.of(**flags)
    document = _document(file)
    if "profileData" in document:
        document["name"] = name
    _tell(client.call("POST", client.api("/profiles", name=name), document), "created")


@profiles.command()
@_name
@_file
@client_options
def edit(name: str, file: IO[bytes], **flags: Any) -> None:
    """Replace the profile NAME by the one in FILE; if that has another name, it is renamed."""
    client = Client.of(**flags)
    client.get(_path(client, name))
    _tell(client.call("PUT", _path(client, name), _document(file)), "replaced")


@profiles.command()
@_name
@click.option("--force", is_flag=True, help="Even if devices, groups or rules use it.")
@client_options
def delete(name: str, force: bool, **flags: Any) -> None:
    """Remove the profile NAME."""
    client = Client.of(**flags)
    client.delete(_path(client, name, force="true" if force else "false"))
    click.echo(f"{name} deleted")


@profiles.command()
@_name
@_file
@_json
@client_options
def preview(name: str, file: IO[bytes], as_json: bool, **flags: Any) -> None:
    """What replacing the profile NAME by the one in FILE would change, and for how many devices."""
    client = Client.of(**flags)
    found = client.call("POST", _path(client, name, "preview"), _document(file))
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(
        f"{found['devices']} devices; {found['touched']} of {found['registered']} registered are asked"
    )
    show_table(("what", "change", "from", "to"), _changes(found["changes"]))
    _notes(found)


@profiles.command()
@_name
@click.option("--device", metavar="NAME", help="Whose credentials it is to have.")
@_json
@client_options
def bootstrap(name: str, device: str | None, as_json: bool, **flags: Any) -> None:
    """What a device would be written at bootstrap by the profile NAME, without the secrets."""
    client = Client.of(**flags)
    given = {} if device is None else {"device": device}
    found = client.get(_path(client, name, "bootstrap-preview", **given))
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        (
            step["operation"],
            value["path"],
            value["name"] or "",
            json.dumps(value["value"], ensure_ascii=False),
        )
        for step in found["steps"]
        for value in step.get("values", ({"path": step["path"], "name": "", "value": None},))
    ]
    show_table(("operation", "path", "name", "value"), rows)
    for note in found["notes"]:
        click.echo(note, err=True)


@profiles.command()
@_name
@_json
@client_options
def devices(name: str, as_json: bool, **flags: Any) -> None:
    """The devices that the profile NAME is for, and why."""
    found = list(_devices(Client.of(**flags), name))
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [(one["name"], one["endpoint"] or "", one["by"], _why(one)) for one in found]
    show_table(("device", "endpoint", "by", ""), rows)


@profiles.command()
@client_options
def schema(**flags: Any) -> None:
    """The JSON Schema of profiles (draft 2020-12), for editors."""
    client = Client.of(**flags)
    click.echo(json.dumps(client.get(client.api("/profiles/schema")), indent=2))


# --- assignment ------------------------------------------------------------------------------------


@profiles.command()
@_name
@click.option("--device", "names", multiple=True, metavar="NAME", help="A device; may be repeated.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A device group; may be repeated.")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="A rule; may be repeated.")
@click.option("--default", "is_default", is_flag=True, help="All devices without another profile.")
@client_options
def assign(
    name: str,
    names: tuple[str, ...],
    groups: tuple[str, ...],
    rules: tuple[str, ...],
    is_default: bool,
    **flags: Any,
) -> None:
    """Assign the profile NAME, besides what it is assigned to.

    A RULE is a priority and patterns that all have to fit, in which * is any text:
    "10 endpoint=urn:meter:* manufacturer=ACME model=M?". Low priorities are asked first.
    """
    client = Client.of(**flags)
    if groups or rules or is_default:
        assignment = client.get(_path(client, name, "assignment"))
        assignment["groups"] = list(dict.fromkeys((*assignment["groups"], *groups)))
        new = [_rule(text) for text in rules]
        assignment["rules"] += [rule for rule in new if rule not in assignment["rules"]]
        assignment["default"] = assignment["default"] or is_default
        client.call("PUT", _path(client, name, "assignment"), assignment)
    elif not names:
        raise Misuse("name a --device, a --group or a --rule, or give --default")
    for device in names:
        client.call("PUT", _of_device(client, device), {"profile": name})
    click.echo(f"{name} assigned")


@profiles.command()
@click.argument("name", required=False)
@click.option("--device", "names", multiple=True, metavar="NAME", help="A device; may be repeated.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A device group; may be repeated.")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="A rule; may be repeated.")
@click.option("--default", "is_default", is_flag=True, help="It is not the default any more.")
@client_options
def unassign(
    name: str | None,
    names: tuple[str, ...],
    groups: tuple[str, ...],
    rules: tuple[str, ...],
    is_default: bool,
    **flags: Any,
) -> None:
    """Take back what ``assign`` did; devices take no NAME."""
    client = Client.of(**flags)
    if groups or rules or is_default:
        if name is None:
            raise Misuse("which profile?")
        assignment = client.get(_path(client, name, "assignment"))
        gone = [_rule(text) for text in rules]
        assignment["groups"] = [group for group in assignment["groups"] if group not in groups]
        assignment["rules"] = [rule for rule in assignment["rules"] if rule not in gone]
        assignment["default"] = assignment["default"] and not is_default
        client.call("PUT", _path(client, name, "assignment"), assignment)
    elif not names:
        raise Misuse("name a --device, a --group or a --rule, or give --default")
    for device in names:
        client.delete(_of_device(client, device))
    click.echo("unassigned")


def _rule(text: str) -> dict[str, Any]:
    priority, *patterns = text.split() or [""]
    found = dict.fromkeys(_RULE)
    for pattern in patterns:
        name, equals, value = pattern.partition("=")
        if not equals or name not in _RULE:
            raise Misuse(f"{pattern!r} is none of {', '.join(f'{one}=…' for one in _RULE)}")
        found[name] = value
    if not priority.isascii() or not priority.isdigit():
        raise Misuse(f"{text!r} does not begin with a priority, such as 10")
    return {"priority": int(priority), **found}


# --- in and out ------------------------------------------------------------------------------------


def _path(client: Client, name: str, *below: str, **query: str) -> str:
    return client.api("/".join(("/profiles", segment(name), *below)), **query)


def _of_device(client: Client, device: str) -> str:
    return client.api(f"/devices/{segment(device)}/profile")


def _all(client: Client, part: str) -> Iterator[dict[str, Any]]:
    offset: int | None = 0
    while offset is not None:
        page = client.get(client.api("/profiles", name=part, offset=offset))
        yield from page["profiles"]
        offset = page.get("nextOffset")


def _devices(client: Client, name: str) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    while after is not None:
        page = client.get(_path(client, name, "devices", limit="1000", after=str(after)))
        yield from page["devices"]
        after = page.get("next")


def _document(file: IO[bytes]) -> dict[str, Any]:
    try:
        found = json.load(file)
    except ValueError as error:
        raise Misuse(f"{file.name}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Misuse(f"{file.name}: a JSON object is due")
    return found


def _tell(answer: Mapping[str, Any], done: str) -> None:
    click.echo(f"{answer['name']} {done}")
    _notes(answer)


def _notes(answer: Mapping[str, Any]) -> None:
    for note in answer["notes"]:
        click.echo(f"note: {note['place']}: {note['reason']}", err=True)


def _facts(configuration: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    observed, client = configuration["observeAttr"], configuration["clientLwM2mSettings"]
    yield "observe strategy", observed["observeStrategy"]
    yield "after connect", str(client["clientOnlyObserveAfterConnect"])
    yield "power mode", client["powerMode"]
    yield "firmware, software strategy", f"{client['fwUpdateStrategy']}, {client['swUpdateStrategy']}"


def _servers(configuration: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for server in configuration["bootstrap"]:
        what = "bootstrap server" if server["bootstrapServerIs"] else f"server {server['shortServerId']}"
        yield what, f"{server['host']} {server['port']} {server['securityMode']}"


def _assigned(assignment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "default", _yes(assignment["default"])
    yield from (("group", group) for group in assignment["groups"])
    yield from (("rule", _rule_text(rule)) for rule in assignment["rules"])


def _resources(observed: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    places = [place for member in _LISTS for place in observed[member]]
    for place in dict.fromkeys((*places, *observed["keyName"], *observed["attributeLwm2m"])):
        uses = ", ".join(member for member in _LISTS if place in observed[member])
        attributes = observed["attributeLwm2m"].get(place, {})
        shown = " ".join(f"{name}={value}" for name, value in attributes.items())
        yield place, uses, observed["keyName"].get(place, ""), shown


def _changes(changes: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for member in _LISTS:
        for change in ("added", "removed"):
            yield from ((f"{member} {place}", change, "", "") for place in changes[member][change])
    for member in ("keyName", "attributeLwm2m"):
        found = changes[member]
        yield from ((f"{member} {at}", "added", "", _plain(new)) for at, new in found["added"].items())
        yield from ((f"{member} {at}", "removed", _plain(old), "") for at, old in found["removed"].items())
        yield from _pairs(f"{member} ", found["changed"])
    yield from _pairs("", changes["settings"])
    if changes["bootstrap"]:
        yield "bootstrap", "changed", "", ""


def _pairs(what: str, changed: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for name, pair in changed.items():
        yield f"{what}{name}", "changed", _plain(pair["from"]), _plain(pair["to"])


def _why(device: Mapping[str, Any]) -> str:
    if device["rule"] is not None:
        return _rule_text(device["rule"])
    return device["group"] or ""


def _rule_text(rule: Mapping[str, Any]) -> str:
    patterns = (f"{name}={rule[name]}" for name in _RULE if rule[name] is not None)
    return " ".join((str(rule["priority"]), *patterns))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
