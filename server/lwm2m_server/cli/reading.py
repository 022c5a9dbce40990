"""``Reader``: what a payload says, its format and path guessed where they are not given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as File
from typing import NamedTuple

import click

from lwm2m_engine.codecs import Codecs
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, DecodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.guessing import Guess, guesses
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.cli.definitions import Definitions

CODECS = Codecs()
_SOME_OBJECT, _SOME_RESOURCE = Path((0,)), Path((0, 0, 0))


class Reading(NamedTuple):
    """A payload that has been read."""

    content_format: int
    at: Path
    entries: Sequence[Entry]
    note: str = ""
    """What was guessed, as a sentence."""
    listed: bool = False
    """The payload of a composite read: paths, no values."""


def load_models(folders: Sequence[File]) -> ModelView:
    """The models of the usual places and of ``folders``; files that are not used are said."""
    models = Definitions(folders)
    for problem in models.problems:
        if problem.refused:
            click.echo(f"not used: {problem}", err=True)
    return models


def format_name(content_format: int) -> str:
    """Name and number: ``tlv (11542)``."""
    known = content_format in ContentFormat.__members__.values()
    return f"{ContentFormat(content_format).label} ({content_format:d})" if known else str(content_format)


def read(payload: bytes, content_format: int | None, at: Path | None, models: ModelView) -> Reading:
    """Raises ``CodecError``."""
    if content_format is None:
        return _guessed(payload, at, models)
    try:
        entries = CODECS.decode(payload, content_format, at=at or ROOT, types=models.types)
    except DecodeError as error:
        paths = _paths(payload, content_format)
        if paths is None:
            raise _explained(error, payload, content_format, at) from None
        return Reading(content_format, at or ROOT, [Entry(path, None) for path in paths], listed=True)
    return Reading(content_format, at or ROOT, entries)


def _paths(payload: bytes, content_format: int) -> list[Path] | None:
    """The payload of a composite read has paths and no values."""
    try:
        return CODECS.decode_paths(payload, content_format)
    except CodecError:
        return None


def _explained(error: DecodeError, payload: bytes, content_format: int, at: Path | None) -> DecodeError:
    """The error; a plainer one if all that is missing is the path."""
    only = Codecs([CODECS[content_format]])
    if at is None and any(guesses(payload, at=some, codecs=only) for some in (_SOME_OBJECT, _SOME_RESOURCE)):
        return DecodeError(f"{format_name(content_format)} does not say what it is about: {_GIVE_PATH}")
    return error


_GIVE_PATH = "give the path of the request, such as --path /3/0"


def _guessed(payload: bytes, at: Path | None, models: ModelView) -> Reading:
    found = guesses(payload, at=at or ROOT, types=models.types)
    if not found:
        raise DecodeError(_unguessed(payload, at))
    first = found[0]
    return Reading(first.content_format, at or ROOT, first.entries, _note(found), first.listed)


def _note(found: Sequence[Guess]) -> str:
    first, *others = found
    parts = [f"format guessed: {format_name(first.content_format)}"]
    for same in (True, False):
        names = [
            format_name(guess.content_format) for guess in others if (guess.entries == first.entries) is same
        ]
        if names:
            parts.append(f"{', '.join(names)} would give {'the same' if same else 'other values'}")
    return "; ".join(parts)


def _unguessed(payload: bytes, at: Path | None) -> str:
    """Why nothing fits, as far as it can be told."""
    if not payload:
        return "the payload is empty: there is nothing to tell its format by"
    if at is None:
        names = [format_name(guess.content_format) for guess in guesses(payload, at=_SOME_OBJECT)]
        if names:
            return f"this looks like {' or '.join(names)}, which does not name its object: {_GIVE_PATH}"
        return f"no format that names its objects fits this payload: {_GIVE_PATH}"
    names = [format_name(guess.content_format) for guess in guesses(payload)]
    if names:
        return f"{' or '.join(names)} fits, but with values that are not at or below {at}"
    return f"no format fits this payload at {at}; --format says why one does not"
