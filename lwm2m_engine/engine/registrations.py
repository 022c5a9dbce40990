"""The client registration interface: Register, Update, De-register, expiry (LwM2M Core 1.2, 6.2)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import outbox, relations, setups
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.events import (
    Deregistered,
    Expired,
    Registered,
    RegistrationChanged,
    Updated,
    Warned,
)
from lwm2m_engine.engine.presence import heard
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_engine.engine.reports import begin_mappings
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.errors import RequestError
from lwm2m_engine.links import CACHED_LINKS, Announced, Link, announced
from lwm2m_engine.messages.uplink import Register
from lwm2m_engine.messages.wire import parse_register, parse_update
from lwm2m_engine.paths import Path

CHANGED = CoapReply(Code.CHANGED)
MAX_WARNINGS = 20
"""Of one registration; the latest are kept."""
MAX_ANNOUNCEMENTS = 1024
"""Object lists kept for the next device that announces the same."""


def register(state: State, turn: Turn, request: CoapRequest, peer: Peer) -> CoapReply:
    """``POST /rd``: a new registration; one that was alive under the same name ends (B1, 6.2.1)."""
    wish = parse_register(
        request, strict=state.settings.strict, assumed_version=state.settings.assumed_version
    )
    endpoint = wish.endpoint or peer.identity or ""
    if not endpoint:
        raise RequestError(Code.FORBIDDEN, "no endpoint name, and no identity to take it from")
    if not wish.endpoint:
        wish = attrs.evolve(wish, endpoint=endpoint)
    _admit(state, wish, peer)
    device = state.device(endpoint)
    replaced = device.registration.id if device.registration is not None else None
    awake_until = device.awake_until
    end(state, device, turn)
    registration = _registration(state, wish, turn.now)
    liveness = Liveness(peer, turn.now, _expiry(turn.now, registration.lifetime))
    state.attach(device, registration, liveness)
    turn.tell(Registered(endpoint, turn.now, registration, liveness, replaced))
    for text in registration.warnings:
        turn.tell(Warned(endpoint, turn.now, text))
    begin_mappings(state, device, turn)
    device.resume_at, device.deferred = None, False
    setups.begin(device)
    # Who registers again while awake has not been asleep.
    device.awake_until = awake_until
    heard(state, device, turn)
    outbox.advance(state, device, turn)
    return CoapReply(Code.CREATED, location=("rd", registration.id))


def update(state: State, turn: Turn, request: CoapRequest, peer: Peer, id: str) -> CoapReply:
    """``POST /rd/<id>``: only what it mentions changes (6.2.2)."""
    device, registration = _registered(state, id, peer)
    if request.query or request.payload:
        changes = _changes(state, registration, request)
        if changes:
            registration = attrs.evolve(registration, **changes)
    else:
        # Nearly every Update says nothing but that the client is still there.
        changes = {}
    moved = device.liveness is not None and device.liveness.peer != peer
    liveness = Liveness(peer, turn.now, _expiry(turn.now, registration.lifetime))
    if changes:
        state.attach(device, registration, liveness)
    elif moved:
        state.move(device, liveness)
    else:
        device.liveness = liveness
    turn.tell(Updated(device.endpoint, turn.now, registration, liveness, bool(changes), moved))
    if "objects" in changes:
        relations.keep_to(state, device, registration.objects, turn)
        begin_mappings(state, device, turn)
    if moved and peer.is_connection:
        # Nobody may have noticed the end of the one before.
        relations.disconnect(state, device, turn)
    device.resume_at, device.deferred = None, False
    if device.setup is not None:
        device.setup.resume()
    heard(state, device, turn)
    outbox.advance(state, device, turn)
    return CHANGED


def _changes(state: State, registration: Registration, request: CoapRequest) -> dict[str, Any]:
    """The fields of a registration that an Update makes different."""
    wish = parse_update(request, version=registration.version, strict=state.settings.strict)
    changes: dict[str, Any] = {}
    if wish.lifetime is not None and wish.lifetime != registration.lifetime:
        changes["lifetime"] = wish.lifetime
    if wish.binding is not None and wish.binding != registration.binding:
        changes["binding"] = wish.binding
    if wish.sms is not None and wish.sms != registration.sms:
        changes["sms"] = wish.sms
    if wish.queue_mode is not None and wish.queue_mode != registration.queue_mode:
        changes["queue_mode"] = wish.queue_mode
    if wish.links is not None:
        changes.update(_announcement(state, wish.links, registration.version, registration.endpoint))
        changes["warnings"] = tuple(dict.fromkeys((*registration.warnings, *wish.warnings)))[-MAX_WARNINGS:]
    if not wish.attributes.items() <= registration.attributes.items():
        changes["attributes"] = {**registration.attributes, **wish.attributes}
    return changes


def deregister(state: State, turn: Turn, peer: Peer, id: str) -> CoapReply:
    """``DELETE /rd/<id>`` (6.2.3)."""
    device, registration = _registered(state, id, peer)
    end(state, device, turn)
    turn.tell(Deregistered(device.endpoint, turn.now, registration))
    return CoapReply(Code.DELETED)


def expire(state: State, device: Device, turn: Turn) -> None:
    """The lifetime ran out without an Update."""
    registration = device.registration
    if registration is not None:
        end(state, device, turn)
        turn.tell(Expired(device.endpoint, turn.now, registration))


def end(state: State, device: Device, turn: Turn) -> None:
    """Whatever lived with the registration ends: exchange, observations, presence."""
    if device.registration is None:
        return
    outbox.interrupt(state, device, turn)
    device.setup = None
    relations.lapse(state, device, turn)
    state.detach(device)


def read_done(state: State, device: Device, turn: Turn, path: Path) -> None:
    """An automatic read was answered; a restart need not repeat it."""
    registration = device.registration
    if registration is None or path not in registration.unread:
        return
    left = tuple(other for other in registration.unread if other != path)
    device.registration = attrs.evolve(registration, unread=left)
    turn.tell(RegistrationChanged(device.endpoint, turn.now, device.registration))


def _admit(state: State, wish: Register, peer: Peer) -> None:
    _refuse_impostor(state, wish.endpoint, peer)
    known = state.settings.admit_unknown or wish.endpoint in state.devices
    verdict = state.hooks.admit(wish, peer, known)
    if verdict is not None and not verdict.allowed:
        raise RequestError(verdict.code, verdict.reason)
    if verdict is None and not known:
        raise RequestError(Code.FORBIDDEN, f"endpoint {wish.endpoint!r} is not known here")


def _refuse_impostor(state: State, endpoint: str, peer: Peer) -> None:
    """Whoever proved to be somebody is nobody else, and does not lose the registration to one who did not."""
    if peer.identity not in (None, endpoint) and state.settings.identity_is_endpoint:
        raise RequestError(Code.FORBIDDEN, "the endpoint name is not what these credentials are for")
    device = state.devices.get(endpoint)
    proven = device.liveness.peer.identity if device is not None and device.liveness is not None else None
    if proven is not None and proven != peer.identity:
        raise RequestError(Code.FORBIDDEN, "the endpoint is registered by a client that proved its identity")


def _registered(state: State, id: str, peer: Peer) -> tuple[Device, Registration]:
    device = state.by_registration.get(id)
    if device is None or device.registration is None or device.liveness is None:
        raise RequestError(Code.NOT_FOUND, "no such registration")
    known = device.liveness.peer
    # A registration belongs to the security association and the server endpoint it was made through.
    if known.listener != peer.listener or known.identity != peer.identity:
        raise RequestError(Code.BAD_REQUEST, "this registration was made by another client")
    return device, device.registration


def _registration(state: State, wish: Register, now: float) -> Registration:
    announcement = _announcement(state, wish.links, wish.version, wish.endpoint)
    return Registration(
        # 8 random bytes, so that a location cannot be guessed.
        id=base64.urlsafe_b64encode(state.tokens()).rstrip(b"=").decode("ascii"),
        endpoint=wish.endpoint,
        version=wish.version,
        lifetime=wish.lifetime,
        binding=wish.binding,
        queue_mode=wish.queue_mode,
        sms=wish.sms,
        attributes=wish.attributes,
        registered_at=now,
        unread=_reads(state, announcement),
        warnings=wish.warnings,
        **announcement,
    )


def _reads(state: State, announcement: Mapping[str, Any]) -> tuple[Path, ...]:
    """What the mappings want to know: one Read an Object Instance, so that no answer is very large."""
    wanted: list[Path] = []
    for number in state.table.reads:
        if number in announcement["objects"]:
            instances = [path for path in announcement["instances"] if path[0] == number]
            wanted.extend(instances or (Path((number,)),))
    return tuple(wanted)


def _announcement(state: State, links: tuple[Link, ...], version: str, endpoint: str) -> Mapping[str, Any]:
    """The fields of a ``Registration`` that follow from an object list."""
    unannounced = state.unannounced(endpoint)
    if len(links) > CACHED_LINKS:
        return _read_announcement(state, links, version, unannounced)
    key = links, version, unannounced
    found = state.announcements.get(key)
    if found is None:
        if len(state.announcements) >= MAX_ANNOUNCEMENTS:
            state.announcements.clear()
        found = state.announcements[key] = _read_announcement(state, *key)
    return found


def _read_announcement(
    state: State, links: tuple[Link, ...], version: str, unannounced: str | None
) -> Mapping[str, Any]:
    found: Announced = announced(links, version, strict=state.settings.strict)
    if not found.objects:
        raise RequestError(Code.BAD_REQUEST, "the object list names no LwM2M object")
    defaults = state.catalog.view(version)
    objects = tuple((id, text or unannounced or defaults.version(id)) for id, text in found.objects.items())
    return {
        "root": found.root,
        "objects": _shared(objects),
        "instances": found.instances,
        "links": links,
        "formats": found.formats,
    }


@lru_cache(maxsize=1024)
def _shared(objects: tuple[tuple[int, str], ...]) -> Mapping[int, str]:
    """Fleets announce the same few lists over and over: one mapping for all of them, nobody changes it."""
    return dict(objects)


def _expiry(now: float, lifetime: int) -> float | None:
    return now + lifetime if lifetime else None
