"""The messages in ``outgoing-msg`` that stand for an RPC."""

from __future__ import annotations

from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.rendering import JSON_CONTENT
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Message
from lwm2m_server.store.rpc import Rpc


def waiting(id: int, rpc: Rpc, text: str) -> Message:
    """One that waits as long as the RPC may; its label tells which that is."""
    return Message(
        id,
        NodeIds(rpc.node).outgoing,
        None,
        PLATFORM,
        0,
        text,
        JSON_CONTENT,
        len(text.encode()),
        labels=(f"rpc:{rpc.name}",),
        deadline=rpc.expires_at,
    )
