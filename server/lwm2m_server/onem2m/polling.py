"""``pcu`` of a polling channel: an AE asks there for what it is to be told (TS-0004, 7.4.21)."""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from lwm2m_server.onem2m.behaviours.channels import POLLING_CHANNEL
from lwm2m_server.onem2m.errors import BadRequest, Expired, NoPrivilege, NotAcceptable, NotAllowed, NotFound
from lwm2m_server.onem2m.primitives import OK, Answer, Primitive
from lwm2m_server.onem2m.privileges import Privileges
from lwm2m_server.onem2m.tree import RELEASES
from lwm2m_server.sinks.polling import MOST, Channels, TooManyPolls
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Notice

POLLING: Final = "pcu"
PATIENCE: Final = 30.0
"""Seconds an AE waits if it does not say how long (``X-M2M-RET``) …"""
LONGEST: Final = 300.0
"""… and at most."""
_NOTIFY: Final = 5


class Polling:
    """Answers at every ``pcu``."""

    def __init__(self, channels: Channels, inventory: Inventory, privileges: Privileges) -> None:
        self._channels, self._inventory, self._privileges = channels, inventory, privileges

    async def answer(self, request: Primitive) -> Answer:
        """A RETRIEVE fetches the next notification, a NOTIFY (POST without ``ty``) says that it has come.

        Raises ``OneM2MError``: ``Expired`` when there is none for as long as the AE waits.
        """
        tenant, aei = self._owner(request)
        if request.operation == "retrieve":
            return await self._fetch(request, tenant, aei)
        if request.operation != "create" or request.ty is not None:
            raise NotAllowed(f"{POLLING} can be retrieved, and be told what has come (POST without ty)")
        notice, refusal = _response(request.body)
        if not self._channels.confirm(tenant, aei, notice, refusal):
            raise BadRequest(f"nothing of rqi {notice:x} was fetched lately")
        return Answer(OK)

    def _owner(self, request: Primitive) -> tuple[str, str]:
        """Tenant and AE-ID. Raises ``NoPrivilege`` for everybody else."""
        address = attrs.evolve(request.address, names=request.address.names[:-1])
        target = self._privileges.target(attrs.evolve(request, address=address))
        originator = self._privileges.originator(request, target)
        if target.resource.type != POLLING_CHANNEL:
            raise NotFound(f"{target.what.name} is no polling channel and has no {POLLING}")
        owner = self._inventory.application_by_id(target.resource.parent)
        if owner is None or owner.aei != originator:
            raise NoPrivilege("a polling channel serves its own AE")
        return target.tenant.name, owner.aei

    async def _fetch(self, request: Primitive, tenant: str, aei: str) -> Answer:
        seconds = PATIENCE if request.expires_in is None else min(request.expires_in, LONGEST)
        try:
            notice = await self._channels.poll(tenant, aei, seconds)
        except TimeoutError:
            raise Expired(f"nothing was to be told for {seconds:g} s") from None
        except TooManyPolls:
            raise NotAcceptable(f"{MOST} requests wait at this channel already") from None
        return Answer(OK, {"m2m:rqp": _notification(notice, tenant, aei)})


def _notification(notice: Notice, tenant: str, aei: str) -> dict[str, Any]:
    """The request the AE would have got."""
    return {
        "op": _NOTIFY,
        "to": aei,
        "fr": f"/{tenant}",
        "rqi": f"{notice.id:x}",
        "rvi": RELEASES[-1],
        "pc": orjson.Fragment(notice.body),
    }


def _response(body: object) -> tuple[int, str | None]:
    """What an AE says to a notification: which, and why not if it did not take it. Raises ``BadRequest``."""
    response = body.get("m2m:rsp") if isinstance(body, dict) else None
    if isinstance(response, dict):
        rqi, rsc = response.get("rqi"), response.get("rsc", OK)
        if isinstance(rqi, str) and isinstance(rsc, int) and 0 < len(rqi) <= 16:
            try:
                return int(rqi, 16), None if rsc // 1000 == 2 else f"the application answered {rsc}"
            except ValueError:
                pass
    raise BadRequest('the body is {"m2m:rsp": {"rqi": "<that of the request fetched>", "rsc": 2000}}')
