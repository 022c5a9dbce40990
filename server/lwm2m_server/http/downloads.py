"""``/p/{token}``: packages for devices that fetch over HTTP. The token is all they need to have."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.describing import BINARY, STRING, Parameter, described
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.streams import Stream
from lwm2m_server.updates.offers import Offer, Offers

PIECE: Final = 64 * 1024
OCTETS: Final = "application/octet-stream"
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


class DownloadApi:
    def __init__(self, offers: Offers) -> None:
        self._offers = offers

    def routes(self) -> list[Route]:
        return [Route("/p/{token}", self.fetch, methods=["GET"])]

    @described(
        "What is offered to one device, by the token in its URI; the whole, or a range of its bytes",
        query=(
            Parameter("range", STRING, "`bytes=1024-`: one range", place="header"),
            Parameter("if-range", STRING, "the ETag that the range is of", place="header"),
        ),
        answers={200: BINARY, 206: BINARY},
        media_type=OCTETS,
        problems=(404, 416),
        is_public=True,
    )
    async def fetch(self, request: Request) -> Response:
        """Also ``HEAD``. 404 for whatever is not to be had, or not any more."""
        offer = self._offers.find(request.path_params["token"])
        if offer is None:
            raise Problem(HTTPStatus.NOT_FOUND, "nothing is offered here, or not any more")
        etag = f'"{offer.digest}"'
        headers = {"cache-control": "no-store", "accept-ranges": "bytes", "etag": etag}
        first, last, status = 0, offer.size - 1, HTTPStatus.OK
        wanted = request.headers.get("range")
        if wanted is not None and request.headers.get("if-range", etag) == etag:
            found = _range(wanted, offer)
            if found is not None:
                (first, last), status = found, HTTPStatus.PARTIAL_CONTENT
                headers["content-range"] = f"bytes {first}-{last}/{offer.size}"
        headers["content-length"] = str(last - first + 1)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=OCTETS)
        return Stream(self._pieces(offer, first, last), headers, OCTETS, status)

    async def _pieces(self, offer: Offer, first: int, last: int) -> AsyncGenerator[bytes, None]:
        while first <= last:
            piece = self._offers.read(offer, first, min(PIECE, last - first + 1))
            yield piece
            first += len(piece)


def _range(wanted: str, offer: Offer) -> tuple[int, int] | None:
    """The first and the last byte (RFC 9110, 14.1.2); ``None`` for what may be ignored. Raises ``Problem``
    for what lies beyond the end."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        return None
    last = offer.size - 1
    if not found[1]:
        first = max(offer.size - int(found[2]), 0) if int(found[2]) else offer.size
    else:
        first = int(found[1])
        if found[2] and int(found[2]) < first:
            return None
        last = min(int(found[2] or last), last)
    if first >= offer.size:
        problem = Problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"there are {offer.size} bytes")
        problem.headers = {"content-range": f"bytes */{offer.size}"}
        raise problem
    return first, last
