"""``Performer``: what the state machine wants done, asked of the device."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.requests import Cancel, Execute, Observe, Single, Write
from lwm2m_engine.paths import Path
from lwm2m_server.asks import Asks, NoAnswer, Refused
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.records import Device
from lwm2m_server.updates.addresses import Addresses
from lwm2m_server.updates.course import Action, State
from lwm2m_server.updates.files import PackageFiles
from lwm2m_server.updates.judging import runs_target
from lwm2m_server.updates.machine import Done, Input, NotDone, Surveyed
from lwm2m_server.updates.objects import Facts
from lwm2m_server.updates.offers import Offer, Offers
from lwm2m_server.updates.records import Update, UpdateRefused
from lwm2m_server.updates.surveying import Survey, misfit, survey
from lwm2m_server.updates.telling import announce, tell
from lwm2m_server.updates.ways import ways_of
from lwm2m_server.uplink import DOWNLOADS

_NULL: Final = b"\0"
_FOR_UPDATE: Final = "1"
"""The argument of Uninstall that keeps a place for the new version."""


class Wanted(Protocol):
    """What the profile of a device wants."""

    def name(self, device: Device) -> str | None:
        """Of the profile."""
        ...

    def strategy(self, device: Device, kind: str) -> int:
        """See ``ways_of``."""
        ...

    def observes(self, device: Device, path: Path) -> bool:
        """Whether a Resource is to be observed anyway."""
        ...

    def announces(self, device: Device) -> bool:
        """Whether object 19 is to say what comes."""
        ...

    def uri(self, device: Device, kind: str) -> str | None:
        """What devices get instead of this server's own, up to the path."""
        ...


@attrs.define(eq=False)
class Errand:
    """One action for one update. ``update`` is replaced by what is learnt on the way."""

    update: Update
    device: Device
    package: Package | None
    progressed: Callable[[int], object]
    uri: str = ""
    """What is offered."""


class Performer:
    """Each action is one or several requests; what they come to is an input of the state machine."""

    def __init__(
        self,
        asks: Asks,
        files: PackageFiles,
        offers: Offers,
        addresses: Addresses,
        wanted: Wanted,
        *,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Tokens are good for ``lifetime`` seconds."""
        self._asks, self._files, self._offers = asks, files, offers
        self._addresses, self._wanted = addresses, wanted
        self._lifetime, self._clock = lifetime, clock
        self._actions: dict[Action, Callable[[Errand], Awaitable[None]]] = {
            Action.RESET: self._reset,
            Action.REMOVE: self._remove,
            Action.OFFER: self._offer,
            Action.PUSH: self._push,
            Action.INSTALL: self._install,
            Action.ACTIVATE: self._activate,
        }

    async def perform(self, action: Action, errand: Errand, patience: float | None) -> Input:
        """``patience`` is how many seconds a survey may wait for its turn."""
        try:
            if action is Action.SURVEY:
                return await self._survey(errand, patience)
            await self._actions[action](errand)
        except (Refused, RequestError, UpdateRefused) as error:
            return NotDone(action, str(error))
        except OSError as error:
            return NotDone(action, f"the package cannot be read: {error.strerror}")
        except (NoAnswer, CommitFailed) as error:
            return NotDone(action, f"no answer ({error})", is_silent=True)
        return Done(action)

    async def _survey(self, errand: Errand, patience: float | None) -> Input:
        found: Survey = await survey(self._asks, errand.device, errand.update, patience)
        facts, update = found.facts, errand.update
        plan = attrs.evolve(update.plan, object=found.object)
        update = attrs.evolve(
            update, plan=plan, instance=found.instance, protocols=facts.protocols or update.protocols
        )
        if update.state is State.QUEUED and update.course.attempts == 0:
            ways = await self._ways(errand, facts, patience)
            update = attrs.evolve(update, plan=attrs.evolve(plan, ways=ways))
            if not runs_target(plan, facts) or plan.is_forced:
                await self._tell(update, errand, facts)
        errand.update = update
        return Surveyed(facts)

    async def _tell(self, update: Update, errand: Errand, facts: Facts) -> None:
        await tell(self._asks, errand.device, update, facts)
        if self._wanted.announces(errand.device):
            await announce(self._asks, errand.device, update, _there(errand.package))

    async def _ways(self, errand: Errand, facts: Facts, patience: float | None) -> tuple[str, ...]:
        """Raises ``UpdateRefused`` if the package is not for the device."""
        package, device, update = _there(errand.package), errand.device, errand.update
        if not update.options.is_forced:
            reason = await misfit(self._asks, device, package.fits, self._wanted.name(device), patience)
            if reason is not None:
                raise UpdateRefused(reason)
        strategy = self._wanted.strategy(device, update.kind)
        return ways_of(package, update.options.method, strategy, facts)

    def prepare(self, errand: Errand) -> None:
        """Of a URI that is about to be offered: its token is to be kept before the device can have it.

        Raises ``UpdateRefused``.
        """
        package, update, device = _there(errand.package), errand.update, errand.device
        if package.url is not None:
            errand.uri = package.url
            return
        if device.liveness is None:
            raise UpdateRefused("the device is not registered")
        base = self._wanted.uri(device, update.kind) or self._addresses.base(
            device.liveness.peer, update.protocols
        )
        expires_at = self._clock() + self._lifetime
        token, hash = self._offers.make(offer_of(update, package, device, expires_at))
        errand.uri = f"{base.rstrip('/')}/{DOWNLOADS[0]}/{token}"
        errand.update = attrs.evolve(update, offer=hash, offer_expires_at=expires_at)

    async def watch(self, update: Update, device: Device, observed: tuple[Path, ...]) -> tuple[str, ...]:
        """Observe what tells how far it is, unless it is observed anyway; what of it the device allows."""
        root, at = update.root, update.plan.at
        if root is None:
            return ()
        made = []
        for resource in (at.state, at.result):
            path = Path((*root, resource))
            if any(path[: len(one)] == one for one in observed):
                continue
            try:
                await self._asks.ask(device, Observe(path))
            except (Refused, RequestError, NoAnswer, CommitFailed):
                # It will be looked at now and then.
                continue
            made.append(str(path))
        return tuple(made)

    async def unwatch(self, update: Update, device: Device) -> None:
        """What its profile wants to be observed by now goes on."""
        for path in map(Path, update.observed):
            if self._wanted.observes(device, path):
                continue
            try:
                await self._asks.ask(device, Cancel(path, passive=True))
            except (Refused, RequestError, NoAnswer, CommitFailed):
                continue

    async def _offer(self, errand: Errand) -> None:
        await self._write(errand, errand.update.plan.at.uri, errand.uri)

    async def _push(self, errand: Errand) -> None:
        package = _there(errand.package)
        with self._files.image(package.digest) as image:
            await self._write(errand, errand.update.plan.at.package, image)

    async def _install(self, errand: Errand) -> None:
        await self._execute(errand, errand.update.plan.at.install)

    async def _activate(self, errand: Errand) -> None:
        activate = errand.update.plan.at.activate
        if activate is not None:
            await self._execute(errand, activate)

    async def _remove(self, errand: Errand) -> None:
        """The former version of a software; its Instance is kept for the new one."""
        uninstall = errand.update.plan.at.uninstall
        if uninstall is not None:
            await self._execute(errand, uninstall, _FOR_UPDATE)

    async def _reset(self, errand: Errand) -> None:
        """An empty URI, or else an empty package, brings the firmware objects back to idle."""
        at = errand.update.plan.at
        if at.uninstall is not None:
            await self._execute(errand, at.uninstall)
            return
        try:
            await self._write(errand, at.uri, "")
        except Refused:
            await self._write(errand, at.package, _NULL)

    async def _write(self, errand: Errand, resource: int, value: str | bytes) -> None:
        path = _root(errand.update, resource)
        request = Write(path, (Entry(path, value),))
        if isinstance(value, str):
            await self._ask(errand, request)
            return
        try:
            # As it is: devices write it to their flash while it comes.
            await self._ask(errand, attrs.evolve(request, content_format=ContentFormat.OPAQUE))
        except Refused as refusal:
            if refusal.code != Code.UNSUPPORTED_CONTENT_FORMAT:
                raise
            await self._ask(errand, request)

    async def _execute(self, errand: Errand, resource: int, arguments: str = "") -> None:
        await self._ask(errand, Execute(_root(errand.update, resource), arguments))

    async def _ask(self, errand: Errand, request: Single) -> None:
        await self._asks.ask(errand.device, request, progressed=lambda done, total: errand.progressed(done))


def offer_of(update: Update, package: Package, device: Device, expires_at: float) -> Offer:
    identity = device.liveness.peer.identity if device.liveness is not None else None
    return Offer(
        update.id, package.digest, package.size, expires_at, device.node, identity, package.file_name
    )


def _root(update: Update, resource: int) -> Path:
    if update.root is None:
        raise UpdateRefused("which Instance the update is for is not known yet")
    return Path((*update.root, resource))


def _there(package: Package | None) -> Package:
    if package is None:
        raise UpdateRefused("the package was deleted")
    return package
