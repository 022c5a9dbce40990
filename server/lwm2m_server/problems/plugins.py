"""Plugins that fail: those that are not used, and those whose code raises while the server runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from traceback import TracebackException

import attrs

from lwm2m_engine.plugins.manager import HookFailure
from lwm2m_engine.plugins.registry import PluginRow
from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import Found, Problems
from lwm2m_server.problems.subjects import Subjects
from lwm2m_server.store.problems import KEPT_OF_NOBODY, KeptProblem, ProblemFilter, ProblemReads


@attrs.frozen
class PluginFailures:
    """One problem for each hook of a plugin in each tenant, whichever device it happened at."""

    problems: Problems
    subjects: Subjects

    def hook(self, failure: HookFailure) -> None:
        whose, error = self.subjects.at(failure.endpoint), described(failure.error)
        self.problems.note(
            kinds.HOOK,
            f"the plugin {failure.plugin} failed in {failure.hook}: {error}",
            tenant=whose.tenant,
            same=f"{failure.plugin} {failure.hook}",
            device=whose.name,
            by=failure.plugin,
            plugin=failure.plugin,
            hook=failure.hook,
            example=whose.name if whose.node else None,
            endpoint=failure.endpoint or None,
            error=error,
        )


def unused(rows: Iterable[PluginRow]) -> Found:
    """Those that could not be loaded, or whose mappings could not."""
    return {
        row.name: (
            f"the plugin {row.name} is not used: {row.reason}",
            {"plugin": row.name, "file": row.file, "error": row.reason},
        )
        for row in rows
        if row.status == "failed"
    }


def settle_hooks(
    problems: Problems, reader: ProblemReads, tenants: Iterable[str], rows: Iterable[PluginRow]
) -> None:
    """At the start: what is told of plugins that are gone, or are others than they were, is over."""
    files = {row.name: row.file for row in rows if row.status == "loaded"}
    for tenant in tenants:
        kept = reader.problems(ProblemFilter((tenant,), (kinds.HOOK,)), limit=KEPT_OF_NOBODY)
        if kept:
            problems.settle(
                tenant, kinds.HOOK, {row.problem.same for row in kept if _is_as_it_was(row, files)}
            )


def _is_as_it_was(kept: KeptProblem, files: Mapping[str, str]) -> bool:
    file = files.get(kept.problem.facts.get("plugin", ""))
    if file is None:
        return False
    try:
        return Path(file).stat().st_mtime * 1000 <= kept.problem.last
    except OSError:
        return True


def described(error: BaseException) -> str:
    """Its type and its text on one line, whatever foreign code it is made of."""
    lines = TracebackException(type(error), error, None, compact=True).format_exception_only()
    return " ".join("".join(lines).split())
