"""``lwm2m models``: look at object definitions, check them, write them anew. Needs no server."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.json_schema import json_schema
from lwm2m_engine.model.normalized import file_name, write
from lwm2m_engine.model.sources import Sources
from lwm2m_engine.model.spec import ObjectSpec, Problem
from lwm2m_engine.model.stubs import MARK, write_module, write_stub
from lwm2m_server.cli.model_views import (
    object_changes,
    object_facts,
    object_line,
    resource_changes,
    resource_facts,
    tree,
)
from lwm2m_server.cli.options import folders
from lwm2m_server.cli.parameters import complete_object
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.uploads import download, remove, upload, uploaded

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
paths = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))


@click.group()
def models() -> None:
    """Object definitions: the OMA registry, and what you add, on this machine or to a running server.

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
        _echo_json([object_facts(spec) | {"versions": catalog.versions(spec.id)} for spec in catalog])
        return
    rows = ((str(spec.id), spec.name, " ".join(catalog.versions(spec.id)), spec.urn) for spec in catalog)
    show_table(("id", "name", "versions", "urn"), rows)


@models.command()
@click.argument("object", metavar="ID[/VERSION]", shell_complete=complete_object)
@folders
@as_json
def show(object: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show one object as a tree, the newest version if none is named."""
    spec = _object(_catalog(folders), object)
    if as_json:
        resources = [resource_facts(resource) for resource in spec.resources.values()]
        _echo_json(object_facts(spec) | {"resources": resources})
        return
    click.echo(object_line(spec))
    click.echo(f"{spec.urn}, LwM2M {spec.lwm2m_version} or later, {spec.source}\n")
    click.echo("\n".join(tree(spec)))


@models.command()
@click.argument("first", metavar="ID/VERSION", shell_complete=complete_object)
@click.argument("second", metavar="ID[/VERSION]", shell_complete=complete_object)
@folders
@as_json
def diff(first: str, second: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show in what two objects, or versions of one, differ.

    + marks a resource that only the second has, - one that only the first has, ~ one that has changed.
    """
    catalog = _catalog(folders)
    old, new = _object(catalog, first), _object(catalog, second)
    fields, rows = object_changes(old, new), list(resource_changes(old, new))
    if as_json:
        resources = {
            "added": [resource_facts(row.new) for row in rows if row.old is None and row.new],
            "removed": [resource_facts(row.old) for row in rows if row.new is None and row.old],
            "changed": [{"id": row.id, "fields": row.fields} for row in rows if row.fields],
        }
        _echo_json({"object": fields, "resources": resources})
        return
    for field, (was, now) in fields.items():
        click.echo(f"{field}: {was} -> {now}")
    width = max((len(str(row.id)) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row.sign} {row.id:<{width}}  {row}")


@models.command()
@click.argument("object", metavar="ID[/VERSION]", shell_complete=complete_object)
@folders
def schema(object: str, folders: tuple[Path, ...]) -> None:
    """Print the JSON Schema of an object: an instance as JSON, by the generated names."""
    _echo_json(json_schema(_object(_catalog(folders), object)))


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
        _echo_json([object_facts(spec) for spec in specs])
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


@models.command()
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to",
    "target",
    metavar="FILE.py",
    default="objects.py",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The module to write.",
)
def stubs(source: Path, target: Path) -> None:
    """Write a module of typed classes for the definitions in DIR, and its stub.

    Type checkers read the stub. The module reads DIR when it is imported; the two may move together.
    """
    if target.suffix != ".py" or not target.stem.isidentifier():
        raise click.UsageError(f"{str(target)!r} is not the name of a Python module such as objects.py")
    definitions = Sources([source]).read()
    refused = _report(definitions.problems)
    command = shlex.join(["lwm2m", "models", "stubs", str(source), "--to", str(target)])
    title = f"Typed classes of the object definitions in {source}."
    folder = Path(os.path.relpath(source, target.parent)).as_posix()
    stub = target.with_suffix(".pyi")
    _write_generated(stub, write_stub(definitions.objects, title, command))
    _write_generated(target, write_module(folder, title, command))
    click.echo(f"{target} and {stub} written")
    if refused or not definitions.objects:
        raise click.exceptions.Exit(1)


def _write_generated(file: Path, text: str) -> None:
    """Never over what somebody wrote."""
    try:
        if file.exists() and MARK not in file.read_text(encoding="utf-8"):
            raise DDFError("was not written by this command; not replaced", file=str(file))
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DDFError(error.strerror or str(error), file=str(file)) from error


for _command in (upload, uploaded, download, remove):
    models.add_command(_command)


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


def _object(catalog: Catalog, text: str) -> ObjectSpec:
    object_id, version = _key(text)
    return catalog[object_id, version] if version else catalog[object_id]


def _key(text: str) -> tuple[int, str]:
    first, _, version = text.strip("/").partition("/")
    if not (first.isascii() and first.isdigit()):
        raise click.UsageError(f"{text!r} is not an object id such as 3, or 3/1.0")
    return int(first), version


# --- output ---------------------------------------------------------------------------------------


def _echo_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


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
