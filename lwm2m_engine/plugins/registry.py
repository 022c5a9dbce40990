"""``Registry``: which plugins there are, which of them count, and what became of the others."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping as Map
from typing import Literal, TypeAlias

import attrs
import pluggy

from lwm2m_engine.errors import PluginError
from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.plugins import hookspecs, loading
from lwm2m_engine.plugins.implementations import Implementation
from lwm2m_engine.plugins.loading import Candidate

Status: TypeAlias = Literal["loaded", "failed", "off", "not loaded"]

OFF_BY_DEFAULT = "OFF_BY_DEFAULT"
"""A plugin in which this constant is true runs only where it is enabled by name."""


@attrs.frozen(slots=True)
class PluginRow:
    """What became of one plugin: a line of ``lwm2m plugins list``."""

    name: str
    origin: str
    """``bundled``, ``entry point``, the directory it was found in, or ``enabled`` for an unknown name."""
    file: str
    status: Status
    reason: str = ""
    mappings: tuple[str, ...] = ()
    """Managed resources it writes, by name; known once a table was compiled."""
    failures: int = 0
    """How often one of its hooks raised since the start."""
    version: str = ""
    hooks: tuple[str, ...] = ()
    """Those it implements, if it is loaded."""


class Registry:
    """Plugins by name, validated against ``hookspecs``. Never raises because of a plugin."""

    def __init__(self, candidates: Iterable[Candidate], enabled: Iterable[str] = ()) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._rows: list[PluginRow] = []
        self._loaded: dict[str, int] = {}
        self.failures: Counter[str] = Counter()
        """By plugin: hooks that raised while the engine ran."""
        self.faults: dict[tuple[str, str], str] = {}
        """By plugin and start-up hook: why what it declares is not used."""
        self.mappings: dict[str, tuple[Mapping, ...]] = {}
        """By plugin: what it maps."""
        wanted = frozenset(enabled)
        for candidate in candidates:
            self._load(candidate, wanted)
        known = [row.name for row in self._rows]
        for name in sorted(wanted.difference(known)):
            self.add(
                PluginRow(name, "enabled", "", "failed", f"there is no plugin {name}{_nearest(name, known)}")
            )

    @property
    def rows(self) -> tuple[PluginRow, ...]:
        """One a plugin, in order of discovery."""
        return self.rows_with(self.faults, self.mappings)

    def rows_with(
        self, faults: Map[tuple[str, str], str], mappings: Map[str, tuple[Mapping, ...]]
    ) -> tuple[PluginRow, ...]:
        """The same, with what became of start-up hooks elsewhere: another tenant has other models."""
        return tuple(
            self._current(row, faults, mappings) if row.status == "loaded" else row for row in self._rows
        )

    def add(self, row: PluginRow) -> None:
        """A row for something that is no plugin here."""
        self._rows.append(row)

    def in_order(self, hook: str) -> tuple[Implementation, ...]:
        """As discovered; those marked ``trylast`` stand first, ``tryfirst`` last."""
        caller: pluggy.HookCaller = getattr(self._pluggy.hook, hook)
        return tuple(
            Implementation(found.plugin_name, hook, found.function, tuple(found.argnames))
            for found in caller.get_hookimpls()
        )

    def latest_first(self, hook: str) -> tuple[Implementation, ...]:
        """As pluggy calls them: what was discovered last is asked first."""
        return self.in_order(hook)[::-1]

    def _load(self, candidate: Candidate, enabled: frozenset[str]) -> None:
        try:
            plugin = loading.run(candidate)
            if getattr(plugin, OFF_BY_DEFAULT, False) and candidate.name not in enabled:
                self._row(candidate, "off", "off by default; enable it by name")
                return
            self._register(candidate, plugin)
        except PluginError as error:
            self._row(candidate, "failed", str(error))

    def _register(self, candidate: Candidate, plugin: object) -> None:
        former = self._pluggy.unregister(name=candidate.name)
        try:
            self._pluggy.register(plugin, candidate.name)
            self._check_hooks(plugin)
        except (pluggy.PluginValidationError, ValueError, PluginError) as error:
            if self._pluggy.has_plugin(candidate.name):
                self._pluggy.unregister(name=candidate.name)
            if former is not None:
                self._pluggy.register(former, candidate.name)
            raise PluginError(f"{candidate.file}: {error}") from error
        if former is not None:
            known = self._loaded[candidate.name]
            reason = f"replaced by {candidate.file}"
            self._rows[known] = attrs.evolve(self._rows[known], status="off", reason=reason)
        self._loaded[candidate.name] = len(self._rows)
        self._row(candidate, "loaded", plugin=plugin)

    def _check_hooks(self, plugin: object) -> None:
        """A misspelt hook would never be called, and nobody would notice."""
        callers = self._pluggy.get_hookcallers(plugin)
        if not callers:
            raise PluginError("it has no hook; mark its functions with @hookimpl")
        for caller in callers:
            if not caller.has_spec():
                known = [name for name in vars(hookspecs) if name.startswith(("lwm2m_", "server_"))]
                raise PluginError(f"there is no hook {caller.name}{_nearest(caller.name, known)}")
            if any(one.wrapper or one.hookwrapper for one in caller.get_hookimpls() if one.plugin is plugin):
                raise PluginError(f"{caller.name}: hook wrappers are not supported")

    def _row(self, candidate: Candidate, status: Status, reason: str = "", plugin: object = None) -> None:
        release = candidate.version or getattr(plugin, "__version__", "")
        callers = self._pluggy.get_hookcallers(plugin) if plugin is not None else None
        row = PluginRow(candidate.name, candidate.origin, candidate.file, status, reason)
        hooks = tuple(sorted(caller.name for caller in callers or ()))
        self.add(attrs.evolve(row, version=release if isinstance(release, str) else "", hooks=hooks))

    def _current(
        self,
        row: PluginRow,
        faults: Map[tuple[str, str], str],
        mappings: Map[str, tuple[Mapping, ...]],
    ) -> PluginRow:
        """With what happened since it was loaded."""
        reasons = [f"{row.file}: {fault}" for (name, _), fault in faults.items() if name == row.name]
        return attrs.evolve(
            row,
            status="failed" if reasons else "loaded",
            reason="; ".join(reasons),
            mappings=tuple(dict.fromkeys(mapping.name for mapping in mappings.get(row.name, ()))),
            failures=self.failures[row.name],
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?``, or nothing if nothing is near."""
    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""
