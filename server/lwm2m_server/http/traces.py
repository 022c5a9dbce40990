"""``/api/v1/devices/<name>/trace``: what is said with one device. Times are milliseconds."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Collection
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.coap import Code, dotted, is_success
from lwm2m_engine.codecs import decode, decode_paths
from lwm2m_engine.errors import CodecError, LwM2MError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.directory import key_of
from lwm2m_server.http.describing import PLACE, STRING, TENANT, Parameter, described, ref
from lwm2m_server.http.devices import DeviceFinder, number_of
from lwm2m_server.http.onlooking import EVENT_STREAM
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.streams import Stream
from lwm2m_server.notes import Note, place
from lwm2m_server.onem2m.content import clean, plain
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.store.records import Device
from lwm2m_server.tracing import TooManyTraces, Trace, Traces

HEARTBEAT: Final = 10.0
"""Seconds between two signs of life of a trace that is followed: an empty line."""
_HEADERS: Final = {"cache-control": "no-store"}
METHODS: Final = frozenset(range(Code.GET, Code.IPATCH + 1))


class TraceApi:
    """Switches traces on and off, and shows them."""

    def __init__(self, find: DeviceFinder, devices: Devices, traces: Traces) -> None:
        self._find, self._devices, self._traces = find, devices, traces

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        path = "/devices/{name}/trace"
        return [
            Route(path, self.start, methods=["PUT"]),
            Route(path, self.stop, methods=["DELETE"]),
            Route(path, self.show, methods=["GET"]),
        ]

    @described("Trace a device", query=(TENANT,), answers={200: ref("TraceState")}, problems=(409,))
    async def start(self, request: Request) -> Response:
        """Idempotent; 409 when too many devices are traced."""
        device = self._find(request)
        try:
            trace = self._traces.start(device.node, device.name, _endpoints(device))
        except TooManyTraces as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        return _json(_summary(trace))

    @described("Trace it no more", query=(TENANT,), answers={204: None})
    async def stop(self, request: Request) -> Response:
        """What was noted is gone; whoever follows is told that it is over."""
        self._traces.stop(self._find(request).node)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described(
        "What was said with a device",
        query=(
            TENANT,
            Parameter("after", PLACE, "only messages with a higher number"),
            Parameter("follow", STRING, "if it is there, messages to come too, one a line"),
        ),
        answers={200: ref("Trace")},
        more={"application/x-ndjson": ref("TracedMessage"), EVENT_STREAM: STRING},
        problems=(400, 409),
    )
    async def show(self, request: Request) -> Response:
        """``?after=N``: messages with a higher number; ``?follow``: those to come too, one a line. With
        Accept: text/event-stream each is an event ``message``, and ``over`` is the last."""
        device = self._find(request)
        after = number_of(request, "after", 0)
        trace = self._traces.of(device.node)
        wants_events = EVENT_STREAM in request.headers.get("accept", "")
        if wants_events or "follow" in request.query_params:
            if trace is None:
                raise Problem(HTTPStatus.CONFLICT, f"{device.name} is not traced; PUT switches that on")
            if wants_events:
                return Stream(self._events(device, trace, after), _HEADERS, EVENT_STREAM)
            return Stream(self._lines(device, trace, after), _HEADERS, "application/x-ndjson")
        if trace is None:
            return _json({"tracing": False, "messages": []})
        return _json(_summary(trace) | {"messages": self._rendered(device, trace, after)})

    async def _lines(self, device: Device, trace: Trace, after: int) -> AsyncGenerator[bytes, None]:
        async for message in self._followed(device, trace, after):
            yield b"\n" if message is None else orjson.dumps(message) + b"\n"

    async def _events(self, device: Device, trace: Trace, after: int) -> AsyncGenerator[bytes, None]:
        async for message in self._followed(device, trace, after):
            if message is None:
                yield b":\n\n"
            else:
                data = orjson.dumps(message)
                yield b"event: message\nid: %d\ndata: %b\n\n" % (message["number"], data)
        yield b"event: over\ndata: {}\n\n"

    async def _followed(
        self, device: Device, trace: Trace, after: int
    ) -> AsyncGenerator[dict[str, Any] | None, None]:
        """Each message, and ``None`` as a sign of life."""
        while True:
            # Looked at anew each time: the device may have registered with other models meanwhile.
            for message in self._rendered(device, trace, after):
                after = message["number"]
                yield message
            if not trace.is_on:
                return
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await trace.news(after)
            except TimeoutError:
                yield None

    def _rendered(self, device: Device, trace: Trace, after: int) -> list[dict[str, Any]]:
        notes = trace.notes(after)
        models = self._devices.models(device) if notes else None
        return [rendered(note, models) for note in notes]


def _endpoints(device: Device) -> set[str]:
    """Names the device may come with."""
    names = {key_of(device), device.name}
    return names | {device.node_id} if device.node_id is not None else names


def _summary(trace: Trace) -> dict[str, Any]:
    return {"tracing": True, "since": int(trace.since * 1000), "dropped": trace.dropped}


def rendered(note: Note, models: ModelView | None) -> dict[str, Any]:
    """A message as JSON; what does not apply to it is not there."""
    found: dict[str, Any] = {
        "number": note.number,
        "time": int(note.at * 1000),
        "direction": note.direction,
        "message": _message(note),
        "path": "/" + "/".join(note.path),
        "query": "&".join(note.query) or None,
        "type": {True: "CON", False: "NON", None: None}[note.confirmable],
        "contentFormat": note.content_format,
        "accept": note.accept,
        "observe": note.observe,
        "location": "/" + "/".join(note.location) if note.location else None,
        "exchange": note.exchange,
        "duration": None if note.duration is None else round(note.duration * 1000, 3),
        "peer": note.peer or None,
    }
    if note.size:
        found |= {"payloadSize": note.size} | _payload(note, models)
    return {key: value for key, value in found.items() if value is not None}


def _message(note: Note) -> str:
    if note.code is None:
        return note.remark
    return Code(note.code).name if note.code in METHODS else dotted(note.code)


def _payload(note: Note, models: ModelView | None) -> dict[str, Any]:
    if note.masked:
        return {"masked": True}
    raw = {"payload": base64.b64encode(note.payload).decode("ascii")}
    if note.is_cut:
        return raw | {"cut": True}
    return raw | _meaning(note, models)


def _meaning(note: Note, models: ModelView | None) -> dict[str, Any]:
    """Values, paths or text, as far as the payload tells."""
    text = {"text": note.payload.decode("utf-8", "replace")}
    is_diagnostic = note.code is not None and note.code not in METHODS and not is_success(note.code)
    found = place(note.path)
    if found is None or is_diagnostic or note.content_format in (None, ContentFormat.LINK_FORMAT):
        return text
    root, at = found
    types = models.types if models is not None else None
    try:
        entries = decode(note.payload, note.content_format, at=at, types=types, root=root)
    except CodecError as error:
        try:
            paths = decode_paths(note.payload, note.content_format, root=root)
        except LwM2MError:
            return {"error": clean(str(error))}
        return {"paths": [path.key for path in paths]}
    values = {
        entry.path: plain(entry.value, types(entry.path) if types else None)
        for entry in entries
        if entry.value is not None
    }
    return {"values": {path.key: value for path, value in values.items()}} | _named(values, models)


def _named(paths: Collection[Path], models: ModelView | None) -> dict[str, dict[str, str]]:
    """What models call the Resources, and their units, as far as they know them."""
    if models is None:
        return {}
    known = {path.key: spec for path in paths if (spec := models.resource(path)) is not None}
    units = {key: spec.units for key, spec in known.items() if spec.units}
    names = {key: spec.name for key, spec in known.items()}
    types = {key: spec.type.value for key, spec in known.items()}
    return {"names": names, "types": types} | ({"units": units} if units else {})


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), 200, _HEADERS, media_type="application/json")
