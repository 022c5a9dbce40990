"""One connection to an MQTT broker. Imported where there is something to deliver: it needs aiomqtt."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE: Final = 30
"""Seconds."""
IN_FLIGHT: Final = 20
"""Messages without an acknowledgement at a time; more wait their turn."""
FAREWELL: Final = 1.0
"""Seconds for the broker to hear that the connection ends."""
HEAD: Final = 9
"""Bytes of a packet beside topic, payload and properties, at most (MQTT 5, 3.3)."""

MqttError: Final = aiomqtt.MqttError

_quiet = logging.getLogger(f"{__name__}.library")
# It says with a traceback what the sink raises.
_quiet.setLevel(logging.CRITICAL)


class Connection(aiomqtt.Client):
    """aiomqtt's client (MQTT 5) over a socket that is connected already, that tells what becomes of messages.

    aiomqtt itself would look a name up and connect where no guard sees it and in a thread of everybody's,
    and passes over reason codes with which a broker says that it has *not* taken a message.
    """

    def __init__(
        self,
        connected: socket.socket,
        identifier: str,
        user: str | None,
        password: str | None,
        seconds: float,
    ) -> None:
        super().__init__(
            "broker",
            identifier=identifier,
            username=user,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE,
            timeout=seconds,
            logger=_quiet,
        )
        self._dialled = connected
        self._client._create_socket = lambda: connected  # type: ignore[method-assign]
        self._largest: int | None = None
        self._under_way: dict[int, asyncio.Future[ReasonCode]] = {}
        self._is_lost = False

    async def open(self) -> None:
        """Raises ``MqttError``, whose text is the broker's reason."""
        try:
            await self.__aenter__()
        except BaseException:
            self.drop()
            raise
        self._disconnected.add_done_callback(self._lost)

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    def takes(self, topic: str, payload: bytes, properties: Properties) -> bool:
        """Whether the broker said that a packet may be as large as that."""
        size = HEAD + len(topic.encode()) + len(payload) + len(properties.pack())  # type: ignore[no-untyped-call]
        return self._largest is None or size <= self._largest

    def send(self, topic: str, payload: bytes, properties: Properties) -> asyncio.Future[ReasonCode]:
        """At QoS 1, behind what was sent before. The future is what the broker says of it, or ``MqttError``
        if that is never known. Raises ``MqttError``, and ``ValueError`` for what is no message."""
        told = self._client.publish(topic, payload, qos=1, properties=properties)
        if told.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(told.rc, "not sent")
        answer = self._under_way[told.mid] = self._loop.create_future()
        return answer

    def drop(self) -> None:
        """At once, and without a word; nothing that was not sent is sent later."""
        self._client._sock_close()
        self._dialled.close()
        self._fail("the connection was given up")

    async def close(self) -> None:
        """Raises nothing: it does not matter any more whether the broker heard it."""
        try:
            with suppress(MqttError, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    if not self._is_lost:
                        await self.__aexit__(None, None, None)
        finally:
            self.drop()

    def _on_connect(
        self,
        client: Any,
        userdata: Any,
        flags: Any,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self._largest = getattr(properties, "MaximumPacketSize", None)
        most = getattr(properties, "ReceiveMaximum", IN_FLIGHT)
        # The public way is for those who know before they are connected.
        self._client._max_inflight_messages = min(IN_FLIGHT, most)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        answer = self._under_way.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)

    def _lost(self, disconnected: asyncio.Future[None]) -> None:
        error = None if disconnected.cancelled() else disconnected.exception()
        self._fail(str(error or "disconnected"))

    def _fail(self, reason: str) -> None:
        self._is_lost = True
        under_way, self._under_way = self._under_way, {}
        for answer in under_way.values():
            if not answer.done():
                answer.set_exception(MqttError(reason))


def properties_of(named: Iterable[tuple[str, str]]) -> Properties:
    """JSON, with user properties."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = "application/json"
    properties.PayloadFormatIndicator = 1
    properties.UserProperty = list(named)
    return properties
