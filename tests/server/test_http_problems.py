"""What goes wrong below ``/api/v1`` is told as problem details (RFC 9457)."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from lwm2m_server.http.app import create_http


async def _fails(request: Request) -> Response:
    raise ZeroDivisionError("on purpose")


async def _works(request: Request) -> Response:
    return Response("ok")


@pytest.fixture
async def client():
    api = [
        Route("/thing", _works, methods=["GET"]),
        Route("/thing", _works, methods=["PUT"]),
        Route("/thing/check", _works, methods=["POST"]),
        Route("/thing/{name}", _works, methods=["GET"]),
        Route("/thing/{name}", _works, methods=["DELETE"]),
        Route("/broken", _fails, methods=["GET"]),
    ]
    transport = httpx.ASGITransport(create_http(api=api), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


def _problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = answer.json()
    assert found["status"] == status
    return found


async def test_what_is_not_there(client):
    assert _problem(await client.get("/api/v1/nothing"), 404)["title"] == "Not Found"


async def test_a_method_that_is_not_allowed_and_those_that_are(client):
    answer = await client.delete("/api/v1/thing")
    _problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, PUT"


async def test_a_path_without_parameters_is_not_one_of_those_with_them(client):
    assert (await client.post("/api/v1/thing/check")).text == "ok"
    for method in ("GET", "DELETE", "OPTIONS", "PATCH"):
        answer = await client.request(method, "/api/v1/thing/check")
        _problem(answer, 405)
        assert answer.headers["allow"] == "POST"
    assert (await client.get("/api/v1/thing/one")).text == "ok"
    answer = await client.post("/api/v1/thing/one")
    _problem(answer, 405)
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


async def test_a_fault_of_the_server_tells_the_client_nothing_and_the_log_all(client):
    with capture_logs() as lines:
        answer = await client.get("/api/v1/broken")
    assert _problem(answer, 500)["detail"] == "internal error"
    (line,) = lines
    assert (line["event"], line["path"]) == ("a request failed", "/api/v1/broken")
    assert isinstance(line["exc_info"], ZeroDivisionError)
