"""AEs: who speaks to the API (TS-0004, 7.4.5)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.resources import check_owned
from lwm2m_server.onem2m.checks import Draft, check_name, require
from lwm2m_server.onem2m.errors import AlreadyRegistered, BadRequest, NameTaken, NotFound
from lwm2m_server.onem2m.origins import ADMIN, GROUPS, PLATFORM
from lwm2m_server.onem2m.tree import RELEASES, Target, as_resource
from lwm2m_server.sinks.headers import BadHeader, read_headers
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.records import Application, Resource


async def create_application(
    context: Context, target: Target, draft: Draft, originator: str | None
) -> Resource:
    """``originator`` becomes the AE-ID; none, or a bare ``C``, gets one made up.

    Raises ``AlreadyRegistered``, ``NameTaken``.
    """
    require(draft)
    tenant, attributes = target.tenant, draft.attributes
    api = attributes.pop("api")
    if not (api.startswith(("N", "R")) and len(api) > 1):
        raise BadRequest(f"api (App-ID) begins with N, or with R if it is registered, not {api[:40]!r}")
    _check_headers(attributes.get("poah"))
    id = context.ids.next()
    aei = originator if originator not in (None, "", "C") else f"C{id:x}"
    if aei in (ADMIN, PLATFORM, GROUPS) or context.inventory.application_by_aei(tenant.name, aei) is not None:
        raise AlreadyRegistered(f"{aei} is registered already; an AE is created with its own X-M2M-Origin")
    name = check_name(draft.take_name() or aei[1:])
    attributes.setdefault("rr", True)
    attributes.setdefault("srv", [RELEASES[-1]])
    application = Application(id, tenant.name, name, api, aei, attributes, id)
    with context.reserve(tenant.name, name):
        if context.reader.child(tenant.id, name) is not None:
            raise NameTaken(f"the name {name!r} is taken")
        await context.inventory.put_application(application)
    context.routes.arrived(tenant.name, name)
    return as_resource(application, tenant)


async def update_application(context: Context, target: Target, draft: Draft) -> Resource:
    application = _application(context, target)
    _check_headers(draft.attributes.get("poah"))
    attributes = {**application.attributes, **draft.attributes}
    changed = attrs.evolve(
        application,
        attributes={name: value for name, value in attributes.items() if value is not None},
        modified=now(),
    )
    await context.inventory.put_application(changed)
    return as_resource(changed, target.tenant)


async def delete_application(context: Context, target: Target) -> None:
    """With all below it, which lies in the ledger and is doomed before the application is gone, and what
    device groups sent to it."""
    application = _there_or_over(context, target)
    await context.devices.change(lambda transaction: transaction.doom(application.id))
    try:
        await context.inventory.remove_application(application.id)
    except CommitFailed:
        await context.devices.change(lambda transaction: transaction.spare(application.id))
        raise
    await context.devices.change(lambda transaction: context.notices.deleted(transaction, target.what))
    await context.routes.left(target.tenant, application)


def _check_headers(lines: Sequence[str] | None) -> None:
    """Raises ``BadRequest`` for what no webhook can be sent."""
    try:
        read_headers(lines or ())
    except BadHeader as error:
        raise BadRequest(f"poah: {error}") from error


def _application(context: Context, target: Target) -> Application:
    """Raises ``NotAllowed`` for the platform's own, ``NotFound``."""
    check_owned(target)
    found = context.inventory.application_by_id(target.what.id)
    if found is None:
        raise NotFound(f"{target.what.name} was removed meanwhile")
    return found


def _there_or_over(context: Context, target: Target) -> Application:
    """The same; one that is over is there to be removed."""
    over = (one for one in context.inventory.expired_applications() if one.id == target.what.id)
    return next(over, None) or _application(context, target)
