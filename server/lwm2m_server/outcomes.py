"""What becomes of something a device said, when the ledger has kept it or could not."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lwm2m_engine.coap import CoapReply, Code, diagnostic
from lwm2m_engine.errors import RequestError
from lwm2m_server.commits import Settled
from lwm2m_server.store.errors import CommitFailed, Conflict, Gone

_log = structlog.get_logger(__name__)


def refusal(error: BaseException) -> CoapReply:
    """What a device is answered when its request could not be kept."""
    if isinstance(error, RequestError):
        return diagnostic(error.code, error.reason)
    if isinstance(error, CommitFailed):
        return CoapReply(Code.SERVICE_UNAVAILABLE)
    if isinstance(error, Gone):
        # Its node was deleted meanwhile, and the registration with it.
        return CoapReply(Code.NOT_FOUND)
    if isinstance(error, Conflict):
        return diagnostic(Code.FORBIDDEN, str(error))
    _log.error("a request could not be kept", error=repr(error), exc_info=error)
    return CoapReply(Code.INTERNAL_SERVER_ERROR)


def kept(tell: Callable[[bool | None], None] | None = None) -> Settled:
    """For what no client waits for: tells whether it was kept, with ``None`` for no.

    If not, the device is put back to before it: a request to it will be sent again.
    """

    def settled(_: object, error: BaseException | None) -> None:
        if isinstance(error, (CommitFailed, Gone)):
            _log.warning("what a device said could not be stored", reason=str(error))
        elif error is not None:
            _log.error("what a device said could not be stored", error=repr(error), exc_info=error)
        if tell is not None:
            tell(True if error is None else None)

    return settled
