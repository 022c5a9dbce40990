"""HTTPS: HTTP/2 by ALPN, certificates that are replaced while requests are under way, files that are none."""

import asyncio
import ssl

import httpx
import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.http.serving import serve_http
from lwm2m_server.http.tls import Certificate


@pytest.fixture
def certificate(authority):
    return Certificate.load(*authority.issue("localhost"))


@pytest.fixture
def trusting(authority):
    return ssl.create_default_context(cafile=str(authority.trust))


async def version(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['scheme']} {scope['http_version']}".encode()})


async def test_https_in_both_versions_and_nothing_in_clear(certificate, trusting):
    server = await serve_http(version, "localhost", 0, certificate)
    assert server.url == f"https://localhost:{server.port}"
    async with (
        httpx.AsyncClient(verify=trusting) as one,
        httpx.AsyncClient(verify=trusting, http2=True) as two,
    ):
        assert (await one.get(server.url)).text == "https 1.1"
        answer = await two.get(server.url)
        assert (answer.http_version, answer.text) == ("HTTP/2", "https 2")
        with pytest.raises(httpx.HTTPError):
            await one.get(server.url.replace("https", "http"))
    await server.close()


async def test_nothing_older_than_tls_1_2(certificate, trusting):
    server = await serve_http(version, "localhost", 0, certificate)
    trusting.minimum_version = trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    async with httpx.AsyncClient(verify=trusting) as client:
        assert (await client.get(server.url)).status_code == 200
    await server.close()


async def test_a_new_certificate_drops_no_request(authority, certificate, trusting, eventually):
    """One under way is answered by the former listener, new ones by the other."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        if scope["path"] == "/slow":
            begun.set()
            await release.wait()
        await version(scope, receive, send)

    server = await serve_http(slow, "localhost", 0, certificate)
    newer = Certificate.load(*authority.issue("localhost", days=60, file="newer"))

    async def is_new():
        # What the kernel gave the former listener at the very moment it closed has to connect again.
        try:
            return await newer.is_shown("localhost", server.port)
        except OSError:
            return False

    async with httpx.AsyncClient(verify=trusting, base_url=server.url, timeout=60) as client:
        waiting = asyncio.create_task(client.get("/slow"))
        await asyncio.wait_for(begun.wait(), 10)
        await server.renew(newer)
        await eventually(is_new, 20)
        release.set()
        assert (await waiting).status_code == 200
    await server.close()


async def test_the_same_certificate_changes_nothing(certificate):
    server = await serve_http(version, "localhost", 0, certificate)
    listener = server._listener
    await server.renew(Certificate.load(certificate.chain, certificate.key))
    assert server._listener is listener
    await server.close()


def test_files_that_are_no_certificate_are_refused(authority, tmp_path):
    chain, key = authority.issue("localhost")
    _, other = authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for files in ((chain, other), (empty, key), (chain, empty), (chain, tmp_path / "none"), (key, chain)):
        with pytest.raises(SettingsError, match=r"http_cert, http_key_file: .*"):
            Certificate.load(*files)
