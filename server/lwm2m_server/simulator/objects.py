"""The objects a simulated device has unless it is given others."""

from __future__ import annotations

import time

from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.tree import Instance, Resource, SimulatedObject

LIFETIME = Path((1, 0, 1))
UPDATE_TRIGGER = Path((1, 0, 8))
BOOTSTRAP_TRIGGER = Path((1, 0, 9))
BATTERY_LEVEL = Path((3, 0, 9))


def server_object(lifetime: int, binding: str, short_id: int = 101) -> SimulatedObject:
    """LwM2M Server (1), one account."""
    return SimulatedObject(
        1,
        {
            0: {
                0: Resource(ResourceType.INTEGER, short_id),
                1: Resource(ResourceType.INTEGER, lifetime, "RW"),
                2: Resource(ResourceType.INTEGER, 0, "RW"),
                6: Resource(ResourceType.BOOLEAN, True, "RW"),
                7: Resource(ResourceType.STRING, binding, "RW"),
                8: Resource(ResourceType.NONE, operations="E"),
            }
        },
    )


def device_object() -> SimulatedObject:
    """Device (3): sixteen Resources that can be read."""
    device: Instance = {
        0: Resource(ResourceType.STRING, "My Demo Device"),
        1: Resource(ResourceType.STRING, "Model 500"),
        2: Resource(ResourceType.STRING, "LT-500-000-0001"),
        3: Resource(ResourceType.STRING, "1.0.0"),
        4: Resource(ResourceType.NONE, operations="E"),
        5: Resource(ResourceType.NONE, operations="E"),
        9: Resource(ResourceType.INTEGER, 72),
        10: Resource(ResourceType.INTEGER, 75108),
        11: Resource(ResourceType.INTEGER, {0: 0}),
        12: Resource(ResourceType.NONE, operations="E"),
        13: Resource(ResourceType.TIME, _now, "RW"),
        14: Resource(ResourceType.STRING, "+02", "RW"),
        15: Resource(ResourceType.STRING, "Europe/Berlin", "RW"),
        16: Resource(ResourceType.STRING, "U"),
        17: Resource(ResourceType.STRING, "Demo"),
        18: Resource(ResourceType.STRING, "1.0.1"),
        19: Resource(ResourceType.STRING, "1.0.2"),
        20: Resource(ResourceType.INTEGER, 3),
        21: Resource(ResourceType.INTEGER, 129024),
    }
    return SimulatedObject(3, {0: device})


def location_object() -> SimulatedObject:
    """Location (6)."""
    return SimulatedObject(
        6, {0: {0: Resource(ResourceType.FLOAT, 52.5), 1: Resource(ResourceType.FLOAT, 13.4)}}
    )


def default_objects(lifetime: int, binding: str) -> list[SimulatedObject]:
    return [server_object(lifetime, binding), device_object(), location_object()]


def _now() -> int:
    return int(time.time())
