"""Structured logs on standard error; standard output belongs to results."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from lwm2m_server.settings import LogSettings


class Ration:
    """So many lines in so many seconds: what strangers can cause must not fill the disk."""

    def __init__(self, lines: int = 10, seconds: float = 60.0) -> None:
        self._lines, self._seconds = lines, seconds
        self._since, self._spent, self._left_out = float("-inf"), 0, 0

    def take(self, now: float) -> int | None:
        """How many lines were left out since the last one, or ``None`` to leave out this one, too."""
        if not self._since <= now < self._since + self._seconds:
            self._since, self._spent = now, 0
        if self._spent >= self._lines:
            self._left_out += 1
            return None
        self._spent += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


def configure(settings: LogSettings) -> None:
    """Send structlog's and the standard library's records the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings.format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)


def _renderers(form: str) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the prettier ones print local variables, and with them keys of devices.
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
