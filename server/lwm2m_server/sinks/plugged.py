"""Sinks that plugins bring along (``server_sinks``): foreign code, whose mistakes concern its own notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry, Sink, SinkFactory

_log = structlog.get_logger(__name__)


def checked(kind: str, make: Callable[..., Any]) -> SinkFactory:
    """What raises nothing but what is expected of it, and gives sinks."""

    def factory(endpoint: Endpoint) -> Sink:
        try:
            sink = make(endpoint)
        except (Retry, Refused):
            raise
        except Exception as error:
            _log.exception("a plugin could not make a sink", kind=kind)
            raise Retry(f"EndpointType:{kind}: {error!r}") from error
        missing = [name for name in ("limit", "deliver", "close") if not hasattr(sink, name)]
        if missing:
            raise Retry(f"EndpointType:{kind}: {type(sink).__name__} is no sink: it has no {missing[0]}")
        return sink  # type: ignore[no-any-return]

    return factory
