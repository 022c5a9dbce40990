"""oneM2M's actionStatus (TS-0004, 6.3.5): which action it is about, and how it goes."""

from __future__ import annotations

from collections.abc import Callable

from lwm2m_engine.mapping.managed import AttributeValue, Outcome

UNINITIALIZED, SUCCESSFUL, FAILURE, IN_PROCESS = range(4)


def action_status(action: str, status: int) -> AttributeValue:
    return {"acn": action, "sus": status}


def telling(action: str, *, done: int | None = None) -> Callable[[Outcome], AttributeValue | None]:
    """For ``Action.tell``. ``done`` is the status of what the device accepted; without it the device's values
    tell what came of it."""
    statuses = {
        Outcome.PENDING: IN_PROCESS,
        Outcome.DONE: done,
        Outcome.FAILED: FAILURE,
        Outcome.CANCELLED: UNINITIALIZED,
    }

    def tell(outcome: Outcome) -> AttributeValue | None:
        status = statuses[outcome]
        return None if status is None else action_status(action, status)

    return tell
