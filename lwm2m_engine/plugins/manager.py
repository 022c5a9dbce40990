"""``PluginManager``: the plugins of one process, typed, each isolated from the others' mistakes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Map
from pathlib import Path as FilePath
from typing import Any, Final, TypeVar

import attrs

from lwm2m_engine.coap import CoapRequest, Code, Peer
from lwm2m_engine.codecs.codec import Codec
from lwm2m_engine.engine.events import Event
from lwm2m_engine.engine.hooks import Hooks, Verdict
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, MappingError, PluginError, RequestError
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.messages.uplink import Register
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.paths import Path
from lwm2m_engine.plugins import loading
from lwm2m_engine.plugins.implementations import Implementation, by_kind, expect, expect_all, guarded
from lwm2m_engine.plugins.loading import Candidate
from lwm2m_engine.plugins.registry import PluginRow, Registry

T = TypeVar("T")

_MAPPINGS: Final = "lwm2m_mappings"

_log = logging.getLogger(__name__)


@attrs.frozen(slots=True)
class Compiled:
    """What plugins map with one catalog."""

    table: MappingTable
    mappings: Map[str, tuple[Mapping, ...]]
    """By plugin."""
    faults: Map[tuple[str, str], str]
    """By plugin and hook: why it adds nothing."""

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(f"plugin {plugin}: {fault}" for (plugin, _), fault in self.faults.items())


@attrs.frozen(slots=True)
class HookFailure:
    """A plugin's code raised while the engine ran, or gave what its hook may not."""

    plugin: str
    hook: str
    error: Exception
    endpoint: str
    """Of the device it happened at."""


class PluginManager(Hooks):
    """Loads plugins, reports what became of each, and asks them what the engine asks.

    With ``strict`` the constructor, ``models`` and ``table`` raise ``PluginError`` if a plugin cannot
    be used; the single faults are an ``ExceptionGroup`` in its ``__cause__``. Otherwise they are rows
    of the ``report``, and the other plugins keep working.
    """

    def __init__(
        self,
        candidates: Iterable[Candidate],
        *,
        enabled: Iterable[str] = (),
        strict: bool = False,
        not_loaded: Iterable[tuple[FilePath, str]] = (),
    ) -> None:
        self._strict = strict
        self._registry = Registry(candidates, enabled)
        for file, reason in not_loaded:
            self._registry.add(PluginRow(file.stem, str(file.parent), str(file), "not loaded", reason))
        # Looked up once: where no plugin listens, nothing is called at all.
        self._gates = self._registry.latest_first("lwm2m_admit")
        self._commanders = self._registry.latest_first("lwm2m_mgmt_command")
        self._rewriters = self._registry.latest_first("lwm2m_outgoing")
        self._rescuers = self._registry.latest_first("lwm2m_rescue_payload")
        self._listeners = self._registry.in_order("lwm2m_event")
        self._told: set[tuple[str, str, type[Exception]]] = set()
        self.on_failure: Callable[[HookFailure], object] = lambda failure: None
        """Hears of each; must not raise."""
        self._raise_if_strict()

    @classmethod
    def default(
        cls,
        dirs: Iterable[str | os.PathLike[str]] = (),
        *,
        strict: bool = False,
        enabled: Iterable[str] = (),
    ) -> PluginManager:
        """Bundled plugins, installed ones, and those in ``dirs``; of two with one name the later.

        ``enabled`` names plugins that are off by default. Python files in ``./plugins`` are mentioned
        in the report unless that is one of ``dirs``; they are not run.
        """
        directories = [FilePath(directory) for directory in dirs]
        return cls(
            loading.discover(directories),
            enabled=enabled,
            strict=strict,
            not_loaded=loading.not_loaded(directories),
        )

    @property
    def report(self) -> tuple[PluginRow, ...]:
        """One row a plugin, in order of discovery."""
        return self._registry.rows

    def report_with(self, compiled: Compiled) -> tuple[PluginRow, ...]:
        """The same where these mappings are in force."""
        faults = {place: why for place, why in self._registry.faults.items() if place[1] != _MAPPINGS}
        return self._registry.rows_with({**faults, **compiled.faults}, compiled.mappings)

    @property
    def mappings(self) -> tuple[tuple[str, Mapping], ...]:
        """Plugin name and mapping of all that the last ``table`` took in."""
        declared = self._registry.mappings
        return tuple((plugin, mapping) for plugin, own in declared.items() for mapping in own)

    @property
    def listens(self) -> bool:
        """Whether any plugin wants to hear of events."""
        return bool(self._listeners)

    # --- start-up ----------------------------------------------------------------------------------

    def models(self) -> tuple[FilePath, ...]:
        """Files and directories of object definitions that plugins bring along."""
        found = self._collect("lwm2m_models", (str, FilePath))
        self._raise_if_strict()
        return tuple(FilePath(str(path)) for _, path in found)

    def codecs(self) -> tuple[Codec, ...]:
        """Codecs for further Content-Formats, for ``Codecs.extended``.

        Whatever a plugin's code raises comes out as ``DecodeError`` or ``EncodeError``.
        """
        found = self._collect("lwm2m_codecs", Codec)
        self._raise_if_strict()
        return tuple(guarded(plugin, codec) for plugin, codec in found)

    def sinks(self, taken: Iterable[str] = ()) -> dict[str, Callable[[Any], Any]]:
        """By ``EndpointType``, what makes sinks of a server; ``taken`` are those it has already.

        A plugin of which one cannot be used adds none.
        """
        accepted: dict[str, Callable[[Any], Any]] = {}
        owners = dict.fromkeys(taken, "the server")
        for implementation in self._registry.in_order("server_sinks"):
            place = implementation.plugin, implementation.hook
            self._registry.faults.pop(place, None)
            try:
                own = by_kind(implementation.collect(tuple), owners)
            except PluginError as error:
                self._registry.faults[place] = str(error)
                continue
            accepted |= own
            owners |= dict.fromkeys(own, f"plugin {implementation.plugin}")
        self._raise_if_strict()
        return accepted

    def table(self, catalog: Catalog) -> MappingTable:
        """All mappings that compile against ``catalog``.

        A plugin with one that does not, or that conflicts with plugins discovered before it, adds
        none. May be called again with another catalog; the report then tells of the last call.
        """
        compiled = self._compile(catalog)
        self.report_on(compiled)
        self._raise_if_strict()
        return compiled.table

    def compile(self, catalog: Catalog) -> Compiled:
        """The same without a word in the report, until ``report_on`` is told; may run on another thread.

        Raises ``PluginError`` if it is strict and a plugin adds none.
        """
        compiled = self._compile(catalog)
        if self._strict and compiled.faults:
            files = {row.name: row.file for row in self.report}
            reasons = [f"{files[name]}: plugin {name}: {text}" for (name, _), text in compiled.faults.items()]
            raise PluginError("\n".join(reasons))
        return compiled

    def report_on(self, compiled: Compiled) -> None:
        """Let the report tell of these mappings."""
        registry = self._registry
        for place in [place for place in registry.faults if place[1] == _MAPPINGS]:
            del registry.faults[place]
        registry.faults.update(compiled.faults)
        registry.mappings = dict(compiled.mappings)

    def _compile(self, catalog: Catalog) -> Compiled:
        accepted: tuple[tuple[str, Mapping], ...] = ()
        faults: dict[tuple[str, str], str] = {}
        mappings: dict[str, tuple[Mapping, ...]] = {}
        for implementation in self._registry.in_order(_MAPPINGS):
            try:
                own = implementation.collect(Mapping, catalog=catalog)
                candidates = (*accepted, *((implementation.plugin, mapping) for mapping in own))
                MappingTable.compile(candidates, catalog)
            except (MappingError, PluginError) as error:
                faults[implementation.plugin, implementation.hook] = str(error)
                continue
            accepted = candidates
            mappings[implementation.plugin] = tuple(own)
        return Compiled(MappingTable.compile(accepted, catalog), mappings, faults)

    # --- Hooks: what the engine asks ---------------------------------------------------------------

    def admit(self, register: Register, peer: Peer, known: bool) -> Verdict | None:
        """The first plugin with an opinion; one that fails refuses with 5.03."""
        for gate in self._gates:
            try:
                verdict = gate.call(register=register, peer=peer, known=known)
                if verdict is not None:
                    return expect(Verdict, verdict)
            except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
                self._count(gate, error, register.endpoint)
                return Verdict(False, Code.SERVICE_UNAVAILABLE, f"plugin {gate.plugin} failed")
        return None

    def mgmt_command(self, command: ManagedCommand) -> Sequence[Request] | None:
        """The first plugin with requests of its own. Raises ``RequestError``, also if one fails: it may have
        meant to refuse."""
        for commander in self._commanders:
            try:
                requests = commander.call(command=command)
                if requests is not None:
                    return _requests(requests)
            except RequestError:
                raise
            except Exception as error:
                self._count(commander, error, command.endpoint)
                reason = f"plugin {commander.plugin} failed"
                raise RequestError(Code.INTERNAL_SERVER_ERROR, reason) from error
        return None

    def outgoing(self, endpoint: str, request: CoapRequest) -> CoapRequest | None:
        """The first plugin that wants another request in its place."""
        for rewriter in self._rewriters:
            found = self._ask(
                rewriter,
                endpoint,
                lambda result: expect(CoapRequest, result),
                endpoint=endpoint,
                request=request,
            )
            if found is not None:
                return found
        return None

    def rescue_payload(
        self, endpoint: str, path: Path, content_format: int, payload: bytes, error: CodecError
    ) -> Sequence[Entry] | None:
        """The first plugin that can read the payload."""
        for rescuer in self._rescuers:
            entries = self._ask(
                rescuer,
                endpoint,
                lambda result: expect_all(Entry, result),
                endpoint=endpoint,
                path=path,
                content_format=content_format,
                payload=payload,
                error=error,
            )
            if entries is not None:
                return entries
        return None

    def event(self, event: Event) -> None:
        """Every plugin that listens."""
        for listener in self._listeners:
            self._ask(listener, event.endpoint, lambda result: None, event=event)

    # --- isolation ---------------------------------------------------------------------------------

    def _ask(
        self, implementation: Implementation, about: str, check: Callable[[object], T], **values: object
    ) -> T | None:
        """What one plugin says, checked; a failure is logged and counted, and says nothing."""
        try:
            result = implementation.call(**values)
            return None if result is None else check(result)
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            self._count(implementation, error, about)
            return None

    def _count(self, implementation: Implementation, error: Exception, endpoint: str) -> None:
        self._registry.failures[implementation.plugin] += 1
        # What fails with each message of a fleet would fill the disk: the first of a kind says it all.
        kind = implementation.plugin, implementation.hook, type(error)
        level = logging.DEBUG if kind in self._told else logging.ERROR
        self._told.add(kind)
        _log.log(level, "plugin %s: %s failed", implementation.plugin, implementation.hook, exc_info=error)
        self.on_failure(HookFailure(implementation.plugin, implementation.hook, error, endpoint))

    def _collect(self, hook: str, kinds: type[T] | tuple[type[T], ...]) -> list[tuple[str, T]]:
        """What all plugins declare behind a start-up hook, with their names."""
        found: list[tuple[str, T]] = []
        for implementation in self._registry.in_order(hook):
            place = implementation.plugin, hook
            self._registry.faults.pop(place, None)
            try:
                found += [(implementation.plugin, item) for item in implementation.collect(kinds)]
            except PluginError as error:
                self._registry.faults[place] = str(error)
        return found

    def _raise_if_strict(self) -> None:
        faults = [PluginError(row.reason) for row in self.report if row.status == "failed"]
        if self._strict and faults:
            text = "\n".join(map(str, faults))
            raise PluginError(text) from ExceptionGroup("plugins that cannot be used", faults)


def _requests(found: object) -> tuple[Request, ...]:
    requests = expect_all(object, found)
    for request in requests:
        if not isinstance(request, Request):
            raise PluginError(f"gave {request!r}, not a request")
    return requests  # type: ignore[return-value]
