"""What the server could not do: store facts, deliver notifications, bring devices to what they shall be."""

from __future__ import annotations

import attrs

from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import Problems
from lwm2m_server.problems.subjects import Subjects
from lwm2m_server.store.desired import DesiredValue
from lwm2m_server.store.outbox import FULL
from lwm2m_server.store.records import Lane


@attrs.frozen
class Services:
    """Each method hears one part of the server."""

    problems: Problems
    subjects: Subjects

    def commit(self, reason: str) -> None:
        self.problems.note(kinds.LEDGER, f"facts could not be stored: {reason}", error=reason)

    def target(self, lane: Lane, target: str, reason: str, dead: int) -> None:
        """``target`` is that of the lane, to be shown."""
        are = "notification for {} is a dead letter" if dead == 1 else "notifications for {} are dead letters"
        what = f"{dead} {are.format(target)}" if dead else None
        self.problems.note(
            kinds.DELIVERY,
            f"{what or f'{target} takes no notifications'}: {reason}",
            tenant=lane.tenant,
            same=f"{target} {'full' if reason is FULL else 'dead' if dead else 'waits'}",
            by=target,
            target=target,
            dead=dead or None,
            reason="full" if reason is FULL else None,
            error=reason,
        )

    def dropped(self, count: int) -> None:
        """Dead letters of any tenant: the oldest go."""
        are = "dead letter is" if count == 1 else "dead letters are"
        self.problems.note(
            kinds.DELIVERY,
            f"{count} {are} gone, for there were too many",
            same="dropped",
            dropped=count,
            reason="dropped",
        )

    def desired(self, node: int, value: DesiredValue, reason: str) -> None:
        whose = self.subjects.of(node)
        if whose is None:
            return
        self.problems.note(
            kinds.DESIRED,
            f"{value.path} is not what it shall be: {reason}",
            tenant=whose.tenant,
            same=value.path,
            node=node,
            device=whose.name,
            path=value.path,
            value=value.value,
            error=reason,
        )
