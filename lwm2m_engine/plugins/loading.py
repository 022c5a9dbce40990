"""Where plugins come from: packages, entry points, directories. Foreign code is run here, and isolated."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

import attrs

from lwm2m_engine.errors import PluginError

PACKAGE = "lwm2m_plugins"
GROUP = "lwm2m.plugins"
DISTRIBUTION = "lwm2m-engine"


@attrs.frozen(slots=True)
class Candidate:
    """A plugin that can be loaded; nothing of it has run yet."""

    name: str
    origin: str
    """``bundled``, ``entry point`` or the directory it was found in."""
    file: str
    load: Callable[[], object]
    version: str = ""
    """Of the distribution it came with; a loose file says its own in ``__version__``."""


def bundled() -> Iterator[Candidate]:
    """The modules of the package ``lwm2m_plugins``; those that begin with ``_`` are theirs to share."""
    package = importlib.import_module(PACKAGE)
    release = _release()
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if module.name.startswith("_"):
            continue
        name = f"{PACKAGE}.{module.name}"
        found = find_spec(name)
        file = (found.origin if found is not None else None) or name
        yield Candidate(module.name, "bundled", file, partial(importlib.import_module, name), release)


def _release() -> str:
    """Of this distribution; empty where its files are used without it."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return ""


def installed() -> Iterator[Candidate]:
    """What other distributions declare in the entry-point group ``lwm2m.plugins``."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        release = point.dist.version if point.dist is not None else ""
        yield Candidate(point.name, "entry point", point.value, point.load, release)


def loose(directory: Path) -> Iterator[Candidate]:
    """The ``.py`` files of a directory; those that begin with ``_`` are left alone."""
    for file in python_files(directory):
        yield from_file(file)


def python_files(directory: Path) -> list[Path]:
    """Possible plugins in a directory, sorted; empty if there is no such directory."""
    return sorted(file for file in directory.glob("*.py") if not file.name.startswith("_"))


def from_file(file: Path) -> Candidate:
    """One loose file as a plugin; its name is that of the file."""
    return Candidate(file.stem, str(file.parent), str(file), partial(_run_file, file))


def run(candidate: Candidate) -> object:
    """Load it; raises ``PluginError`` with place and reason whatever its code does."""
    try:
        return candidate.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{candidate.file}: {_reason(error, candidate.file)}") from error


def _reason(error: BaseException, file: str) -> str:
    """What happened, and the last line of ``file`` it went through."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"{error.msg} in line {error.lineno}"
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}" + (f" in line {line}" if line is not None else "")


class _SourceLoader(SourceFileLoader):
    """Always from source: an edited file counts at once, and nothing is written beside it."""

    def path_stats(self, path: str | bytes) -> dict[str, object]:
        raise OSError("not cached")


def _run_file(file: Path) -> ModuleType:
    # Two directories may hold files of one name; dataclasses and pickle want the module to be found.
    name = f"lwm2m_plugin_{file.stem}_{zlib.crc32(str(file.resolve()).encode()):08x}"
    loader = _SourceLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file))
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def discover(directories: Iterable[Path]) -> Iterator[Candidate]:
    """All plugins in order; of two with one name the later is meant."""
    yield from bundled()
    yield from installed()
    for directory in directories:
        yield from loose(directory)


def not_loaded(directories: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """What a person may expect to run and does not, with the reason.

    Directories that do not exist, and Python files in ``./plugins`` unless that is one of ``directories``.
    """
    asked = list(directories)
    yield from ((directory, "no such directory") for directory in asked if not directory.is_dir())
    here = Path("plugins")
    if here.resolve() not in {directory.resolve() for directory in asked}:
        for file in python_files(here):
            yield file, f"not asked for; --plugins-dir {here} loads it"
