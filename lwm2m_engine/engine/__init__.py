"""The server side of LwM2M as a pure state machine."""

from lwm2m_engine.engine.arrangements import Arrangement, Group
from lwm2m_engine.engine.core import Engine
from lwm2m_engine.engine.hooks import Hooks, Verdict
from lwm2m_engine.engine.records import (
    DeviceRecord,
    Liveness,
    Observation,
    PowerSaving,
    Registration,
    Waiting,
)
from lwm2m_engine.engine.settings import EngineSettings
from lwm2m_engine.engine.step import Abort, Effect, Perform, Step, joined

__all__ = [
    "Abort",
    "Arrangement",
    "DeviceRecord",
    "Effect",
    "Engine",
    "EngineSettings",
    "Group",
    "Hooks",
    "Liveness",
    "Observation",
    "Perform",
    "PowerSaving",
    "Registration",
    "Step",
    "Verdict",
    "Waiting",
    "joined",
]
