"""``/openapi.json``: all of it is described, and what it says is OpenAPI."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from jsonschema_rs import meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from lwm2m_server.http.campaigns import PREVIEW
from lwm2m_server.http.describing import STRING, described, enum, nullable, obj
from lwm2m_server.http.openapi import METHODS, document
from lwm2m_server.http.profiles import RESERVED

PAGE = Path(__file__).parents[2] / "docs/reference/http-api.md"


@described("One", answers={200: obj("*", name=STRING)}, problems=(409,))
async def _one(request: Request) -> Response:
    return Response()


async def _silent(request: Request) -> Response:
    return Response()


def test_an_operation_is_what_its_route_says():
    found = document([], [Route("/things/{name:path}", _one, methods=["GET"])], {})
    operation = found["paths"]["/api/v1/things/{name}"]["get"]
    assert operation["operationId"] == "get_api_v1_things_name"
    assert operation["tags"] == ["things"]
    (name,) = operation["parameters"]
    assert (name["name"], name["in"], name["required"]) == ("name", "path", True)
    assert set(operation["responses"]) == {"200", "401", "403", "404", "405", "409", "421", "429"}
    assert operation["responses"]["409"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }


def test_what_may_be_missing_may_be_missing_of_a_choice_too():
    assert nullable(STRING) == {"type": ["string", "null"]}
    assert nullable(enum("a", "b")) == {"type": ["string", "null"], "enum": ["a", "b", None]}


def test_a_route_that_says_nothing_is_told():
    with capture_logs() as lines:
        found = document([Route("/silent", _silent, methods=["POST"])], [], {})
    assert found["paths"] == {"/silent": {}}
    assert [(line["event"], line["path"]) for line in lines] == [("route without description", "/silent")]


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
async def served(server):
    async with httpx.AsyncClient(base_url=server.http) as client:
        answer = await client.get("/openapi.json")
        assert answer.status_code == 200
        return answer.json()


async def test_every_route_of_a_server_is_described(server, served):
    assert "route without description" not in server.errors()
    operations = [one for path in served["paths"].values() for one in path.values()]
    assert len(operations) > 40
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    assert all(one["summary"] and one["responses"] for one in operations)
    assert {method.upper() for path in served["paths"].values() for method in path} <= set(METHODS)


async def test_parameters_of_paths_and_references_are_there(served):
    text = str(served)
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in served["components"]["schemas"]
    for path, methods in served["paths"].items():
        for operation in methods.values():
            named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert named == re.findall(r"\{(\w+)\}", path)


# Refused as names, which test_http_profiles.py and test_campaigns.py show.
TAKEN = {*(f"/profiles/{word}" for word in RESERVED), f"/campaigns/{PREVIEW}"}
# A rule is named by a PUT to its path, and problems have numbers.
NEVER_NAMES = {"/enrolments/pending", "/problems/count"}


async def test_what_could_be_a_name_is_known(served):
    below = {path.removeprefix("/api/v1") for path in served["paths"] if path.startswith("/api/v1")}
    patterns = {re.sub(r"\{\w+\}", "[^/]+", path) for path in below if "{" in path}
    plain = {path for path in below if "{" not in path}
    alike = {path for path in plain if any(re.fullmatch(pattern, path) for pattern in patterns)}
    assert alike == TAKEN | NEVER_NAMES


async def test_schemas_are_json_schema(served):
    schemas = list(served["components"]["schemas"].values())
    for methods in served["paths"].values():
        for operation in methods.values():
            bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
            schemas += [one["schema"] for body in bodies for one in body.get("content", {}).values()]
            schemas += [one["schema"] for one in operation["parameters"]]
    for schema in schemas:
        meta.validate(schema)


async def test_the_reference_page_has_them_all(served):
    page = PAGE.read_text(encoding="utf-8")
    missing = [
        f"{method.upper()} {path}"
        for path, methods in served["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] != ["oneM2M"] and f"`{method.upper()} {path}`" not in page
    ]
    assert missing == [], "docs/http_api.py: BELOW_API"
