"""Who gets into the console, how long they stay, and what no other site can make them do."""

import re

import attrs
import httpx
import lxml.html
import pytest

from lwm2m_server.console import sessions as sessions_module
from lwm2m_server.console.proofs import NoProof
from lwm2m_server.console.sessions import LONGEST, MAX_DRAFTS, MAX_SESSIONS, Sessions
from lwm2m_server.console.site import Console
from lwm2m_server.settings import ConsoleSettings

INSIDE = "/console/nowhere"
"""A page that is not there for those who are signed in, and not shown to others."""


class Browser:
    """One that keeps cookies and follows nothing by itself."""

    def __init__(self, guarded, settings, **more):
        self.guarded, self.settings = guarded, settings
        transport = httpx.ASGITransport(Console(guarded.app, guarded.control, settings))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", **more)

    async def get(self, path, **headers):
        return await self.client.get(path, headers=headers)

    async def post(self, path, fields, **headers):
        return await self.client.post(path, data=fields, headers=headers)

    async def sign_in(self, client, secret, **headers):
        return await self.post("/console/sign-in", {"client": client, "secret": secret}, **headers)

    async def csrf(self):
        page = await self.get(INSIDE)
        return lxml.html.document_fromstring(page.text).xpath("//input[@name='csrf']/@value")[0]


@pytest.fixture
async def browser(guarded, settings):
    browser = Browser(guarded, settings)
    async with browser.client:
        yield browser


async def test_a_stranger_is_asked_to_sign_in_and_comes_back(browser):
    answer = await browser.get("/console/devices?q=a%20b")
    assert answer.status_code == 303
    where = answer.headers["location"]
    assert where == "/console/sign-in?next=/console/devices%3Fq%3Da%2520b"
    secret = await browser.guarded.add("alice", "main", "operate")
    signed_in = await browser.post(where, {"client": "alice", "secret": secret})
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/console/devices?q=a%20b")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/console/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/api/v1/devices",
        "/console/sign-in",
        "/console/\\evil.example",
    ],
)
async def test_nobody_is_sent_elsewhere_after_signing_in(browser, elsewhere):
    secret = await browser.guarded.add("alice", "main", "read")
    answer = await browser.client.post(
        "/console/sign-in", params={"next": elsewhere}, data={"client": "alice", "secret": secret}
    )
    assert answer.headers["location"] == "/console/"


async def test_a_session_is_a_cookie_that_scripts_cannot_read(browser):
    secret = await browser.guarded.add("alice", "main", "read")
    answer = await browser.sign_in("alice", secret)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert "Secure" not in cookie, "over plain HTTP it would never come back"
    page = await browser.get(INSIDE)
    assert "alice" in page.text
    assert secret not in page.text
    assert "Bearer" not in page.text


async def test_over_tls_the_cookie_stays_there(guarded, settings):
    transport = httpx.ASGITransport(Console(guarded.app, guarded.control, settings))
    secret = await guarded.add("alice", "main", "read")
    async with httpx.AsyncClient(transport=transport, base_url="https://127.0.0.1") as client:
        answer = await client.post("/console/sign-in", data={"client": "alice", "secret": secret})
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_wrong_secret(browser):
    await browser.guarded.add("alice", "main", "read")
    for name in ("alice", "nobody"):
        answer = await browser.sign_in(name, "wrong")
        assert answer.status_code == 401
        assert "no client id with its secret" in answer.text
        assert "set-cookie" not in answer.headers


async def test_wrong_secrets_are_counted_at_all_doors_together(browser):
    """Guessing here and at ``/auth/token`` by turns gains nothing."""
    await browser.guarded.add("alice", "main", "read")
    for _ in range(10):
        assert (await browser.sign_in("alice", "wrong")).status_code == 401
        form = {"grant_type": "client_credentials"}
        await browser.guarded.client.post("/auth/token", data=form, auth=("alice", "wrong"))
    assert (await browser.sign_in("alice", "wrong")).status_code == 429


async def test_a_token_alone_is_proof_as_well(browser):
    token = browser.guarded.headers["eye"]["Authorization"].removeprefix("Bearer ")
    assert (await browser.sign_in("", token)).status_code == 303
    assert "eye" in (await browser.get(INSIDE)).text
    refused = await browser.sign_in("", token + "x")
    assert refused.status_code == 401


async def test_who_is_revoked_is_out_at_once(browser):
    secret = await browser.guarded.add("alice", "main", "read")
    await browser.sign_in("alice", secret)
    assert (await browser.get(INSIDE)).status_code == 404
    await browser.guarded.control.clients.revoke("alice")
    assert (await browser.get(INSIDE)).status_code == 303
    # One of the same name, added later, is another.
    await browser.guarded.add("alice", "main", "admin")
    assert (await browser.get(INSIDE)).status_code == 303


async def test_sign_out_ends_the_session_for_every_copy_of_the_cookie(browser):
    secret = await browser.guarded.add("alice", "main", "read")
    await browser.sign_in("alice", secret)
    stolen = dict(browser.client.cookies)
    answer = await browser.post("/console/sign-out", {"csrf": await browser.csrf()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    browser.client.cookies.update(stolen)
    assert (await browser.get(INSIDE)).status_code == 303


async def test_signing_in_and_out_is_in_the_audit_log(browser, eventually):
    secret = await browser.guarded.add("alice", "main", "read")
    await browser.sign_in("alice", secret)
    await browser.post("/console/sign-out", {"csrf": await browser.csrf()})

    async def written():
        answer = await browser.guarded.client.get("/api/v1/audit", headers=browser.guarded.headers["boss"])
        found = [one["action"] for one in answer.json()["entries"] if one["client"] == "alice"]
        return len(found) > 1 and found

    assert await eventually(written) == ["sign out", "sign in"]


async def test_a_form_without_the_token_of_the_session_does_nothing(browser):
    secret = await browser.guarded.add("alice", "main", "read")
    await browser.sign_in("alice", secret)
    for fields in ({}, {"csrf": ""}, {"csrf": "x" * 32}, {"csrf": "ü"}):
        assert (await browser.post("/console/sign-out", fields)).status_code == 403
    assert (await browser.get(INSIDE)).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
async def test_what_another_site_sends_is_refused(browser, headers):
    secret = await browser.guarded.add("alice", "main", "read")
    assert (await browser.sign_in("alice", secret, **headers)).status_code == 403
    await browser.sign_in("alice", secret)
    token = await browser.csrf()
    assert (await browser.post("/console/sign-out", {"csrf": token}, **headers)).status_code == 403


async def test_forms_are_bounded(browser):
    huge = b"client=a&secret=" + b"x" * 20_000
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await browser.client.post("/console/sign-in", content=huge, headers=kind)
    assert answer.status_code == 413
    answer = await browser.client.post(
        "/console/sign-in", content=b"{}", headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 400
    broken = {"content-type": "multipart/form-data"}
    assert (await browser.client.post("/console/sign-in", content=b"x", headers=broken)).status_code == 400


async def test_without_clients_nobody_signs_in_and_only_this_machine_is_heard(guard, settings):
    guarded = await guard(settings)
    browser = Browser(guarded, settings)
    async with browser.client:
        page = await browser.get(INSIDE)
        assert page.status_code == 404
        assert "No API clients are configured" in page.text
        assert (await browser.get("/console/sign-in")).headers["location"] == "/console/"
        assert (await browser.get("/console/", host="evil.example")).status_code == 421
        # A form still needs the token of its session.
        assert (await browser.post("/console/theme", {"theme": "dark"})).status_code == 403
        token = await browser.csrf()
        chosen = await browser.post("/console/theme", {"theme": "dark", "csrf": token})
        assert chosen.status_code == 303
        assert 'data-theme="dark"' in (await browser.get(INSIDE)).text
        # With the first client the session of those days is worth nothing.
        await guarded.add("boss", "main", "admin")
        assert (await browser.get(INSIDE)).status_code == 303


async def test_every_answer_has_the_headers_that_keep_a_page_to_itself(browser):
    secret = await browser.guarded.add("alice", "main", "read")
    await browser.sign_in("alice", secret)
    paths = (
        "/console/",
        "/console/sign-in",
        "/console/nowhere",
        "/console/static/console.css",
        "/console/static/x",
    )
    for path in paths:
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in headers["cache-control"]) == ("static/console" not in path)
    stranger = httpx.ASGITransport(Console(browser.guarded.app, browser.guarded.control, browser.settings))
    async with httpx.AsyncClient(transport=stranger, base_url="http://127.0.0.1") as client:
        assert "default-src 'none'" in (await client.get("/console/")).headers["content-security-policy"]


async def test_files_may_be_kept_as_long_as_they_are_the_same(browser):
    page = await browser.get("/console/sign-in")
    (style,) = re.findall(r'href="(/console/static/console\.css\?[0-9a-f]+)"', page.text)
    answer = await browser.get(style, **{"accept-encoding": "gzip"})
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    plain = await browser.get("/console/static/console.css", **{"accept-encoding": "identity"})
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.text == answer.text
    for path in ("vendor%2f..%2f..%2fsite.py", "..%2fsite.py", "vendor.toml", "console.css/"):
        assert (await browser.get(f"/console/static/{path}")).status_code == 404


async def test_the_role_system_looks_at_no_devices(browser):
    secret = await browser.guarded.add("keeper", None, "system")
    await browser.sign_in("keeper", secret)
    page = await browser.get("/console/")
    assert page.status_code == 200
    assert "Devices" not in page.text


async def test_programs_are_not_sent_to_pages(browser):
    for path, headers in (("/", {}), ("/consolex", {}), ("/", {"accept": "application/json"})):
        assert (await browser.get(path, **headers)).status_code == 401
    assert (await browser.get("/", accept="text/html")).headers["location"] == "/console/"


def test_sessions_end_by_idleness_by_age_and_by_number():
    now = 0.0
    sessions = Sessions(100.0, clock=lambda: now)
    idle, _ = sessions.begin(NoProof(None))
    busy, session = sessions.begin(NoProof(None))
    now = 60.0
    assert sessions.find(busy) is session
    assert sessions.find(idle, is_use=False) is not None
    now = 101.0
    assert sessions.find(idle) is None
    while now < LONGEST:
        assert sessions.find(busy) is session
        now += 99.0
    assert sessions.find(busy) is None
    first, _ = sessions.begin(NoProof(None))
    others = [sessions.begin(NoProof(None))[0] for _ in range(MAX_SESSIONS)]
    assert sessions.find(first) is None
    assert sessions.find(others[-1]) is not None
    assert sessions.find("") is None


def test_the_memory_holds_no_cookies_and_few_drafts():
    sessions = Sessions(100.0)
    value, session = sessions.begin(NoProof(None))
    assert value.encode() not in repr(vars(sessions)).encode()
    for number in range(MAX_DRAFTS + 5):
        session.keep(f"draft {number}", number)
    assert len(session.drafts) == MAX_DRAFTS
    assert "draft 0" not in session.drafts
    assert sessions_module.COOKIE == "lwm2m_session"


async def test_it_can_be_left_out(guard, settings):
    guarded = await guard(settings)
    browser = Browser(guarded, attrs.evolve(settings, console=ConsoleSettings(enabled=False)))
    async with browser.client:
        for path in ("/console/", "/console/sign-in", "/console", "/"):
            answer = await browser.get(path, accept="text/html")
            assert answer.status_code >= 400
            assert "text/html" not in answer.headers["content-type"]
