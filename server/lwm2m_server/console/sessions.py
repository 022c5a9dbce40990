"""``Sessions``: who is signed in, in memory. A restart of the server signs everybody out."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from lwm2m_server.console.proofs import Proof

COOKIE: Final = "lwm2m_session"
MAX_SESSIONS: Final = 1_000
MAX_NOTICES: Final = 10
MAX_DRAFTS: Final = 20
LONGEST: Final = 12 * 3600.0
"""Seconds until one has to sign in again, whatever one does."""


@attrs.define(eq=False)
class Session:
    """What the server keeps of one browser."""

    proof: Proof
    began: float
    used: float
    idle: float
    """Seconds without a request that end it."""
    ended: bool = False
    csrf: str = attrs.field(factory=lambda: secrets.token_urlsafe(24))
    """What each form brings along, so that no other site's form can act for the viewer."""
    tenant: str | None = None
    """The one the viewer has chosen; ``None`` for their own."""
    notices: deque[str] = attrs.field(factory=lambda: deque(maxlen=MAX_NOTICES))
    """Sentences for the next page."""
    drafts: OrderedDict[str, Any] = attrs.field(factory=OrderedDict)
    """What is being edited, by name."""

    def is_over(self, now: float) -> bool:
        """What goes on without requests, a stream, ends with it."""
        return self.ended or now - self.used > self.idle or now - self.began > LONGEST

    def keep(self, name: str, draft: Any) -> None:
        """The draft that was not touched longest goes for a new one."""
        self.drafts[name] = draft
        self.drafts.move_to_end(name)
        if len(self.drafts) > MAX_DRAFTS:
            self.drafts.popitem(last=False)


class Sessions:
    """By the hash of what the cookie says: a look into the memory gives nobody a session."""

    def __init__(self, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``idle`` seconds without a request end a session."""
        self._idle, self._clock = idle, clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, proof: Proof) -> tuple[str, Session]:
        """A session and the value of its cookie."""
        value, now = secrets.token_urlsafe(32), self._clock()
        session = self._sessions[_key(value)] = Session(proof, now, now, self._idle)
        if len(self._sessions) > MAX_SESSIONS:
            _, oldest = self._sessions.popitem(last=False)
            oldest.ended = True
        return value, session

    def find(self, value: str, *, is_use: bool = True) -> Session | None:
        """The session of a cookie, if it has not ended. What is no use of it, keeps it from no end."""
        key = _key(value)
        session, now = self._sessions.get(key), self._clock()
        if session is None:
            return None
        if session.is_over(now):
            del self._sessions[key]
            return None
        if is_use:
            session.used = now
        self._sessions.move_to_end(key)
        return session

    def end(self, value: str) -> None:
        session = self._sessions.pop(_key(value), None)
        if session is not None:
            session.ended = True


def _key(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
