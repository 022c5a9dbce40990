"""The API, asked in process."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.proofs import BearerProof, SignedOut

OWN = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "host": b"127.0.0.1"}
PREFIX = "/device-management-orchestrator/v3"


class Token:
    """A proof that is always the same."""

    async def header(self):
        return b"Bearer x"


def backend(app, proof=None, tenant="main", origin="CAdmin"):
    return Backend(app, proof or Token(), tenant, origin, PREFIX, OWN)


def of(guarded, who, **more):
    token = guarded.headers[who]["Authorization"].removeprefix("Bearer ")
    return backend(guarded.app, BearerProof(guarded.control.access, token), **more)


async def test_what_a_page_asks_has_the_rights_of_its_viewer(guarded):
    boss, eye = of(guarded, "boss"), of(guarded, "eye")
    assert (await boss.send("POST", "/devices", {"name": "meter1"}))["name"] == "meter1"
    assert (await eye.get("/devices"))["devices"] is not None
    with pytest.raises(Refusal, match="operate") as refused:
        await eye.send("DELETE", "/devices/x")
    assert refused.value.status == 403
    with pytest.raises(Refusal, match="does not belong"):
        await of(guarded, "boss", tenant="other").get("/devices")
    with pytest.raises(SignedOut):
        await backend(guarded.app, BearerProof(guarded.control.access, "rubbish")).get("/devices")


async def test_problems_keep_their_members(guarded):
    with pytest.raises(Refusal) as refused:
        await of(guarded, "boss").send("POST", "/devices", {"nmae": "x"})
    assert refused.value.status == 400
    assert refused.value.members["detail"] == refused.value.detail == str(refused.value)


async def test_the_tree_is_the_tenants(guarded):
    found = await of(guarded, "boss").tree("GET", "")
    assert found["CSEBase"]["resourceName"] == "main"
    with pytest.raises(Refusal, match="only role admin"):
        await of(guarded, "eye").tree("GET", "")


async def heard(scope, receive, send):
    """Answers with what it was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    lines = [scope["path"].encode(), scope["raw_path"], scope["query_string"], body]
    await PlainTextResponse(b"\n".join(lines))(scope, receive, send)


async def test_names_are_segments_and_arguments_are_quoted():
    query = {"q": "a&b=c d", "none": None, "empty": "", "yes": True, "no": False, "many": [1, 2]}
    answer = await backend(heard).call("GET", f"/devices/{segment('a/b?c#d%')}", query=query)
    path, raw, asked, _ = answer.body.split(b"\n")
    assert path == b"/api/v1/devices/a/b?c#d%"
    assert raw == b"/api/v1/devices/a%2Fb%3Fc%23d%25"
    assert asked == b"tenant=main&q=a%26b%3Dc+d&yes=true&no=false&many=1&many=2"


async def test_bodies_may_come_in_pieces():
    async def pieces():
        yield b"one "
        yield b"two"

    assert (await backend(heard).call("POST", "/x", body=pieces())).body.endswith(b"\none two")
    assert (await backend(heard).call("POST", "/x", body=b"whole")).body.endswith(b"\nwhole")


def streaming(*chunks, then=None):
    """An API whose only answer comes in these pieces."""

    async def body():
        for chunk in chunks:
            yield chunk
        if then is not None:
            await then()

    async def answer(request):
        return StreamingResponse(body(), media_type="text/event-stream")

    return Starlette(routes=[Route("/{path:path}", answer)])


async def test_events_are_put_together_however_they_are_cut():
    events = [
        ":hello\n\n",
        'event: value\nid: 7\ndata: {"a":\ndata: "ü"}\n\n',
        "data: last\r\n\r\n",
        "event: none\n\n",
        "data: cut",
    ]
    text = "".join(events).encode()
    for size in (1, 3, 1000):
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        found = [(one.event, one.data, one.id) async for one in backend(streaming(*chunks)).stream("/x")]
        assert found == [("value", '{"a":\n"ü"}', "7"), ("message", "last", None)]


async def test_who_leaves_a_stream_ends_it():
    ended = asyncio.Event()

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    stream = backend(streaming(b"data: 1\n\n", then=forever)).stream("/x")
    assert (await anext(stream)).data == "1"
    await stream.aclose()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_refusal_of_a_stream_is_a_refusal():
    async def refuse(request):
        return Response(b'{"detail": "not for you"}', 403, media_type="application/problem+json")

    app = Starlette(routes=[Route("/{path:path}", refuse)])
    with pytest.raises(Refusal, match="not for you"):
        async with backend(app).open("/x"):
            pass


async def test_a_large_answer_comes_as_fast_as_it_is_read():
    sent = 0

    async def app(scope, receive, send):
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            sent += 1
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with backend(app).open("/x") as answer:
        await anext(answer.chunks)
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent < 50
        assert len([one async for one in answer.chunks]) == 999


async def test_a_fault_of_the_api_is_told():
    async def app(scope, receive, send):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        async with backend(app).open("/x"):
            pass
    with pytest.raises(RuntimeError, match="broken"):
        await backend(app).get("/x")
    with pytest.raises(Refusal, match="Not Found"):
        await backend(Starlette()).get("/x")
