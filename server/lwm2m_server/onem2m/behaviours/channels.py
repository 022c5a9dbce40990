"""Polling channels: through them an AE that cannot be reached gets its notifications (TS-0004, 7.4.20)."""

from __future__ import annotations

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import add, drafted
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.errors import NoPrivilege
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Transaction

POLLING_CHANNEL = 15


async def create_channel(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``NoPrivilege`` for all but the AE itself, ``Conflict`` if it has one."""
    application = target.resource
    if originator != application.attributes["aei"]:
        raise NoPrivilege(f"a polling channel is made by its AE, {application.attributes['aei']}")

    def check(transaction: Transaction) -> None:
        if transaction.children(application.id, types=(POLLING_CHANNEL,), limit=1):
            raise Conflict(f"{application.name} has a polling channel")

    return await add(context, target, drafted(context, target, draft, originator), check)
