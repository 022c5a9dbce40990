"""``lwm2m models``: look at object definitions, check them, write them anew. Needs no server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.normalized import file_name, write
from lwm2m_engine.model.sources import Sources
from lwm2m_engine.model.spec import ObjectSpec, Problem, ResourceSpec
from lwm2m_server.cli.options import folders
from lwm2m_server.cli.parameters import complete_object
from lwm2m_server.cli.tables import show_table

F = TypeVar("F", bound=Callable[..., Any])

RESOURCE_HEADING = ("id", "name", "attribute", "operations", "type", "instances", "use", "range", "units")

as_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
paths = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))


@click.group()
def models() -> None:
    """Object definitions: the OMA registry, and what you add.

    Later places replace earlier ones: the bundled registry, /etc/lwm2m/models, ~/.config/lwm2m/models,
    ./models/xml, each --models DIR.
    """


@models.command("list")
@folders
@as_json
def list_(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the objects and the versions that are loaded."""
    catalog = _catalog(folders)
    if as_json:
        _echo_json([_object_facts(spec) | {"versions": catalog.versions(spec.id)} for spec in catalog])
        return
    rows = ((str(spec.id), spec.name, " ".join(catalog.versions(spec.id)), spec.urn) for spec in catalog)
    show_table(("id", "name", "versions", "urn"), rows)


@models.command()
@click.argument("object", metavar="ID[/VERSION]", shell_complete=complete_object)
@folders
@as_json
def show(object: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show one object, the newest version if none is named."""
    object_id, version = _key(object)
    catalog = _catalog(folders)
    spec = catalog[object_id, version] if version else catalog[object_id]
    if as_json:
        resources = [_resource_facts(resource) for resource in spec.resources.values()]
        _echo_json(_object_facts(spec) | {"resources": resources})
        return
    instances, use = _instances(spec), _use(spec)
    click.echo(f"{spec.name}: object {spec.id} version {spec.version}, {instances}, {use}")
    click.echo(f"{spec.urn}, LwM2M {spec.lwm2m_version} or later, {spec.source}\n")
    show_table(RESOURCE_HEADING, (_resource_row(resource) for resource in spec.resources.values()))


@models.command()
@click.argument("object_id", metavar="ID", type=click.IntRange(0, 65535), shell_complete=complete_object)
@folders
@as_json
def which(object_id: int, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show the file that each version of an object comes from."""
    catalog = _catalog(folders)
    newest = catalog[object_id]
    specs = [catalog[object_id, version] for version in catalog.versions(object_id)]
    if as_json:
        _echo_json([_object_facts(spec) for spec in specs])
        return
    marks = ("newest" if spec is newest else "" for spec in specs)
    rows = ((spec.version, mark, spec.source) for spec, mark in zip(specs, marks, strict=True))
    show_table(("version", "", "file"), rows)


@models.command()
@paths
@as_json
def check(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check definition files; exit code 1 if one cannot be used."""
    sources = Sources(paths)
    problems = sources.read().problems
    rows = [_verdict(file, found.objects, problems) for file, found in sources.files.items()]
    if as_json:
        _echo_json(rows)
    else:
        cells = ((row["file"], row["state"], " ".join(row["defines"]), _reasons(row)) for row in rows)
        show_table(("file", "state", "defines", "problems"), cells)
    if not rows:
        raise click.ClickException("there is no definition file (*.xml)")
    if any(row["state"] == "refused" for row in rows):
        raise click.exceptions.Exit(1)


@models.command()
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path, exists=True))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path, file_okay=False))
@as_json
def normalize(source: Path, target: Path, as_json: bool) -> None:
    """Write the facts of definitions anew, without their texts: one file ID_MAJOR_MINOR.xml each."""
    definitions = Sources([source]).read()
    refused = _report(definitions.problems)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for spec in definitions.objects:
            (target / file_name(spec)).write_bytes(write(spec))
    except OSError as error:
        raise DDFError(error.strerror or str(error), file=str(error.filename or target)) from error
    if as_json:
        _echo_json([str(target / file_name(spec)) for spec in definitions.objects])
    else:
        click.echo(f"{len(definitions.objects)} files written to {target}")
    if refused or not definitions.objects:
        raise click.exceptions.Exit(1)


# --- loading ---------------------------------------------------------------------------------------


def _catalog(folders: Iterable[Path]) -> Catalog:
    catalog = Catalog.of(Sources.standard(folders))
    _report(catalog.problems)
    return catalog


def _report(problems: Iterable[Problem]) -> bool:
    """Files that could not be used are said on standard error; True if there is one."""
    refused = [problem for problem in problems if problem.refused]
    for problem in refused:
        click.echo(f"not used: {problem}", err=True)
    return bool(refused)


def _key(text: str) -> tuple[int, str]:
    first, _, version = text.strip("/").partition("/")
    if not (first.isascii() and first.isdigit()):
        raise click.UsageError(f"{text!r} is not an object id such as 3, or 3/1.0")
    return int(first), version


# --- rows and JSON ---------------------------------------------------------------------------------


def _echo_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _object_facts(spec: ObjectSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "name": spec.name,
        "version": spec.version,
        "lwm2m_version": spec.lwm2m_version,
        "urn": spec.urn,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "file": spec.source,
    }


def _resource_facts(spec: ResourceSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "name": spec.name,
        "attribute": spec.attribute,
        "operations": spec.operations,
        "type": spec.type.value,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "range": spec.range,
        "units": spec.units,
    }


def _resource_row(spec: ResourceSpec) -> tuple[str, ...]:
    """Cells under ``RESOURCE_HEADING``."""
    facts = spec.operations, spec.type.value, _instances(spec), _use(spec)
    return str(spec.id), spec.name, spec.attribute, *facts, " ".join(spec.range.split()), spec.units


def _instances(spec: ObjectSpec | ResourceSpec) -> str:
    return "multiple" if spec.multiple else "single"


def _use(spec: ObjectSpec | ResourceSpec) -> str:
    return "mandatory" if spec.mandatory else "optional"


def _verdict(file: str, objects: Iterable[ObjectSpec], problems: Iterable[Problem]) -> dict[str, Any]:
    """One row of ``check``: ``ok``, ``tolerated`` (used despite problems), ``skipped`` or ``refused``."""
    own = [problem for problem in problems if problem.file == file]
    defines = [f"{spec.id}/{spec.version}" for spec in objects]
    state = "refused" if any(problem.refused for problem in own) else "tolerated" if own else "ok"
    if state != "refused" and not defines:
        state = "skipped"
    rows = [{"line": problem.line, "reason": problem.reason} for problem in own]
    return {"file": file, "state": state, "defines": defines, "problems": rows}


def _reasons(row: dict[str, Any]) -> str:
    return "; ".join(
        problem["reason"] if problem["line"] is None else f"line {problem['line']}: {problem['reason']}"
        for problem in row["problems"]
    )
