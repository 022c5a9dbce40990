"""What the server delivers to without a plugin."""

from __future__ import annotations

WEBHOOK, POLLING_CHANNEL, MQTT, KAFKA = OWN_KINDS = ("WebHook", "PollingChannel", "MQTT", "Kafka")
"""Values of the label ``EndpointType`` of an AE."""
