"""``ProfiledConfigs``: what a device is given that no template is for, by its device profile."""

from __future__ import annotations

from lwm2m_server.bootstrap.profiles import document_of_profile
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.security.material import Material
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.records import BootstrapTemplate, Device
from lwm2m_server.store.transaction import Reader


class ProfiledConfigs:
    """The servers are those of the profile; the credentials of the device say how it proves itself to them.

    Worked out anew for each device and each time.
    """

    def __init__(self, profiles: Profiles, material: Material, reader: Reader) -> None:
        self._profiles, self._material, self._reader = profiles, material, reader

    def __call__(self, endpoint: str) -> BootstrapTemplate | None:
        """``None`` if its profile names no LwM2M server. Raises an ``ExceptionGroup`` of
        ``ValueRejected``."""
        device = self._reader.device_of_endpoint(endpoint)
        profile = None if device is None else self._profiles.of(device)
        if profile is None or not has_servers(profile):
            return None
        return self.template(profile, endpoint, device)

    def template(self, profile: DeviceProfile, endpoint: str, device: Device | None) -> BootstrapTemplate:
        """Without device, for one that has no credentials yet. Raises as above."""
        credentials = None if device is None else self._material.of(device)
        document = document_of_profile(profile.document["transportConfiguration"], credentials)
        return BootstrapTemplate(profile.tenant or "", profile.name, (endpoint,), document)


def has_servers(profile: DeviceProfile) -> bool:
    """Whether there is a LwM2M server that devices are told of."""
    servers = profile.document["transportConfiguration"]["bootstrap"]
    return any(not server["bootstrapServerIs"] for server in servers)
