"""``Provisioning``: keys of devices between the bootstrap server and the credentials store."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import structlog

from lwm2m_engine.bootstrap import BootstrapConfig
from lwm2m_engine.bootstrap.checks import PSK
from lwm2m_engine.bootstrap.config import accounts, values_of
from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.errors import RequestError
from lwm2m_server.bootstrap.keys import Keys
from lwm2m_server.security.admission import Admission
from lwm2m_server.security.credentials import SIDES, BadCredentials, Credential, Psk, Rpk
from lwm2m_server.security.material import MANAGING, Material, credential_of
from lwm2m_server.security.store import Credentials
from lwm2m_server.store.errors import CommitFailed, Conflict, Gone
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader, Transaction

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Change(Protocol):
    """Commits what concerns no device's queue."""

    def __call__(self, store: Callable[[Transaction], T], /) -> Awaitable[T]: ...


class Provisioning:
    """What a template calls ``management`` or ``bootstrap`` is the pre-shared key in the credentials of the
    device. Where there is none it is made, and that of the management side goes into them with the bootstrap:
    so the device can register with it."""

    def __init__(
        self, keys: Keys, credentials: Credentials, material: Material, reader: Reader, change: Change
    ) -> None:
        self._keys, self._credentials, self._material = keys, credentials, material
        self.admission = Admission(credentials.identities("bootstrap"))
        self._reader, self._change = reader, change
        self._tasks: set[asyncio.Task[Any]] = set()

    def key(self, endpoint: str, name: str) -> bytes:
        """The key of a client by the name a template has for it."""
        device = self._reader.device_of_endpoint(endpoint)
        for side in SIDES:
            if side == name and device is not None:
                pending = self._pending(device)
                if side == "management" and isinstance(pending, Psk) and pending.key is not None:
                    return pending.key
                found = self._credentials.find(device.node, side)
                if isinstance(found, Psk) and found.key is not None:
                    return found.key
        return self._keys.key(endpoint, name)

    def admit(self, endpoint: str, peer: Peer) -> None:
        """Whether the client proved what its credentials for bootstrap ask for.

        Raises ``RequestError``: 4.00, whatever is wrong (6.1.7.1); 5.03 in the moment they change.
        """
        device = self._reader.device_of_endpoint(endpoint)
        try:
            self.admission.check(endpoint, device.node if device is not None else None, peer)
        except RequestError as refusal:
            code = Code.BAD_REQUEST if refusal.code == Code.FORBIDDEN else refusal.code
            raise RequestError(code, refusal.reason) from refusal

    def __call__(self, endpoint: str, config: BootstrapConfig) -> None:
        """The client has been given ``config``: what was made for it is to be believed from now on."""
        given = {key: identity for identity, key in _pre_shared(config)}
        made = self._keys.key(endpoint, "management")
        device = self._reader.device_of_endpoint(endpoint)
        if device is None:
            if made in given:
                hint = "lwm2m devices add NAME, and have it bootstrap again"
                _log.warning(
                    "a key was given to a device that is not known here", endpoint=endpoint, hint=hint
                )
            return
        pending = self._pending(device)
        if pending is not None and _is_given(pending, config):
            self._begin(self._store(endpoint, device, pending))
            return
        found = self._credentials.find(device.node, "management")
        if isinstance(found, Psk) and given.get(found.key or b"", found.psk_identity) != found.psk_identity:
            _log.warning("a device was given its key with another PSK identity", endpoint=endpoint)
        elif made in given and self._credentials.row(device.node, "management") is None:
            self._begin(self._store(endpoint, device, Psk(given[made], _base64(made))))

    def _pending(self, device: Device) -> Credential | None:
        """What the device is to prove itself with once bootstrap has given it that."""
        section = self._material.stored(self._reader, device.node).get(MANAGING)
        return None if section is None else credential_of(section)

    def _begin(self, storing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(storing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, endpoint: str, device: Device, credential: Credential) -> None:
        def write(transaction: Transaction) -> None:
            self._credentials.write(transaction, device, "management", credential, endpoint)
            if isinstance(credential, Psk):
                # Its credentials say all of it; of other modes the private key is nowhere else.
                self._material.taken(transaction, device.node, MANAGING)

        async def commit() -> None:
            await self._change(write)

        try:
            await self._credentials.kept(device.node, commit())
        except (BadCredentials, CommitFailed, Conflict, Gone) as error:
            _log.error("the key a device was given is not stored", endpoint=endpoint, reason=str(error))

    async def finish(self) -> None:
        """Wait for what is being stored."""
        await asyncio.gather(*self._tasks)


def _pre_shared(config: BootstrapConfig) -> Iterator[tuple[str, bytes]]:
    """Identity and key of the accounts of LwM2M servers."""
    for account in accounts(config.writes):
        values = values_of(account.write.entries)
        identity, key = values.get(3), values.get(5)
        pre_shared = values.get(2) == PSK and not account.is_bootstrap
        if pre_shared and isinstance(identity, bytes) and isinstance(key, bytes):
            yield identity.decode("utf-8", "replace"), key


def _is_given(credential: Credential, config: BootstrapConfig) -> bool:
    """Whether an account of a LwM2M server has it."""
    if isinstance(credential, Psk):
        return (credential.psk_identity, credential.key) in list(_pre_shared(config))
    der = credential.public_key if isinstance(credential, Rpk) else getattr(credential, "certificate", None)
    written = [values_of(one.write.entries) for one in accounts(config.writes) if not one.is_bootstrap]
    return der is not None and any(values.get(3) == der for values in written)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
