"""The bootstrap server of LwM2M as a pure state machine, and configurations as data."""

from lwm2m_engine.bootstrap.config import BootstrapConfig
from lwm2m_engine.bootstrap.core import Bootstrap, Configs
from lwm2m_engine.bootstrap.settings import BootstrapSettings
from lwm2m_engine.bootstrap.step import Step

__all__ = ["Bootstrap", "BootstrapConfig", "BootstrapSettings", "Configs", "Step"]
