"""Open what lets devices in: the office, the rules for newcomers, and what bootstrap gives to each."""

from __future__ import annotations

import attrs

from lwm2m_server.enrolment.batches import Batches
from lwm2m_server.enrolment.devices import DeviceOffice
from lwm2m_server.enrolment.importing import Imports
from lwm2m_server.enrolment.newcomers import Newcomers
from lwm2m_server.enrolment.showing import Showing
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.security.admission import Admission
from lwm2m_server.security.credentials import Side
from lwm2m_server.security.material import Material


@attrs.frozen
class EnrolmentParts:
    """What is about devices coming into being."""

    context: Context
    office: DeviceOffice
    showing: Showing
    material: Material
    batches: Batches
    newcomers: Newcomers
    imports: Imports

    def attend(self, side: Side, admission: Admission) -> None:
        """Newcomers may come to this server from now on."""
        stage = self.newcomers.side(side)
        self.context.credentials.identities(side).strangers = stage
        admission.meeting = stage

    async def close(self) -> None:
        await self.imports.close()
        await self.newcomers.close()


def open_enrolment(context: Context, profiles: Profiles) -> EnrolmentParts:
    material = Material(context.reader, context.credentials)
    office = DeviceOffice(context, material, profiles)
    showing = Showing(context.reader, context.credentials, material)
    batches = Batches(context.credentials.vault)
    newcomers = Newcomers(context.inventory, context.reader, batches, office)
    return EnrolmentParts(context, office, showing, material, batches, newcomers, Imports(office))
