"""What is stored of an RPC when it begins."""

from __future__ import annotations

from collections.abc import Iterable

from lwm2m_server.rpc.call import Call
from lwm2m_server.rpc.methods import Plan
from lwm2m_server.store.documents import dumps
from lwm2m_server.store.rpc import Rpc


def begun(id: int, node: int, call: Call, plan: Plan, notes: Iterable[str], at: float, until: float) -> Rpc:
    """It waits, unless its plan tells the outcome already. ``until`` is when it expires if the call leaves
    that open."""
    is_known = plan.known is not None
    return Rpc(
        id,
        node,
        call.method,
        "SUCCESSFUL" if is_known else "QUEUED",
        call.params,
        call.persistent,
        call.one_way,
        until if call.expires_at is None else call.expires_at,
        call.retries,
        messages=tuple(map(dumps, plan.messages)),
        info=call.info,
        notes=tuple(notes),
        result=dict(plan.known or {}),
        finished_at=at if is_known else None,
    )
