"""The webhook: what is posted where, and what a sink cannot do to the server."""

import asyncio
import re

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.addresses import AddressGuard, parse_network
from lwm2m_server.sinks.headers import BadHeader, read_headers
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry
from lwm2m_server.sinks.targets import check_url
from lwm2m_server.sinks.webhook import WebHooks
from lwm2m_server.store.records import Lane, Notice

NOTICE = Notice(0xABC, Lane("main", "CApp"), 1, "device001", '{"m2m:sgn":{"nev":{"net":3}}}')
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
async def hooks():
    """``hooks(timeout=1)`` makes a factory that may post to this machine."""
    made = []

    def hooks(allow=("127.0.0.1", "::1"), **settings):
        made.append(WebHooks(DeliverySettings(allow=allow, **settings)))
        return made[-1]

    yield hooks
    for one in made:
        await one.close()


def sink(hooks, *addresses, headers=()):
    return hooks(Endpoint("main", "WebHook", addresses, headers))


async def test_notices_are_posted_over_one_connection(hooks, listen):
    receiver = await listen()
    receiver.answer = lambda body: OK
    webhook = sink(hooks(), receiver.url, headers=("Authorization: Bearer a:b", "log-level:debug"))
    for _ in range(3):
        await webhook.deliver([NOTICE])
    assert receiver.bodies == [{"m2m:sgn": {"nev": {"net": 3}}}] * 3
    assert receiver.connections == 1
    lines = receiver.requests[0][0]
    assert lines[0] == "POST /hook HTTP/1.1"
    assert {line.lower() for line in lines[1:]} >= {
        "x-m2m-ri: abc",
        "x-m2m-origin: /main",
        "x-m2m-rvi: 4",
        "content-type: application/json",
        "authorization: bearer a:b",
        "log-level: debug",
    }


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 X"])
async def test_2xx_is_success(hooks, listen, status):
    receiver = await listen()
    receiver.answer = lambda body: f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    await sink(hooks(), receiver.url).deliver([NOTICE])


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 410, 429, 500, 503])
async def test_nothing_else_is_and_redirects_are_not_followed(hooks, listen, status):
    receiver, elsewhere = await listen(), await listen()
    head = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
    receiver.answer = lambda body: head.encode()
    with pytest.raises(Retry, match=f"answered {status}"):
        await sink(hooks(), receiver.url).deliver([NOTICE])
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("x", None)]
)
async def test_retry_after(hooks, listen, text, seconds):
    receiver = await listen()
    head = f"HTTP/1.1 503 Busy\r\nRetry-After: {text}\r\nContent-Length: 0\r\n\r\n"
    receiver.answer = lambda body: head.encode()
    with pytest.raises(Retry) as caught:
        await sink(hooks(), receiver.url).deliver([NOTICE])
    assert caught.value.after == seconds


async def test_addresses_are_tried_in_order(hooks, listen):
    first, second = await listen(), await listen()
    webhook = sink(hooks(), first.url, second.url)
    await webhook.deliver([NOTICE])
    assert (len(first.requests), len(second.requests)) == (1, 0)
    first.answer = lambda body: b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
    await webhook.deliver([NOTICE])
    assert (len(first.requests), len(second.requests)) == (2, 1)
    second.answer = first.answer
    with pytest.raises(Retry, match=r"500.*; .*500"):
        await webhook.deliver([NOTICE])


async def never(body):
    await asyncio.sleep(60)


async def test_a_sink_that_says_nothing(hooks, listen):
    receiver = await listen()
    receiver.answer = never
    with pytest.raises(Retry, match="in time"):
        await sink(hooks(answer_timeout=0.1), receiver.url).deliver([NOTICE])


async def trickle(writer, data):
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500, b"HTTP/1.1 100 Continue\r\n\r\n" * 100],
    ids=["head", "1xx"],
)
async def test_a_slow_loris_in_the_head(hooks, listen, data):
    receiver = await listen()
    receiver.answer = lambda body: trickle(receiver.writer, data)
    with pytest.raises(Retry, match="in time"):
        await sink(hooks(answer_timeout=0.3), receiver.url).deliver([NOTICE])


async def test_a_slow_loris_in_the_body(hooks, listen):
    receiver = await listen()
    receiver.answer = lambda body: trickle(
        receiver.writer, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500
    )
    with pytest.raises(Retry, match="in time"):
        await sink(hooks(timeout=0.5), receiver.url).deliver([NOTICE])


async def test_an_endless_answer_is_not_read_to_its_end(hooks, listen):
    receiver = await listen()
    sent = 0

    async def flood(body):
        nonlocal sent
        receiver.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 100_000_000:
            receiver.writer.write(b"x" * 65_536)
            sent += 65_536
            await receiver.writer.drain()

    receiver.answer = flood
    await sink(hooks(), receiver.url).deliver([NOTICE])
    assert sent < 20_000_000


async def test_an_answer_that_is_none(hooks, listen):
    receiver = await listen()
    receiver.answer = lambda body: b"SSH-2.0-OpenSSH\r\n"
    with pytest.raises(Retry):
        await sink(hooks(), receiver.url).deliver([NOTICE])


async def test_a_password_is_in_no_reason(hooks, listen):
    receiver = await listen()
    receiver.answer = lambda body: b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
    address = receiver.url.replace("://", "://me:hidden@")
    for headers, reason in (((), "answered 500"), (("Authorization: x",), "Cannot combine")):
        with pytest.raises(Retry, match=f"http://me:\\*\\*\\*@127.0.0.1.*{reason}") as refusal:
            await sink(hooks(), address, headers=headers).deliver([NOTICE])
        assert "hidden" not in str(refusal.value)


async def test_nobody_there(hooks, listen):
    receiver = await listen()
    receiver.close()
    with pytest.raises(Retry, match=r"127\.0\.0\.1"):
        await sink(hooks(), receiver.url).deliver([NOTICE])


# --- addresses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
        *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200"),
        *("224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "2002:7f00:1::", "64:ff9b::7f00:1"),
    ],
)
def test_what_is_not_for_notices(address):
    assert AddressGuard().refusal(address) is not None


@pytest.mark.parametrize("address", ["93.184.216.34", "10.0.0.5", "192.168.1.1", "2001:db8:1::1", "fd12::1"])
def test_what_is(address):
    assert AddressGuard().refusal(address) is None


def test_what_the_operator_allows():
    guard = AddressGuard([parse_network("127.0.0.0/8")])
    assert guard.refusal("127.3.2.1") is None
    assert guard.refusal("::ffff:127.0.0.1") is None
    assert guard.refusal("::1") is not None


def test_what_is_allowed_must_be_networks():
    with pytest.raises(SettingsError, match=r"deliveries\.allow"):
        WebHooks(DeliverySettings(allow=("localhost",)))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]:8080/", "http://169.254.169.254/latest/meta-data/"]
)
async def test_a_url_with_such_an_address_makes_no_sink(hooks, url):
    with pytest.raises(Refused):
        sink(hooks(allow=()), url)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1"])
async def test_what_a_name_means_is_looked_at_when_it_is_connected(hooks, listen, host):
    receiver = await listen()
    webhook = sink(hooks(allow=()), receiver.url.replace("127.0.0.1", host))
    with pytest.raises(Retry, match=r"this machine|resolve|known|Name|canonical"):
        await webhook.deliver([NOTICE])
    assert receiver.connections == 0


async def test_a_name_that_means_something_else_the_next_time_leads_nowhere(hooks, listen, monkeypatch):
    """DNS rebinding: only the address that was looked at is connected to."""
    receiver = await listen()
    port = int(re.search(r":(\d+)/", receiver.url)[1])
    asked = []

    async def resolve(host, *arguments, **more):
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    webhook = sink(hooks(allow=(), connect_timeout=0.2), f"http://rebind.example:{port}/")
    with pytest.raises(Retry):
        await webhook.deliver([NOTICE])
    with pytest.raises(Retry, match="this machine"):
        await sink(hooks(allow=()), f"http://rebind.example:{port}/").deliver([NOTICE])
    assert receiver.connections == 0


# --- what applications say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        *("no colon", ": value", "bad name: x", "X: a\r\nY: b", "X: a\nb", "X: \x00", "X\r\nY: b", "Ünï: x"),
        *("Host: elsewhere", "content-length: 0", "Transfer-Encoding: chunked", "X-M2M-Origin: CAdmin"),
    ],
)
def test_headers_that_are_none(line):
    with pytest.raises(BadHeader):
        read_headers([line])
    with pytest.raises(Refused, match="poah"):
        WebHooks(DeliverySettings())(Endpoint("main", "WebHook", ("https://sink.example/",), (line,)))


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "http:///path", "https://x:99999/", "http://a b/", "file:///etc/passwd"]
)
def test_urls_that_are_none(url):
    with pytest.raises(ValueError, match=r"."):
        check_url(url)
