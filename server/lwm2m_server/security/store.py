"""``Credentials``: what every device proves itself with; durable, sealed, and in memory for handshakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from lwm2m_engine.errors import SettingsError
from lwm2m_server.security.credentials import (
    SIDES,
    BadCredentials,
    Credential,
    NoSec,
    Oscore,
    Psk,
    Removed,
    Side,
    assemble,
    check,
    identity_of,
    public_part,
    secret_part,
)
from lwm2m_server.security.identities import Known, KnownIdentities
from lwm2m_server.security.shelf import SessionShelf
from lwm2m_server.security.vault import Vault
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device, SealedCredential
from lwm2m_server.store.transaction import Reader, Transaction

T = TypeVar("T")

UNLESS_SAID: Final[Mapping[Side, Credential]] = {"management": NoSec(), "bootstrap": Removed()}
"""What holds for a device that has no row: a node without a key registers without security, as the
Device-to-Cloud API has it, and does not bootstrap."""

_log = structlog.get_logger(__name__)


class Credentials:
    """Of all devices of the installation. Belongs to the event loop, ``write`` and ``psk`` excepted.

    Raises ``SettingsError`` if the ledger's secrets were sealed with another key.
    """

    def __init__(self, ledger: Ledger, vault: Vault, names: Callable[[bytes], Iterable[str]]) -> None:
        self._reader, self._vault = ledger.reader, vault
        self._known = {side: KnownIdentities(self._unsealer(side), names) for side in SIDES}
        self._closers: dict[Side, list[Callable[[str], object]]] = {side: [] for side in SIDES}
        ledger.run(self._seal_clear)
        self._load()

    def identities(self, side: Side) -> KnownIdentities:
        """What the DTLS and OSCORE layers of that server ask."""
        return self._known[side]

    @property
    def vault(self) -> Vault:
        """What other secrets of the installation are sealed with, too."""
        return self._vault

    def shelf(self, folder: Path) -> SessionShelf:
        """Where DTLS sessions of devices are kept, sealed with the same key."""
        return SessionShelf(folder, self._vault, self._known["management"])

    def on_change(self, side: Side, close: Callable[[str], object]) -> None:
        """``close(endpoint)`` is called when the credentials of a device are others, or gone."""
        self._closers[side].append(close)

    # --- reading -------------------------------------------------------------------------------------

    def row(self, node: int, side: Side) -> SealedCredential | None:
        """Without the secret, as far as it is stored."""
        return self._reader.credential(node, side)

    def find(self, node: int, side: Side) -> Credential:
        """With the secret: for who speaks to the device, never for who asks about it."""
        row = self._reader.credential(node, side)
        return UNLESS_SAID[side] if row is None else self._opened(row)

    # --- writing -------------------------------------------------------------------------------------

    def write(
        self,
        transaction: Transaction,
        device: Device,
        side: Side,
        credential: Credential,
        endpoint: str | None = None,
    ) -> None:
        """Inside a commit that ``kept`` follows. ``endpoint`` is the name they are for, if it is not to be
        found out. Raises ``BadCredentials``, ``Conflict``, ``Gone``."""
        self._put(transaction, device, side, check(credential), endpoint)

    def seal(self, secret: str, about: bytes) -> bytes:
        """A secret that is to become a credential later, and lies in the ledger until then."""
        return self._vault.seal(secret.encode(), about)

    def open(self, sealed: bytes, about: bytes) -> str:
        """Raises ``SettingsError``."""
        return self._vault.open(sealed, about).decode()

    def _put(
        self,
        transaction: Transaction,
        device: Device,
        side: Side,
        credential: Credential,
        endpoint: str | None,
    ) -> None:
        if credential == UNLESS_SAID[side]:
            transaction.remove_credential(device.node, side)
            return
        secret = secret_part(credential)
        row = SealedCredential(
            device.node,
            side,
            credential.mode,
            None if isinstance(credential, Removed) else endpoint or _endpoint(transaction, device),
            identity_of(credential),
            public_part(credential),
            None if secret is None else self._vault.seal(secret, _about(device.node, side)),
        )
        transaction.put_credential(row)

    def change_psk(self, transaction: Transaction, device: Device, changes: Mapping[str, Any]) -> None:
        """The members ``identity`` and ``key`` of the management PSK; ``None`` removes one. Not mentioned,
        it stays. With neither left the device needs none. Raises as ``write``."""
        row = transaction.credential(device.node, "management")
        stored = self._opened(row) if row is not None and row.mode == "psk" else Psk(None, None)
        if not isinstance(stored, Psk):
            raise BadCredentials("the stored pre-shared key is none")
        psk = Psk(changes.get("identity", stored.psk_identity), changes.get("key", stored.text))
        wished: Credential = NoSec() if psk == Psk(None, None) else psk
        named = row.endpoint if row is not None else None
        self.write(transaction, device, "management", wished, named)

    async def kept(self, node: int, commit: Coroutine[Any, Any, T], *, proven: bool = False) -> T:
        """Await a commit that wrote credentials of a node, or removed it, and act on what holds now, even
        if nobody awaits it any more. Sessions that a device has ``proven`` these credentials in go on."""
        task = asyncio.ensure_future(commit)
        for known in self._known.values():
            known.changing.add(node)
        task.add_done_callback(partial(self._follow, node, proven))
        return await asyncio.shield(task)

    def _follow(self, node: int, proven: bool, commit: asyncio.Future[Any]) -> None:
        for known in self._known.values():
            known.changing.discard(node)
        if not commit.cancelled() and commit.exception() is None:
            self._renew(node, proven)

    def _renew(self, node: int, proven: bool) -> None:
        """Bring what is in memory to what is durable; sessions that rest on other credentials are closed."""
        rows = {row.side: row for row in self._reader.credentials_of(node)}
        for side, known in self._known.items():
            before = known.of_node(node)
            row = rows.get(side)
            after = None if row is None else Known.of(row)
            if before == after:
                continue
            known.drop(node)
            if after is not None:
                known.put(after)
            ended = {one.endpoint for one in (before, after) if one is not None and one.endpoint is not None}
            for endpoint in () if proven else ended:
                # Under the new name there may be a device that came by a rule, with what that lets it prove.
                for close in self._closers[side]:
                    close(endpoint)

    # --- at start ------------------------------------------------------------------------------------

    def _load(self) -> None:
        tried = False
        for row in self._reader.credentials():
            if row.sealed is not None and not tried:
                self._try_key(row)
                tried = True
            for side in SIDES:
                if side == row.side:
                    self._known[side].put(Known.of(row))

    def _try_key(self, row: SealedCredential) -> None:
        try:
            self._opened(row)
        except SettingsError as error:
            place = self._vault.place
            raise SettingsError(
                f"credentials.key_file: {place} is not the key that the credentials in the ledger were "
                "sealed with; restore that file from where you keep it"
            ) from error

    def _seal_clear(self, transaction: Transaction) -> None:
        """Ledgers of versions before 6 had secrets in clear."""
        clear = transaction.take_unsealed()
        for node, secret in clear:
            device = transaction.device(node)
            row = transaction.credential(node, "management")
            if device is not None and row is not None:
                psk = Psk(row.public["identity"], secret)
                self._put(transaction, device, "management", psk, row.endpoint)
        if clear:
            _log.warning(
                "pre-shared keys were in clear in the ledger and are sealed now; delete its copy of before",
                count=len(clear),
                copy="ledger.v5.db or older",
            )

    # --- sealing -------------------------------------------------------------------------------------

    def _opened(self, row: SealedCredential) -> Credential:
        secret = None if row.sealed is None else self._vault.open(row.sealed, _about(row.node, row.side))
        return assemble(row.mode, row.public, secret)

    def _unsealer(self, side: Side) -> Callable[[Known], Psk | Oscore]:
        def unseal(known: Known) -> Psk | Oscore:
            if known.mode == "psk" and known.sealed is not None and known.identity is not None:
                text = self._vault.open(known.sealed, _about(known.node, side)).decode()
                return Psk(known.identity.decode(), text)
            found = self.find(known.node, side)
            if not isinstance(found, Psk | Oscore):
                raise BadCredentials("the credentials have changed")
            return found

        return unseal


def _endpoint(reader: Reader, device: Device) -> str:
    """The name a device goes by: the one it registered with, else its own or, if that leads to another
    tenant's device, its node id."""
    if device.endpoint is not None:
        return device.endpoint
    for name in (device.name, device.node_id):
        if name is not None:
            other = reader.device_of_endpoint(name)
            if other is not None and other.node == device.node:
                return name
    raise Conflict(f"the endpoint name of {device.name} is taken; say which one its credentials are for")


def _about(node: int, side: str) -> bytes:
    return f"{node}/{side}".encode()
