"""``Outlets``: what whoever subscribes wants to know of targets, before anything is sent there."""

from __future__ import annotations

import time
from collections.abc import Mapping

import attrs

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.addresses import open_guard
from lwm2m_server.sinks.kafka import KafkaSinks
from lwm2m_server.sinks.kinds import KAFKA, MQTT, POLLING_CHANNEL, WEBHOOK
from lwm2m_server.sinks.mqtt import MqttSinks
from lwm2m_server.sinks.polling import Channels
from lwm2m_server.sinks.protocols import Endpoint, SinkFactory
from lwm2m_server.sinks.targets import NoSuchTarget, Targets
from lwm2m_server.sinks.webhook import WebHooks
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Inventory, Ledger


@attrs.frozen(slots=True)
class Outlets:
    """Belongs to the event loop."""

    targets: Targets
    webhooks: WebHooks
    channels: Channels
    brokers: Mapping[str, SinkFactory]
    """Kinds of them."""

    @property
    def factories(self) -> dict[str, SinkFactory]:
        """What makes the sinks, by ``EndpointType``."""
        return {WEBHOOK: self.webhooks, POLLING_CHANNEL: self.channels, **self.brokers}

    def check(self, tenant: str, target: str) -> None:
        """Raises ``NoSuchTarget`` if there is no such application."""
        if self.targets.application(tenant, target) is None:
            raise NoSuchTarget(f"there is no application {target}")

    async def close(self) -> None:
        await self.webhooks.close()

    async def verify(self, tenant: str, url: str, question: str) -> None:
        """Raises ``Retry`` and ``Refused`` if it does not want notices, or cannot be asked."""
        sink = self.webhooks(Endpoint(tenant, WEBHOOK, (url,)))
        await sink.post(f"{int(time.time() * SECOND):x}", question.encode())


def open_outlets(ledger: Ledger, inventory: Inventory, settings: DeliverySettings) -> Outlets:
    """Raises ``SettingsError``."""
    guard = open_guard(settings)
    brokers: dict[str, SinkFactory] = {
        MQTT: MqttSinks(settings, guard, ledger.installation),
        KAFKA: KafkaSinks(settings, guard),
    }
    return Outlets(Targets(inventory, ledger.installation), WebHooks(settings), Channels(), brokers)
