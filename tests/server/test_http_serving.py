"""Granian in the running loop: HTTP/1.1 and HTTP/2, ports, closing."""

import errno
import socket

import httpx
import pytest

from lwm2m_server.http.serving import serve_http


async def version(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["http_version"].encode()})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
async def test_both_versions_on_one_free_port(host):
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = await serve_http(version, host, 0)
    async with httpx.AsyncClient() as one, httpx.AsyncClient(http1=False, http2=True) as two:
        assert (await one.get(server.url)).text == "1.1"
        assert (await two.get(server.url)).text == "2"
    await server.close()
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url)


async def test_a_taken_port_is_an_error_and_a_freed_one_is_not():
    server = await serve_http(version, "127.0.0.1", 0)
    with pytest.raises(OSError, match="in use") as caught:
        await serve_http(version, "127.0.0.1", server.port)
    assert caught.value.errno == errno.EADDRINUSE
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.url)).text == "1.1"
    await server.close()
    again = await serve_http(version, "127.0.0.1", server.port)
    await again.close()


@pytest.mark.parametrize("http2", [False, True])
async def test_the_whole_tree_over_a_real_socket(api, http2):
    await api.add_device("dev")
    server = await serve_http(api.client._transport.app, "127.0.0.1", 0)
    async with httpx.AsyncClient(http1=not http2, http2=http2, base_url=server.url) as client:
        base = "/device-management-orchestrator/v3/main"
        answer = await client.post(
            f"{base}/device-communication/dev/outgoing-msg",
            content=b'{"m2m:cin": {"con": "GET /3\\n"}}',
            headers={"Content-Type": "application/json;ty=4", "X-M2M-Origin": "CTestApp", "X-M2M-RI": "123"},
        )
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert (answer.status_code, answer.headers["x-m2m-ri"]) == (201, "123")
        assert answer.json()["contentInstance"]["content"] == "GET /3\n"
        assert (await client.get(f"{base}/dev?ty=13&rcn=8")).json()["node"].keys() == {
            "credentials",
            "deviceInfo",
        }
        assert (await client.delete(f"{base}/dev")).status_code == 200
        assert (await client.get(f"{base}/dev")).status_code == 404
    await server.close()
