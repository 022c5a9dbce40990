"""``ProblemLines``: what the log says at level error is a problem of the server, wherever it is said.

Warnings are of many kinds; those of a few modules tell of something that somebody has to do.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import Problems
from lwm2m_server.problems.plugins import described
from lwm2m_server.problems.subjects import Subjects

TOLD: Final = frozenset(
    {
        "lwm2m_engine.plugins.manager",
        "lwm2m_server.assembly.core",
        "lwm2m_server.sinks.carrier",
        "lwm2m_server.store.transactions",
    }
)
"""Modules whose errors come here in another way."""
OWN: Final = __name__.rpartition(".")[0]
"""What these modules say is of problems that cannot be kept."""
WARNINGS: Final[Mapping[str, str]] = {
    "lwm2m_server.bootstrap.provisioning": kinds.BOOTSTRAP,
    "lwm2m_server.coap.shedding": kinds.SERVER,
    "lwm2m_server.listeners": kinds.SERVER,
    "lwm2m_server.onem2m.projection": kinds.SERVER,
    "lwm2m_server.onem2m.rows": kinds.SERVER,
    "lwm2m_server.telemetry.keeping": kinds.SERVER,
}
"""Modules whose warnings are problems, and of which kind."""
SHOWN: Final = ("container", "limit", "listener", "hint")
"""What of a line is shown beside its reason."""

_log = structlog.get_logger(__name__)


class ProblemLines(logging.Handler):
    """Made on the loop; called on any thread."""

    def __init__(self, problems: Problems, subjects: Subjects) -> None:
        super().__init__(logging.WARNING)
        self._problems, self._subjects = problems, subjects
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        kind = _kind(record)
        if kind is None:
            return
        said: Mapping[str, Any] = record.msg if isinstance(record.msg, dict) else {}
        # What makes lines the same are their words, without what is put in between.
        words = str(said.get("event", record.msg)).partition("\n")[0]
        text = words if said else " ".join(record.getMessage().split())
        with suppress(RuntimeError):
            # Soon: this may be in the middle of anything, and on a thread that outlives the loop.
            self._loop.call_soon_threadsafe(
                self._tell, kind, record.name, words, text, _why(record, said), said
            )

    def _tell(self, *line: Any) -> None:
        try:
            self._note(*line)
        except Exception:  # noqa: BLE001 - what the loop would log of it, would come here again
            _log.exception("a line of the log cannot be told as a problem")

    def _note(
        self, kind: str, module: str, words: str, text: str, error: str | None, said: Mapping[str, Any]
    ) -> None:
        """Where it is not known whose it is, it is the whole server's."""
        node, endpoint = said.get("node"), said.get("endpoint")
        whose = self._subjects.of(node) if isinstance(node, int) else None
        if whose is None and isinstance(endpoint, str):
            whose = self._subjects.at(endpoint)
        self._problems.note(
            kind,
            text if error is None else f"{text}: {error}",
            tenant=whose.tenant if whose is not None else "",
            same=f"{module} {words}",
            node=whose.node if whose is not None else 0,
            device=whose.name if whose is not None else "",
            by=module,
            module=module,
            error=error,
            **{name: said[name] for name in SHOWN if isinstance(said.get(name), (str, int))},
        )


def _kind(record: logging.LogRecord) -> str | None:
    if record.name.startswith(OWN):
        return None
    if record.levelno < logging.ERROR:
        return WARNINGS.get(record.name)
    return None if record.name in TOLD else kinds.SERVER


def _why(record: logging.LogRecord, said: Mapping[str, Any]) -> str | None:
    """A reason that is given; else what was raised."""
    for name in ("reason", "error"):
        if said.get(name):
            return str(said[name])
    raised = said.get("exc_info") or record.exc_info
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    return described(error) if isinstance(error, BaseException) else None
