"""The information reporting interface: notifications and Send (LwM2M Core 1.2, 6.4)."""

from __future__ import annotations

import re

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, diagnostic, is_server_error, is_success
from lwm2m_engine.engine import outbox, relations
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.events import Received
from lwm2m_engine.engine.presence import heard
from lwm2m_engine.engine.records import Observation, Registration
from lwm2m_engine.engine.reports import read, report
from lwm2m_engine.engine.state import GATEWAY, State
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import ROOT

SEND_FORMATS = frozenset({ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.LWM2M_CBOR})
_FRESH_AFTER = 128.0
"""Seconds after which any Observe number is newer than the last one (RFC 7641, 3.4)."""
_HALF = 1 << 23


def notified(state: State, token: bytes, reply: CoapReply, peer: Peer, turn: Turn) -> bool:
    """A message carried ``token``; false if no relation (of this peer) has it: answer with a Reset."""
    device = state.by_token.get(token)
    if device is None or not _is_peer(device, peer):
        return False
    observation = device.observations.get(token) or relations.begin_early(state, device, token, reply, turn)
    if observation is None:
        return False
    heard(state, device, turn)
    if reply.observe is not None and not _is_fresh(device, token, reply.observe, turn.now):
        outbox.advance(state, device, turn)
        return True
    _report(state, device, observation, reply, turn)
    if not is_success(reply.code) or reply.observe is None:
        # RFC 7641, 3.2: an error, or an answer without the option, ends the relation.
        if is_server_error(reply.code):
            relations.suspend(state, device, token, turn)
        else:
            relations.end(state, device, token, turn, "refused")
    outbox.advance(state, device, turn)
    return True


def send(state: State, turn: Turn, request: CoapRequest, peer: Peer) -> CoapReply:
    """``POST /dp`` (6.4.7): values a client sends on its own."""
    device = state.sender(peer)
    if device is None or device.registration is None:
        raise RequestError(Code.BAD_REQUEST, "no registration of this client")
    heard(state, device, turn)
    if request.content_format not in SEND_FORMATS:
        return _refuse_format(device, request, turn)
    prefix = _end_device(device.registration, request.payload)
    entries, raw, error = read(state, device, turn, request, ROOT, prefix=prefix)
    received = Received(
        device.endpoint,
        turn.now,
        "send",
        ROOT,
        Code.CHANGED,
        entries,
        operation="send",
        content_format=request.content_format,
        payload=raw,
        error=error,
        prefix=prefix,
    )
    report(state, device, turn, received)
    code = Code.BAD_REQUEST if error is not None else _send_code(device, turn)
    outbox.advance(state, device, turn)
    return CoapReply(code)


def _refuse_format(device: Device, request: CoapRequest, turn: Turn) -> CoapReply:
    """What the device wanted to say stays readable."""
    reason = "a Send is SenML JSON, SenML CBOR or LwM2M CBOR"
    code = Code.UNSUPPORTED_CONTENT_FORMAT
    received = Received(
        device.endpoint,
        turn.now,
        "send",
        ROOT,
        code,
        operation="send",
        content_format=request.content_format,
        payload=request.payload,
        error=reason,
    )
    turn.tell(received)
    return diagnostic(code, reason)


_PREFIXED = re.compile(rb"/([A-Za-z][A-Za-z0-9._~-]{0,63})/[0-9]")


def _end_device(registration: Registration, payload: bytes) -> str:
    """The prefix in the names of a Send that a LwM2M Gateway passes on for an end device."""
    if GATEWAY not in registration.objects:
        return ""
    found = _PREFIXED.search(payload)
    return found[1].decode("ascii") if found is not None else ""


def _send_code(device: Device, turn: Turn) -> int:
    """4.04 when a value is of an Object that was not announced (SE-5); the values are kept.

    What end devices behind a gateway have is not announced.
    """
    registration = device.registration
    objects = registration.objects if registration is not None else {}
    if GATEWAY in objects:
        return Code.CHANGED
    for event in turn.events:
        if isinstance(event, Received) and any(entry.path[0] not in objects for entry in event.entries):
            return Code.NOT_FOUND
    return Code.CHANGED


def _report(state: State, device: Device, observation: Observation, reply: CoapReply, turn: Turn) -> None:
    path = ROOT if observation.composite else observation.paths[0]
    paths = observation.paths if observation.composite else ()
    if is_success(reply.code):
        entries, raw, error = read(state, device, turn, reply, path, paths, observation.prefix)
    else:
        entries, raw, error = (), reply.payload, None
    received = Received(
        device.endpoint,
        turn.now,
        "notification",
        path,
        reply.code,
        entries,
        "notify",
        None,
        reply.content_format,
        raw,
        error,
        paths,
        None,
        observation.prefix,
    )
    report(state, device, turn, received)


def _is_peer(device: Device, peer: Peer) -> bool:
    """Without security nothing but the address speaks for the sender (B3, IP-1)."""
    known = device.liveness.peer if device.liveness is not None else None
    if known is None or known.listener != peer.listener or known.identity != peer.identity:
        return False
    return peer.identity is not None or (known.host, known.port) == (peer.host, peer.port)


def _is_fresh(device: Device, token: bytes, number: int, now: float) -> bool:
    """RFC 7641, 3.4: 24-bit serial numbers, or a long silence. A stale one is dropped by design."""
    known = device.sequences.get(token)
    device_says = known is None or now > known[1] + _FRESH_AFTER
    if known is not None and not device_says:
        last = known[0]
        device_says = (last < number and number - last < _HALF) or (last > number and last - number > _HALF)
    if device_says:
        device.sequences[token] = (number, now)
    return device_says
