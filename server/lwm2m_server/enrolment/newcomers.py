"""``Newcomers``: devices that nobody knows come into being, if a rule lets them.

In the handshake ``Stage`` gives the key of a batch, or the name in a certificate; when the device then
registers or bootstraps, ``meet`` finds the rule again, and the device is made with the credentials it has
just proved. A device that is there is never a newcomer: what it has counts, not what a rule would give.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import structlog
from cryptography import x509

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.errors import RequestError, SettingsError
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.enrolment.batches import Batches
from lwm2m_server.enrolment.devices import DeviceOffice
from lwm2m_server.enrolment.document import KEY_LENGTH, NewCredentials
from lwm2m_server.enrolment.newdevice import NewDevice
from lwm2m_server.enrolment.pending import Pending, PendingDevices, Sources
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.enrolment.rules import Rule, rule_of
from lwm2m_server.onem2m.behaviours.nodes import node_name
from lwm2m_server.security.admission import Enrolled, Newcomer
from lwm2m_server.security.credentials import (
    MAX_IDENTITY,
    X509,
    BadCredentials,
    Credential,
    NoSec,
    Psk,
    Removed,
    Side,
)
from lwm2m_server.store.errors import CommitFailed, Conflict, Gone
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.transaction import Reader, Transaction

MAX_PROOFS: Final = 10_000
"""Certificates remembered between handshake and Register."""

_log = structlog.get_logger(__name__)


class Newcomers:
    """Of the whole installation. Belongs to the event loop."""

    def __init__(
        self,
        inventory: Inventory,
        reader: Reader,
        batches: Batches,
        office: DeviceOffice,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._inventory, self._reader = inventory, reader
        self._batches, self._office, self._clock = batches, office, clock
        self._seen: object = None
        self._rules: Sequence[Rule] = ()
        self._sources = Sources()
        self._under_way: dict[str, list[Enrolled]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.pending = PendingDevices()

    def side(self, side: Side) -> Stage:
        """What the handshakes and the admission of one server ask."""
        return Stage(self, side)

    @property
    def rules(self) -> Sequence[Rule]:
        kept = self._inventory.enrolments.all()
        if kept is not self._seen:
            self._seen, self._rules = kept, [rule_of(one) for one in kept]
        return self._rules

    async def close(self) -> None:
        """Wait for devices that are being made."""
        await asyncio.gather(*self._tasks)

    # --- who it is -----------------------------------------------------------------------------------

    def rules_for(self, by: str, endpoint: str) -> Iterator[Rule]:
        """Those that let a device of this name come. None if there is one of this name already."""
        found = [rule for rule in self.rules if rule.by == by and rule.fits(endpoint)]
        if found and self._reader.device_of_endpoint(endpoint) is None:
            yield from found

    def key_of(self, identity: str) -> tuple[Rule, str, bytes] | None:
        """Rule, endpoint name and key for a PSK identity that no device has."""
        if not self.rules:
            return None
        row = self._reader.batch_key(identity)
        if row is not None:
            for rule in self.rules_for("keys", row.endpoint):
                if (rule.tenant, rule.name) == (row.tenant, row.rule):
                    return rule, row.endpoint, self._batches.opened(row)
        for rule in self.rules:
            endpoint = rule.endpoint_of(identity) if rule.by == "masterKey" else None
            if endpoint and rule in self.rules_for("masterKey", endpoint):
                key = self._batches.derived(rule, identity)
                if key is not None:
                    return rule, endpoint, key
        return None

    def proven_by_key(self, endpoint: str) -> tuple[Rule, Credential] | None:
        """What a device must have proved that came with this name and a key."""
        row = self._reader.batch_key_for(endpoint)
        identities = [row.identity] if row is not None else []
        identities += [rule.identity_of(endpoint) for rule in self.rules_for("masterKey", endpoint)]
        for identity in identities:
            found = self.key_of(identity)
            if found is not None and found[1] == endpoint:
                key = base64.b64encode(found[2]).decode("ascii")
                return found[0], Psk(identity, key)
        return None

    # --- it comes ------------------------------------------------------------------------------------

    def meet(self, side: Side, endpoint: str, peer: Peer, found: tuple[Rule, Credential]) -> None:
        """Raises ``Newcomer``, or ``RequestError`` for one that may not come or has to wait."""
        rule, credential = found
        if endpoint in rule.rejected:
            raise RequestError(Code.FORBIDDEN, "this device was rejected")
        if endpoint in self._under_way:
            raise Newcomer(self._under_way[endpoint].append)
        now, is_known = self._clock(), self.pending.get(rule.tenant, endpoint) is not None
        counts = not is_known and (rule.is_queued or isinstance(credential, NoSec))
        if counts and not self._sources.take(peer.host, now):
            raise RequestError(Code.TOO_MANY_REQUESTS, "too many new devices from this address")
        pending = Pending(rule.tenant, rule.name, endpoint, side, credential, str(peer.host), now, now)
        if not rule.is_queued:
            raise Newcomer(lambda done: self._begin(pending, rule, done))
        if not self.pending.note(pending):
            raise RequestError(Code.TOO_MANY_REQUESTS, "too many new devices wait for approval")
        if not is_known:
            _log.info("a new device waits for approval", endpoint=endpoint, rule=rule.name, peer=str(peer))
        raise RequestError(Code.FORBIDDEN, "this device waits for approval")

    def _begin(self, pending: Pending, rule: Rule, done: Enrolled) -> None:
        waiting = self._under_way.setdefault(pending.endpoint, [])
        waiting.append(done)
        if len(waiting) > 1:
            return
        task = asyncio.get_running_loop().create_task(self._enrol(pending, rule), name="enrolment")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _enrol(self, pending: Pending, rule: Rule) -> None:
        refused: RequestError | None = None
        try:
            await self.create(pending, rule)
        except CommitFailed as error:
            refused = RequestError(Code.SERVICE_UNAVAILABLE, str(error))
        except (Faulty, BadCredentials, Conflict, Gone) as error:
            _log.warning(
                "a new device is not let in", endpoint=pending.endpoint, rule=rule.name, reason=str(error)
            )
            refused = RequestError(Code.FORBIDDEN, f"the rule {rule.name} does not let it in: {error}")
        finally:
            waiting = self._under_way.pop(pending.endpoint)
        for done in waiting:
            done(refused)

    async def create(self, pending: Pending, rule: Rule) -> None:
        """The device as its rule has it. Raises ``Faulty``, ``BadCredentials``, ``Conflict``, ``Gone``,
        ``CommitFailed``."""
        tenant = self._inventory.tenant(rule.tenant)
        if tenant is None:
            raise Gone("its tenant was removed")
        credential, endpoint = pending.credential, pending.endpoint
        if pending.side == "management":
            credentials = NewCredentials(endpoint, credential, Removed())
        else:
            # A key that nobody knows until bootstrap gives it; a certificate is good for both.
            managing = _fresh_key(endpoint) if isinstance(credential, Psk) else credential
            credentials = NewCredentials(endpoint, managing, credential)
        name = node_name(endpoint, lambda name: self._office.is_taken(tenant, name))
        new = NewDevice(name, endpoint, credentials, rule.profile, tuple(rule.labels), tuple(rule.groups))

        def also(transaction: Transaction) -> None:
            if isinstance(credential, Psk) and credential.psk_identity is not None:
                transaction.remove_batch_key(credential.psk_identity)

        await self._office.create(tenant, new, also=also, proven=True)
        self.pending.remove(rule.tenant, endpoint)
        _log.info("a new device was let in", endpoint=endpoint, rule=rule.name, device=name)


def _fresh_key(endpoint: str) -> Psk:
    identity = endpoint
    if len(endpoint.encode()) > MAX_IDENTITY:
        identity = hashlib.sha256(endpoint.encode()).hexdigest()
    return Psk(identity, base64.b64encode(secrets.token_bytes(KEY_LENGTH)).decode("ascii"))


class Stage:
    """``Strangers`` and ``Meeting`` of one server: bootstrap or management."""

    def __init__(self, newcomers: Newcomers, side: Side) -> None:
        self._newcomers, self._side = newcomers, side
        self._certificates: OrderedDict[str, bytes] = OrderedDict()

    def psk(self, identity: bytes) -> Secret | None:
        try:
            found = self._newcomers.key_of(identity.decode())
        except UnicodeDecodeError:
            return None
        except SettingsError as error:
            _log.error("a key of a batch cannot be opened", reason=str(error))
            return None
        return None if found is None else Secret(found[1], found[2])

    def certificate(self, der: bytes, names: Iterable[str]) -> str | None:
        if not self._newcomers.rules:
            return None
        for name in names:
            if self._rule_of(name, der) is None:
                continue
            self._certificates[name] = der
            self._certificates.move_to_end(name)
            if len(self._certificates) > MAX_PROOFS:
                self._certificates.popitem(last=False)
            return name
        return None

    def _rule_of(self, endpoint: str, der: bytes) -> Rule | None:
        leaf = x509.load_der_x509_certificate(der)
        rules = self._newcomers.rules_for("certificate", endpoint)
        return next((rule for rule in rules if rule.accepts(leaf)), None)

    def meet(self, endpoint: str, peer: Peer) -> None:
        """See ``Meeting``."""
        if self._newcomers.rules and (found := self._proven(endpoint, peer)) is not None:
            self._newcomers.meet(self._side, endpoint, peer, found)

    def _proven(self, endpoint: str, peer: Peer) -> tuple[Rule, Credential] | None:
        if peer.identity is None:
            rule = next(self._newcomers.rules_for("endpoint", endpoint), None)
            return None if rule is None else (rule, NoSec())
        der = self._certificates.get(endpoint)
        if der is not None and (rule := self._rule_of(endpoint, der)) is not None:
            return rule, X509(der if rule.is_pinned else None)
        return self._newcomers.proven_by_key(endpoint)
