"""``Rows``: messages and lines about devices, as writes into their containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import structlog

from lwm2m_server.onem2m import content
from lwm2m_server.onem2m.answers import Answers
from lwm2m_server.onem2m.behaviours.nodes import RECEIVED
from lwm2m_server.onem2m.happenings import record
from lwm2m_server.onem2m.notify.notices import Notices
from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE, JSON_CONTENT
from lwm2m_server.store.errors import ContainerFull
from lwm2m_server.store.ids import Ids, NodeIds, ResourceIds
from lwm2m_server.store.records import DeviceRef, Message
from lwm2m_server.store.transaction import Transaction

Write: TypeAlias = Callable[[Transaction], object]

_log = structlog.get_logger(__name__)


class Rows:
    """Worked out when they are asked for; the write runs later."""

    def __init__(
        self, ids: Ids, resource_ids: ResourceIds, notices: Notices, answers: Answers | None = None
    ) -> None:
        """``answers`` hears which row is the answer to a message."""
        self._ids, self._resource_ids, self._notices, self._answers = ids, resource_ids, notices, answers

    def request_id(self, message: int | None) -> str | None:
        return self._resource_ids.ri(message, CONTENT_INSTANCE) if message is not None else None

    def line(self, device: DeviceRef, at: float, name: str, text: str = "") -> Write:
        body = content.log(device.name, at, name, content.clean(text))
        message = self._message(NodeIds(device.node).logs, body)
        note = record(device, name, body)
        return lambda write: self._keep(write, message, device, note)

    def add(
        self, device: DeviceRef, at: float, box: str, kind: str, body: str, answered: int | None = None
    ) -> Write:
        """Into ``received-msg`` or ``error-msg``; what its limits do not allow leaves a line in ``logs``."""
        own = NodeIds(device.node)
        message = self._message(own.received if box == RECEIVED else own.errors, body)
        note = record(device, kind, body)
        if answered is not None and self._answers is not None:
            self._answers.planned(answered, message.id)

        def add(write: Transaction) -> None:
            write.note_event(note)
            try:
                self._notices.add(write, message)
            except ContainerFull as error:
                self.refuse(write, error, device, at, box)

        return add

    def refuse(
        self, write: Transaction, error: ContainerFull, device: DeviceRef, at: float, box: str
    ) -> None:
        """Hardly ever called: the line has its id when it is."""
        _log.warning("a container takes no more", endpoint=device.endpoint, container=box, reason=str(error))
        body = content.log(device.name, at, "warning", f"{box} takes no more: {error}")
        message = self._message(NodeIds(device.node).logs, body)
        self._keep(write, message, device, record(device, "warning", body))

    def _keep(self, write: Transaction, message: Message, device: DeviceRef, note: str) -> None:
        """A line into ``logs``; where that is full the server's own log is what is left."""
        write.note_event(note)
        try:
            self._notices.add(write, message)
        except ContainerFull as error:
            _log.warning(
                "the container logs takes no more",
                device=device.name,
                reason=str(error),
                line=message.content,
            )

    def _message(self, container: int, body: str) -> Message:
        size = len(body) if body.isascii() else len(body.encode("utf-8"))
        return Message(self._ids.next(), container, None, PLATFORM, 0, body, JSON_CONTENT, size)


def together(*writes: Write) -> Write:
    def run(transaction: Transaction) -> None:
        for write in writes:
            write(transaction)

    return run
