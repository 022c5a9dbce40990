"""Subscriptions (ty 23): what clients do to them (TS-0004, 7.4.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import add, change, drafted, merged
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.errors import SubscriptionNotVerified
from lwm2m_server.onem2m.names import BY_MGD, type_of_key
from lwm2m_server.onem2m.notify.asked import MOST_TOGETHER, check_attributes, seconds_of
from lwm2m_server.onem2m.notify.criteria import SEND_LATEST
from lwm2m_server.onem2m.tree import Target, base
from lwm2m_server.sinks.bundler import Bundling
from lwm2m_server.sinks.protocols import Refused, Retry
from lwm2m_server.sinks.targets import is_url, masked
from lwm2m_server.store.records import Resource

BATCH_SECONDS: Final = 60.0
"""How long the first notice of a batch waits where the subscription does not say."""


async def create_subscription(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``SubscriptionNotVerified`` for a target that there is not, or that does not want it."""
    subscription = drafted(context, target, draft, originator)
    asked = check_attributes(subscription.attributes, _children(target.resource))
    subscription = attrs.evolve(subscription, attributes=asked)
    await _verify(context, subscription, asked["nu"])
    return await add(context, target, subscription)


async def update_subscription(context: Context, target: Target, draft: Draft) -> Resource:
    """Raises as ``create_subscription``."""
    subscription, changes = target.resource, draft.attributes
    parent = target.way[-2] if len(target.way) > 1 else base(target.tenant)
    asked = check_attributes(merged(subscription, changes), _children(parent))
    changes |= {name: asked[name] for name in changes.keys() & asked.keys()}
    await _verify(context, subscription, set(asked["nu"]) - set(subscription.attributes["nu"]))
    return await change(context, target, lambda stored: merged(stored, changes))


def bundling_of(subscription: Resource | None) -> Bundling:
    """How a subscription wants its notices; one that is gone wants those that are left at once."""
    attributes = subscription.attributes if subscription is not None else {}
    forgets = attributes.get("pn") == SEND_LATEST
    batch = attributes.get("bn")
    if batch is None:
        return Bundling(forgets=forgets)
    seconds = seconds_of(batch["dur"]) if "dur" in batch else BATCH_SECONDS
    number = batch.get("num", MOST_TOGETHER)
    return Bundling(True, number, seconds, newest=bool(attributes.get("ln")), forgets=forgets)


async def _verify(context: Context, subscription: Resource, targets: Iterable[str]) -> None:
    """Ask those whom the originator does not speak for (TS-0004, 7.4.8.2.1)."""
    tenant, creator = subscription.tenant, subscription.attributes["cr"]
    for target in targets:
        try:
            if not is_url(target):
                context.outlets.check(tenant, target)
            elif not _is_own(context, tenant, creator, target):
                question = context.notices.verification(subscription)
                await context.outlets.verify(tenant, target, question)
        except (Retry, Refused) as error:
            shown = masked(target)[:200]
            raise SubscriptionNotVerified(f"nu (notificationURI) {shown}: {error}") from error


def _is_own(context: Context, tenant: str, originator: str, url: str) -> bool:
    """Whether the originator is reached there itself."""
    application = context.inventory.application_by_aei(tenant, originator)
    return application is not None and url in (application.attributes.get("poa") or ())


def _children(parent: Resource) -> frozenset[int]:
    """``ty`` that may be below it."""
    return (type_of_key(parent.key) or BY_MGD[1007]).children
