"""``/api/v1/events``: what happened to the devices of a tenant, as a list or as a stream that goes on.

The stream is Server-Sent Events (WHATWG HTML, 9.2). Ids are numbers of the ledger's journal, so who comes
back with ``Last-Event-ID`` misses nothing that is still kept; what is not is told by an event ``gap``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

import attrs
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.describing import (
    COUNT,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder, number_of
from lwm2m_server.http.feed import Feed
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.streams import Stream
from lwm2m_server.onem2m.happenings import KINDS, Happening
from lwm2m_server.store.transaction import Reader

EVENT_STREAM: Final = "text/event-stream"
FOLLOWERS: Final = 1000
"""Streams at a time."""
USUAL, MOST = 100, 1000
"""Events looked at for one list."""
RETRY: Final = 2000
"""Milliseconds a client waits before it connects again."""


@attrs.frozen
class Wanted:
    """Which events somebody wants; what is empty admits all."""

    tenant: str
    devices: frozenset[str] = frozenset()
    """Names of nodes, or endpoint names."""
    kinds: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    """Beginnings of paths, as ``3303/0``."""
    labels: frozenset[str] = frozenset()

    def of(self, events: Sequence[Happening], reader: Reader) -> list[Happening]:
        """Those of the events that are wanted, by the labels that devices have now."""
        found = [event for event in events if self._admits(event)]
        if not self.labels:
            return found
        labels = {node: _labels(reader, node) for node in {event.node for event in found}}
        return [event for event in found if not self.labels.isdisjoint(labels[event.node])]

    def _admits(self, event: Happening) -> bool:
        return (
            event.tenant == self.tenant
            and (not self.kinds or event.kind in self.kinds)
            and (not self.devices or event.device in self.devices or event.endpoint in self.devices)
            and (not self.paths or any(map(self._is_below, _places(event.message))))
        )

    def _is_below(self, place: str) -> bool:
        return any(place == path or place.startswith(f"{path}/") for path in self.paths)


class EventApi:
    """Events of one tenant at a time."""

    def __init__(self, find: DeviceFinder, reader: Reader, feed: Feed) -> None:
        self._find, self._reader, self._feed = find, reader, feed

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/events", self.show, methods=["GET"])]

    @described(
        "What happened to devices; with Accept: text/event-stream what happens from now on, too",
        query=(
            TENANT,
            LIMIT,
            Parameter("after", PLACE, "only events behind this one; without it, the last ones"),
            Parameter("device", array(STRING), "only of these, by name or endpoint name"),
            Parameter("kind", array(enum(*KINDS)), "only of these kinds"),
            Parameter("path", array(STRING), "only about these paths or below"),
            Parameter("label", array(STRING), "only of devices that have one of these labels"),
            Parameter("Last-Event-ID", STRING, "where a stream is taken up again", "header"),
        ),
        answers={200: obj("*", tenant=STRING, events=array(ref("Event")), next=COUNT)},
        more={EVENT_STREAM: STRING},
        problems=(400, 503),
    )
    async def show(self, request: Request) -> Response:
        """A list, or a stream for who accepts ``text/event-stream``."""
        wanted = self._wanted(request)
        if EVENT_STREAM in request.headers.get("accept", ""):
            return self._stream(request, wanted)
        limit = min(number_of(request, "limit", USUAL), MOST)
        last = self._feed.last
        after = number_of(request, "after", max(last - limit, 0))
        events = await self._feed.read(after, limit) if limit else ()
        document = {
            "tenant": wanted.tenant,
            "events": [_row(event) for event in wanted.of(events, self._reader)],
            "next": events[-1].number if events else min(after, last),
        }
        return Response(orjson.dumps(document), headers=_HEADERS, media_type="application/json")

    def _stream(self, request: Request, wanted: Wanted) -> Response:
        if self._feed.followers >= FOLLOWERS:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{FOLLOWERS} readers follow the events already")
        known = request.headers.get("last-event-id", "")
        after = _number(known) if known else number_of(request, "after", self._feed.last)
        return Stream(self._frames(after, wanted), _HEADERS, EVENT_STREAM)

    async def _frames(self, after: int, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        last = self._feed.last
        if after > last:
            # A number of another ledger, or of this one before it was restored.
            yield _gap(last + 1, after, last)
            after = last
        yield b"retry: %d\nid: %d\n\n" % (RETRY, after)
        async with aclosing(self._feed.follow(after)) as chunks:
            async for chunk in chunks:
                yield _lines(chunk, after, wanted.of(chunk, self._reader))
                after = chunk[-1].number if chunk else after

    def _wanted(self, request: Request) -> Wanted:
        """Raises ``Problem``."""
        many: Callable[[str], list[str]] = request.query_params.getlist
        kinds = frozenset(many("kind"))
        for kind in kinds.difference(KINDS):
            raise Problem(HTTPStatus.BAD_REQUEST, f"kind={kind[:40]} is none of {', '.join(KINDS)}")
        return Wanted(
            self._find.tenant(request),
            frozenset(many("device")),
            kinds,
            tuple(path.strip("/") for path in many("path") if path.strip("/")),
            frozenset(many("label")),
        )


_HEADERS: Final = {"cache-control": "no-store"}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(HTTPStatus.BAD_REQUEST, f"Last-Event-ID {text[:40]!r} is no id of an event")
    return int(text)


def _labels(reader: Reader, node: int) -> Sequence[str]:
    found = reader.resource(node)
    return found.attributes.get("lbl") or () if found is not None else ()


def _places(message: dict[str, Any]) -> set[str]:
    """All paths a message is about."""
    values = message.get("dataValue")
    return {
        message.get("resourcePath", ""),
        *message.get("resourcePaths", ()),
        *(values if isinstance(values, dict) else ()),
    }


def _row(event: Happening) -> dict[str, Any]:
    return {
        "id": event.number,
        "kind": event.kind,
        "endpoint": event.endpoint,
        "message": event.message,
    }


def _lines(chunk: Sequence[Happening], after: int, wanted: Sequence[Happening]) -> bytes:
    """Frames; at the end the number of an event that was not wanted, so that it is not looked at again."""
    if not chunk:
        return b":\n\n"
    first, last = chunk[0].number, chunk[-1].number
    frames = [_gap(after + 1, first - 1, first - 1)] if first > after + 1 else []
    frames += [_frame(event.number, event.kind, event.message) for event in wanted]
    if not wanted or wanted[-1].number < last:
        frames.append(b"id: %d\n\n" % last)
    return b"".join(frames)


def _frame(number: int, kind: str, data: object) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, kind.encode(), orjson.dumps(data))


def _gap(first: int, last: int, number: int) -> bytes:
    """Events from ``first`` to ``last`` cannot be had."""
    return _frame(number, "gap", {"from": first, "to": last})
