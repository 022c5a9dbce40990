"""Open what decides who may call: clients, keys that tokens are signed with, the access file, the log."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import structlog

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access.attempts import Attempts
from lwm2m_server.access.audit import Audit
from lwm2m_server.access.authentication import Access
from lwm2m_server.access.clients import Clients
from lwm2m_server.access.grants import Grants, load_grants
from lwm2m_server.access.issuers import IssuerKeys
from lwm2m_server.access.keys import FILE, SigningKeys
from lwm2m_server.access.tokens import LIFETIME, Tokens
from lwm2m_server.settings import Settings
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.watching import watch

_log = structlog.get_logger(__name__)


@attrs.frozen
class AccessControl:
    """The parts, connected."""

    clients: Clients
    attempts: Attempts
    keys: SigningKeys
    tokens: Tokens
    access: Access
    audit: Audit


def open_access(
    settings: Settings, inventory: Inventory, ledger: Ledger, stack: AsyncExitStack
) -> AccessControl:
    """Raises ``SettingsError`` for files that cannot be used. ``stack`` closes everything."""
    file = settings.access.file
    grants = load_grants(file) if file is not None else Grants()
    clients = Clients(inventory)
    stack.callback(clients.close)
    keys = SigningKeys(settings.data / FILE, LIFETIME)
    tokens = Tokens(keys, ledger.installation)
    issuers = IssuerKeys()
    stack.push_async_callback(issuers.close)
    access = Access(clients, tokens, issuers, settings.access, grants)
    audit = Audit(ledger, settings.audit)
    stack.callback(audit.close)
    if file is not None:
        _reread(file, access, stack)
    return AccessControl(clients, Attempts(clients), keys, tokens, access, audit)


def _reread(file: Path, access: Access, stack: AsyncExitStack) -> None:
    """Whenever it changes."""

    async def again() -> None:
        try:
            access.grant(load_grants(file))
        except SettingsError as error:
            # What it said before holds: a slip of the pen must not lock everybody out, nor let anybody in.
            _log.error("the access file is not read again", reason=str(error))
        else:
            _log.info("the access file was read again", file=str(file))

    task = asyncio.get_running_loop().create_task(watch((file,), again), name="access file")
    stack.callback(task.cancel)
