"""Content formats and paths as arguments: how they are read, and how a shell completes them."""

from __future__ import annotations

import re
from difflib import get_close_matches

import click
from click.shell_completion import CompletionItem

from lwm2m_engine.errors import PathError, UnsupportedFormat
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_server.cli.exits import Misuse


def as_format(ctx: click.Context, param: click.Parameter, value: str | None) -> ContentFormat | None:
    """By number, short name or media type; raises ``Misuse`` with the nearest name."""
    if value is None:
        return None
    try:
        return ContentFormat.named(value)
    except UnsupportedFormat as error:
        names = [known.label for known in ContentFormat]
        near = get_close_matches(value.lower(), names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Misuse(f"{error}{hint}") from None


def as_path(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Raises ``Misuse``."""
    try:
        return None if value is None else Path(value)
    except PathError as error:
        raise Misuse(str(error)) from None


def complete_format(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names, or numbers if a digit was typed."""
    start = incomplete.lower()
    if start[:1].isdigit():
        known = ((str(format_.value), format_.label) for format_ in ContentFormat)
    else:
        known = ((format_.label, format_.media_type) for format_ in ContentFormat)
    return [CompletionItem(name, help=meaning) for name, meaning in known if name.startswith(start)]


def complete_object(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Object IDs."""
    return [CompletionItem(str(id_)) for id_ in _object_ids() if str(id_).startswith(incomplete)]


def complete_path(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Paths of Objects."""
    return [CompletionItem(f"/{id_}") for id_ in _object_ids() if f"/{id_}".startswith(incomplete or "/")]


def _object_ids() -> list[int]:
    """The bundled Objects, read off the names of their files: to parse them takes too long for a key."""
    from lwm2m_engine.model.sources import bundled_directory

    names = (re.match(r"\d+", file.name) for file in bundled_directory().glob("*.xml"))
    return sorted({int(name[0]) for name in names if name})
