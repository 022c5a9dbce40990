"""``Sessions``: the DTLS associations of one server port, from cookie to close (RFC 6347)."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable
from functools import partial
from typing import Protocol

import attrs
import structlog

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.dtls import hello
from lwm2m_server.coap.dtls.association import Association
from lwm2m_server.coap.dtls.cookies import Cookies
from lwm2m_server.coap.dtls.engine import DtlsEngine, SessionOver, Turn
from lwm2m_server.coap.dtls.flights import HEAD
from lwm2m_server.coap.dtls.handshakes import Handshakes
from lwm2m_server.coap.dtls.limits import Counters, Limits
from lwm2m_server.coap.dtls.records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    LARGEST_FRAGMENT,
    TLS12_CID,
)
from lwm2m_server.coap.dtls.suspension import Suspended, resumed, suspended
from lwm2m_server.coap.dtls.table import Table
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.wheel import Timer
from lwm2m_server.logs import Ration

CLEAR, PROTECTED = b"\0\0", b"\0\1"
"""The epochs there are; to renegotiate, which would count on, is refused."""
SWEEP = 60.0
"""Seconds between two looks for sessions that are silent for too long, at most."""

log = structlog.get_logger(__name__)


class Surroundings(Protocol):
    """What is around the sessions of a port."""

    def transmit(self, datagram: bytes, to: Source) -> None: ...

    def heard(self, message: bytes, source: Source) -> None:
        """Someone said something, in clear."""
        ...

    def lost(self, problem: OSError, address: SocketAddress) -> None:
        """Nothing reaches this source any more."""
        ...

    def time(self) -> float: ...

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer: ...


class Sessions:
    """Finds the session a datagram is for, begins and ends sessions, and keeps to the limits."""

    def __init__(
        self, engine: DtlsEngine, limits: Limits, around: Surroundings, *, cid_length: int = 0
    ) -> None:
        """``cid_length`` is that of the Connection IDs given to clients, if the engine knows them."""
        self._engine, self._limits, self._around = engine, limits, around
        self._cid_length = cid_length
        self._cookies = Cookies()
        self._ration = Ration()
        self._handshakes, self._table = Handshakes(limits), Table()
        self.counters = Counters()
        self.on_failed: Callable[[Peer, str], object] = lambda peer, reason: None
        """Hears of each handshake that did not come to its end."""
        self._sweep_later()

    def __len__(self) -> int:
        """Established sessions."""
        return len(self._table)

    def counts(self) -> dict[str, int]:
        """See ``lwm2m_server.counts``."""
        happened = attrs.asdict(self.counters)
        going_on = {"dtls_sessions": len(self._table), "dtls_handshakes": len(self._handshakes)}
        return going_on | {f"dtls_{name}_total": number for name, number in happened.items()}

    # --- what arrives ---

    def receive(self, data: bytes, source: Source) -> None:
        """A datagram."""
        if not self._is_whole(data):
            self.counters.malformed += 1
            return
        association = self._find(data, source)
        if association is not None:
            now = self._around.time()
            self._take(association, association.session.receive(data, now), source, now)

    def _is_whole(self, data: bytes) -> bool:
        """Whether there is a record at the beginning."""
        at = HEAD + self._cid_length if data[:1] == b"\x19" else HEAD
        if len(data) < at or data[1] != 0xFE:
            return False
        length = data[at - 2] << 8 | data[at - 1]
        return length <= LARGEST_FRAGMENT and at + length <= len(data)

    def _find(self, data: bytes, source: Source) -> Association | None:
        """Whose datagram it is, told by its first record."""
        kind, epoch, address = data[0], data[3:5], source.address
        handshakes, table, found = self._handshakes, self._table, None
        if kind == APPLICATION_DATA and epoch == PROTECTED:
            found = table.by_address.get(address)
        elif kind == TLS12_CID and epoch == PROTECTED:
            cid = data[11 : 11 + self._cid_length]
            found = table.by_cid.get(cid) or handshakes.by_cid.get(cid)
        elif epoch == CLEAR and hello.is_client_hello(data):
            return self._begin(data, source)
        elif epoch == CLEAR and kind == ALERT:
            # Anyone could have sent it: it cannot end what is established.
            found = handshakes.by_address.get(address)
        elif epoch in (CLEAR, PROTECTED) and CHANGE_CIPHER_SPEC <= kind <= HANDSHAKE:
            found = handshakes.by_address.get(address) or table.by_address.get(address)
        if found is None:
            self.counters.strange += 1
        return found

    def _begin(self, data: bytes, source: Source) -> Association | None:
        """A new session for a ClientHello with a good cookie; the one there is goes on meanwhile."""
        now, address, asked = self._around.time(), source.address, hello.parse(data)
        if asked is None:
            self.counters.malformed += 1
            return None
        if not self._cookies.are_good(asked, address, now):
            self.counters.cookies += 1
            self._around.transmit(self._cookies.request(asked, address, now), source)
            return None
        handshakes = self._handshakes
        under_way = handshakes.by_address.get(address)
        known = under_way or self._table.by_address.get(address)
        if known is not None and known.random == asked.random:
            # Once more. What was said to it is repeated in its own time.
            return None
        if under_way is not None:
            handshakes.remove(under_way)
        if not handshakes.have_room(source.peer.host):
            self.counters.refused += 1
            self._say(log.error, "too many DTLS handshakes are under way: one is not begun", source, now)
            return None
        self.counters.begun += 1
        session = self._engine.accept(secrets.token_bytes(self._cid_length))
        association = Association(session, source, asked.random, now + self._limits.handshake_timeout)
        handshakes.add(association)
        return association

    # --- what comes of it ---

    def _take(self, association: Association, turn: Turn, source: Source, now: float) -> None:
        session, around = association.session, self._around
        for datagram in turn.datagrams:
            around.transmit(datagram, association.outside)
        if association.inside is None:
            self._go_on(association, now)
        if turn.is_newest and source.address != association.outside.address:
            self._table.move(association, source)
        inside = association.inside
        if turn.messages and inside is not None:
            self._table.touch(association, now)
            for message in turn.messages:
                around.heard(message, inside)
        if session.over is not None:
            self._over(association, session.over, now)
            return
        due = session.deadline
        if inside is None:
            due = association.expires if due is None else min(due, association.expires)
        if due != association.due:
            self._arm(association, due, now)

    def _go_on(self, association: Association, now: float) -> None:
        """With a handshake."""
        if association.session.endpoint is not None:
            self._establish(association, now)
        elif association.session.cid:
            self._handshakes.know_cid(association)

    def _establish(self, association: Association, now: float) -> None:
        self.counters.established += 1
        self._handshakes.remove(association)
        inside = association.establish()
        old = self._table.add(association, inside)
        self._table.touch(association, now)
        log.debug("DTLS session", peer=str(inside.peer), endpoint=inside.peer.identity)
        if old is not None:
            self.counters.replaced += 1
            # The client has other keys now: there is nothing to be said to it with these.
            old.session.close()
            self._end(old)
        if len(self._table) > self._limits.sessions and (silent := self._table.most_silent()) is not None:
            self.counters.displaced += 1
            text = "too many DTLS sessions: the most silent one is closed"
            self._say(log.error, text, silent.outside, now)
            self._dismiss(silent)

    def _over(self, association: Association, reason: str, now: float) -> None:
        """It has come to its end by itself."""
        if association.inside is not None:
            self.counters.ended += 1
            log.debug("DTLS session over", peer=str(association.outside.peer), reason=reason)
            self._end(association)
            return
        self.counters.failed += 1
        self._handshakes.remove(association)
        self._tell_failure(association, reason, now)

    def _tell_failure(self, association: Association, reason: str, now: float) -> None:
        self.on_failed(association.outside.peer, reason)
        self._say(log.warning, "DTLS handshake failed", association.outside, now, reason=reason)

    def _say(self, say: Callable[..., object], text: str, source: Source, now: float, **more: str) -> None:
        left_out = self._ration.take(now)
        if left_out is not None:
            say(text, peer=str(source.peer), **more, left_out=left_out)

    def _dismiss(self, association: Association) -> None:
        """End it, and tell the client."""
        for datagram in association.session.close().datagrams:
            self._around.transmit(datagram, association.outside)
        self._end(association)

    def _end(self, association: Association) -> None:
        inside = association.inside
        if inside is not None and inside.address in self._table.by_inside:
            self._table.remove(association, inside)
            problem = OSError(errno.ENOTCONN, association.session.over or "the session is over")
            self._around.lost(problem, inside.address)

    # --- time ---

    def _arm(self, association: Association, due: float | None, now: float) -> None:
        association.rest()
        association.due = due
        if due is not None:
            elapse = partial(self._elapse, association)
            association.timer = self._around.call_later(max(0.0, due - now), elapse)

    def _elapse(self, association: Association) -> None:
        now = self._around.time()
        association.timer = association.due = None
        if association.inside is None and now >= association.expires:
            self.counters.timed_out += 1
            self._handshakes.remove(association)
            reason = "time is up; a client with another key goes on trying, too"
            self._tell_failure(association, reason, now)
            return
        self._take(association, association.session.elapse(now), association.outside, now)

    def _sweep_later(self) -> None:
        self._around.call_later(min(SWEEP, self._limits.idle / 4), self._sweep)

    def _sweep(self) -> None:
        """Close what is silent for too long."""
        now, table = self._around.time(), self._table
        while (silent := table.most_silent()) is not None and silent.heard + self._limits.idle <= now:
            self.counters.idle += 1
            self._dismiss(silent)
        self._sweep_later()

    # --- what the server wants ---

    def send(self, message: bytes, to: Source) -> None:
        """To a source of messages. If its session is over, whoever asked it something has been told."""
        association = self._table.by_inside.get(to.address)
        if association is None:
            return
        try:
            datagram = association.session.seal(message)
        except SessionOver as over:
            self._over(association, str(over), self._around.time())
        else:
            self._around.transmit(datagram, association.outside)

    def source(self, peer: Peer) -> Source:
        """What messages to a peer go to; raises ``OSError`` without a session of its endpoint."""
        association = self._table.find(peer)
        if association is None or association.inside is None:
            raise OSError(errno.ENOTCONN, f"no DTLS session with {peer}")
        return association.inside

    def at(self, address: SocketAddress) -> Source | None:
        """The source of messages that has a network address."""
        association = self._table.by_address.get(address)
        return None if association is None else association.inside

    def close(self, endpoint: str) -> None:
        """End all sessions of an endpoint."""
        for association in self._table.of(endpoint):
            self._dismiss(association)

    def close_all(self) -> None:
        """End all sessions; the clients are told."""
        for association in self._table.all():
            self._dismiss(association)

    # --- between two lives of the server ---

    def suspend(self) -> tuple[Suspended, ...]:
        """End all, without a word to the clients of those that can go on after a restart."""
        kept = []
        for association in self._table.all():
            one = suspended(association)
            if one is None or association.inside is None:
                self._dismiss(association)
            else:
                self._table.remove(association, association.inside)
                kept.append(one)
        return tuple(kept)

    def resume(self, one: Suspended, outside: Source) -> None:
        """Go on with one; raises ``ValueError`` if that is no session."""
        association = Association(resumed(one), outside, b"", 0.0)
        self._table.add(association, association.establish())
        self._table.touch(association, self._around.time())
