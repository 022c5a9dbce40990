"""Who was not let in: registrations, handshakes, bootstraps."""

from __future__ import annotations

from typing import Final

import attrs

from lwm2m_engine.bootstrap.events import Failed, Refused
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, dotted
from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import Problems
from lwm2m_server.problems.subjects import Subjects

_NAMES: Final = "the endpoint name is not what these credentials are for"


@attrs.frozen
class Entrance:
    """Each method hears one part of the server. Strangers have only so many problems, whatever they do."""

    problems: Problems
    subjects: Subjects

    def registration(self, request: CoapRequest, peer: Peer, reply: CoapReply) -> None:
        """A Register that was refused."""
        endpoint, query = _endpoint(request, peer), "&".join(request.query)
        whose = self.subjects.at(endpoint)
        reason = reply.payload.decode("utf-8", "replace") or dotted(reply.code)
        who = endpoint or "a client without endpoint name"
        self.problems.note(
            kinds.REGISTRATION,
            f"{who} may not register: {reason}",
            tenant=whose.tenant,
            same=f"{endpoint} {reason}",
            node=whose.node,
            device=whose.name,
            by=peer.host,
            endpoint=endpoint,
            peer=str(peer),
            identity=peer.identity,
            query=query,
            code=dotted(reply.code),
            reason=_reason(reply.code, reason),
            error=reason,
        )

    def handshake(self, listener: str, peer: str, reason: str) -> None:
        """DTLS or TLS."""
        self._stranger(f"a handshake from {peer} failed: {reason}", listener, peer, reason, _host(peer))

    def protected(self, listener: str, peer: str, reason: str) -> None:
        """OSCORE. Where it came from was not proved: all of them together are one subject."""
        text = f"a protected request from {peer} cannot be opened: {reason}"
        self._stranger(text, listener, peer, reason, listener, "oscore")

    def bootstrap(self, event: Failed | Refused) -> None:
        whose = self.subjects.at(event.endpoint)
        reason = event.reason if isinstance(event, Refused) else event.cause
        detail = event.detail if isinstance(event, Failed) else ""
        what = "was refused" if isinstance(event, Refused) else "failed"
        self.problems.note(
            kinds.BOOTSTRAP,
            f"the bootstrap of {event.endpoint} {what}: {', '.join(filter(None, (reason, detail)))}",
            tenant=whose.tenant,
            same=f"{event.endpoint} {reason}",
            node=whose.node,
            device=whose.name,
            by=event.peer.host if isinstance(event, Refused) else "",
            at=event.at,
            endpoint=event.endpoint,
            peer=str(event.peer) if isinstance(event, Refused) else None,
            code=dotted(event.code) if isinstance(event, Refused) else None,
            session=event.session if isinstance(event, Failed) else None,
            error=reason,
            detail=detail or None,
        )

    def _stranger(
        self, text: str, listener: str, peer: str, error: str, by: str, reason: str | None = None
    ) -> None:
        """Whose it was nobody knows: it is the server's own tenant's."""
        self.problems.note(
            kinds.HANDSHAKE,
            text,
            tenant=self.subjects.default,
            same=f"{_host(peer)} {error}",
            by=by,
            listener=listener,
            peer=peer,
            reason=reason,
            error=error,
        )


def _host(peer: str) -> str:
    return peer.rpartition(":")[0]


def _endpoint(request: CoapRequest, peer: Peer) -> str:
    named = (text[3:] for text in request.query if text.startswith("ep="))
    return next(named, "") or peer.identity or ""


def _reason(code: int, text: str) -> str:
    if code == Code.PRECONDITION_FAILED or "version" in text:
        return "version"
    return "identity" if text == _NAMES else "refused"
