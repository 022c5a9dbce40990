"""What events make of an RPC, as writes: in the transaction in which the rest of the event is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from lwm2m_server.rpc.methods import REPEATABLE
from lwm2m_server.settings import RpcSettings
from lwm2m_server.store.rpc import Rpc, State
from lwm2m_server.store.transaction import Transaction

Write: TypeAlias = Callable[[Transaction], object]


def moved(id: int, state: State, at: float) -> Write:
    """It is on its way, or waits again."""

    def move(write: Transaction) -> None:
        rpc = write.rpc(id)
        if rpc is not None and rpc.waits:
            sent_at = at if state == "SENT" else rpc.sent_at
            write.put_rpc(attrs.evolve(rpc, state=state, sent_at=sent_at))

    return move


def noted(id: int, note: str) -> Write:
    """Something to know of it besides its outcome."""

    def put(write: Transaction) -> None:
        rpc = write.rpc(id)
        if rpc is not None and rpc.waits:
            write.put_rpc(attrs.evolve(rpc, notes=(*rpc.notes, note)))

    return put


def concluded(
    id: int, message: int, state: State, result: Mapping[str, Any], at: float, settings: RpcSettings
) -> Write:
    """One of its messages has an outcome; with the last one the RPC has, or is sent again later."""

    def conclude(write: Transaction) -> None:
        write.remove_errand(message)
        rpc = write.rpc(id)
        if rpc is None or not rpc.waits:
            return
        rpc = attrs.evolve(rpc, result=merged(rpc.result, result))
        if write.errands_of(id):
            write.put_rpc(rpc)
        else:
            end(write, rpc, state, at, settings)

    return conclude


def end(write: Transaction, rpc: Rpc, state: State, at: float, settings: RpcSettings) -> None:
    """It has an outcome, unless it may be tried again."""
    retry_at = at + pause(rpc.attempts, settings)
    if state == "TIMEOUT" and rpc.retries and rpc.method in REPEATABLE and retry_at < rpc.expires_at:
        write.put_rpc(attrs.evolve(rpc, state="QUEUED", retries=rpc.retries - 1, retry_at=retry_at))
        return
    write.put_rpc(attrs.evolve(rpc, state=state, retry_at=None, finished_at=at))
    write.prune_rpcs(rpc.node, settings.keep)


def pause(attempts: int, settings: RpcSettings) -> float:
    """Seconds until the next attempt: each time twice as many."""
    return float(min(settings.first_retry * 2.0 ** min(attempts - 1, 30), settings.longest_retry))


def merged(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Several cancels are one number; of what went wrong, the first stands for all."""
    numbers = [one.get("value") for one in (known, new)]
    found = {**new, **known} if "error" in known else {**known, **new}
    if all(isinstance(number, int) for number in numbers):
        found["value"] = sum(number for number in numbers if number is not None)
    return found
