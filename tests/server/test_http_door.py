"""The door: who has no good token stays outside, whatever the path; nobody gets beyond their tenant."""

import asyncio
import time
from itertools import product

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lwm2m_server.http.door import Door

PATHS = ["main", "/api/v1/devices", "/api/v1/clients", "/main", "/~/main/device-communication", "/nothing"]


def claims_of(headers):
    return jwt.decode(headers["Authorization"].split()[1], options={"verify_signature": False})


def header_of(headers):
    return jwt.get_unverified_header(headers["Authorization"].split()[1])


async def refused(guarded, token, reason):
    """Everywhere, with a challenge that says why."""
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("main", "/api/v1/devices"):
        answer = await guarded.call("GET", path, headers=headers)
        assert answer.status_code == 401, answer.text
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="lwm2m", error="invalid_token"')
        assert reason in challenge, challenge


async def test_without_a_token_there_is_nothing(guarded):
    for method, path in product(("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"), PATHS):
        answer = await guarded.call(method, path)
        assert answer.status_code == 401, (method, path)
        # RFC 6750, 3.1: no error code for who sent nothing.
        assert answer.headers["www-authenticate"] == 'Bearer realm="lwm2m"'


async def test_what_is_for_everybody_is_nothing_more(guarded):
    """With other methods these are paths of the tree like any other."""
    paths = ("/auth/token", "/healthz", "/readyz", "/openapi.json", "/metrics")
    for method, path in product(("GET", "POST", "PUT", "DELETE", "PATCH"), paths):
        ty = 2 if method == "POST" else None
        answer = await guarded.call(method, path, ty=ty, json={"m2m:ae": {"api": "N.x"}})
        assert answer.status_code in (400, 404, 405), (method, path, answer.text)


async def test_refusals_have_the_form_of_the_interface(guarded):
    problem = await guarded.call("GET", "/api/v1/devices")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 401
    tree = await guarded.call("GET", "main")
    assert "m2m:dbg" in tree.json()
    assert (tree.headers["x-m2m-rsc"], tree.headers["x-m2m-ri"]) == ("4103", "1")


async def test_a_good_token_opens(guarded):
    for path in ("main", "/api/v1/devices"):
        assert (await guarded.call("GET", path, "boss")).status_code == 200
    lower = {"Authorization": guarded.headers["boss"]["Authorization"].replace("Bearer", "bearer")}
    assert (await guarded.call("GET", "main", headers=lower)).status_code == 200


# --- expired and forged ------------------------------------------------------------------------------


def signed(guarded, **changes):
    """A token as the server signs it, with other claims."""
    key = guarded.control.keys.signing()
    claims = claims_of(guarded.headers["boss"]) | changes
    return jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.id})


async def test_expired(guarded):
    await refused(guarded, signed(guarded, exp=int(time.time()) - 1), "expired")


async def test_it_expires_while_it_is_remembered(guarded, monkeypatch):
    assert (await guarded.call("GET", "main", "boss")).status_code == 200
    late = time.monotonic() + 301
    monkeypatch.setattr("lwm2m_server.http.door.time.monotonic", lambda: late)
    monkeypatch.setattr("jwt.api_jwt.datetime", Late)
    assert (await guarded.call("GET", "main", "boss")).status_code == 401


class Late:
    """``datetime`` 301 seconds ahead."""

    @staticmethod
    def now(tz):
        from datetime import datetime, timedelta

        return datetime.now(tz) + timedelta(seconds=301)


async def test_for_somebody_else(guarded):
    await refused(guarded, signed(guarded, aud="urn:lwm2m:elsewhere"), "somebody else")
    await refused(guarded, signed(guarded, iss="https://evil.example"), "not trusted")


async def test_each_claim_is_needed(guarded):
    key = guarded.control.keys.signing()
    for claim in ("exp", "aud", "sub", "since", "iat", "iss"):
        claims = claims_of(guarded.headers["boss"])
        del claims[claim]
        token = jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.id})
        headers = {"Authorization": f"Bearer {token}"}
        assert (await guarded.call("GET", "main", headers=headers)).status_code == 401, claim


async def test_unsigned(guarded):
    claims, header = claims_of(guarded.headers["boss"]), header_of(guarded.headers["boss"])
    token = jwt.encode(claims, None, algorithm="none", headers={"kid": header["kid"]})
    await refused(guarded, token, "not good")


async def test_signed_with_another_key(guarded):
    key = ec.generate_private_key(ec.SECP256R1())
    for kid in (header_of(guarded.headers["boss"])["kid"], "another", None):
        claims = claims_of(guarded.headers["boss"]) | {"role": "system"}
        token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid} if kid else None)
        await refused(guarded, token, "")


async def test_the_public_key_is_no_secret(guarded):
    """Signed with HMAC, the public key as the shared secret."""
    key = guarded.control.keys.signing()
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [jwt.utils.base64url_encode(text) for text in (b'{"alg":"HS256","kid":"%s"}' % key.id.encode(),)]
    body = guarded.headers["boss"]["Authorization"].split()[1].split(".")[1].encode()
    message = b".".join([*parts, body])
    token = b".".join([message, jwt.utils.base64url_encode(hmac.sign(message, public))]).decode()
    await refused(guarded, token, "not good")


async def test_rubbish(guarded):
    nest = jwt.utils.base64url_encode(b"[" * 2500).decode()
    rubbish = ["", "x", "a.b.c", "....", "é", "e30.e30.e30", "x" * 9000, "W10.W10.W10", "bnVsbA.bnVsbA.AA"]
    for token in [*rubbish, f"{nest}.{nest}.AA"]:
        headers = {"Authorization": f"Bearer {token}".encode()}
        assert (await guarded.call("GET", "main", headers=headers)).status_code == 401, token


async def test_changed_by_a_letter(guarded):
    header, body, signature = guarded.headers["eye"]["Authorization"].split()[1].split(".")
    claims = jwt.utils.base64url_decode(body).replace(b'"role":"read"', b'"role":"admi"')
    other = ".".join([header, jwt.utils.base64url_encode(claims).decode(), signature])
    await refused(guarded, other, "not good")


async def test_another_scheme(guarded):
    answer = await guarded.call("GET", "main", headers={"Authorization": "Basic YTpi"})
    assert answer.status_code == 401


# --- revocation and rotation -------------------------------------------------------------------------


async def test_revocation_is_in_force_at_once(guarded):
    assert (await guarded.call("GET", "/api/v1/devices", "eye")).status_code == 200
    assert (await guarded.call("DELETE", "/api/v1/clients/eye", "boss")).status_code == 204
    assert (await guarded.call("GET", "/api/v1/devices", "eye")).status_code == 401
    # One of the same name is another.
    old = guarded.headers["eye"]
    await guarded.add("eye", "main", "read")
    assert (await guarded.call("GET", "/api/v1/devices", "eye")).status_code == 200
    assert (await guarded.call("GET", "/api/v1/devices", headers=old)).status_code == 401


async def test_without_the_last_client_nobody_comes_in(guarded):
    for client in list(guarded.control.clients.all()):
        await guarded.control.clients.revoke(client.id)
    assert (await guarded.call("GET", "main", "boss")).status_code == 401
    assert (await guarded.call("GET", "main")).status_code == 401


async def test_a_new_signing_key_leaves_tokens_good_unless_it_is_urgent(guarded):
    assert (await guarded.call("POST", "/api/v1/signing-key", "boss")).status_code == 403
    assert (await guarded.call("POST", "/api/v1/signing-key", "root")).status_code == 200
    assert (await guarded.call("GET", "main", "boss")).status_code == 200
    answer = await guarded.call("POST", "/api/v1/signing-key?atOnce=true", "root")
    assert answer.status_code == 200
    assert (await guarded.call("GET", "main", "boss")).status_code == 401


# --- streams and names -------------------------------------------------------------------------------


async def test_without_clients_it_answers_for_its_own_names_only(guard, settings):
    guarded = await guard(settings)
    rebound = {"Host": "evil.example"}
    assert (await guarded.call("GET", "main", headers=rebound)).status_code == 421
    await guarded.add("boss", "main", "admin")
    assert (await guarded.call("GET", "main", "boss", headers=rebound)).status_code == 200


class Stream:
    """An endless answer, a line whenever somebody asks for one."""

    def __init__(self):
        self.lines = asyncio.Queue()

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            body = await self.lines.get()
            await send({"type": "http.response.body", "body": body, "more_body": True})


def follow(guarded, settings, *headers):
    """A stream, and what somebody with these headers hears of it."""
    stream, heard = Stream(), asyncio.Queue()
    door = Door(stream, guarded.control.access, guarded.control.audit, settings)
    scope = {"type": "http", "method": "GET", "path": "/api/v1/events", "headers": headers}

    async def send(message):
        heard.put_nowait(message.get("body"))

    return stream.lines, heard, asyncio.create_task(door(scope, None, send))


async def test_a_stream_ends_with_its_token(guarded, settings):
    token = guarded.headers["eye"]["Authorization"].encode()
    lines, heard, task = follow(guarded, settings, (b"authorization", token))
    assert await heard.get() is None
    lines.put_nowait(b"one")
    assert await heard.get() == b"one"
    # Forgotten is not refused.
    guarded.control.access.forget()
    lines.put_nowait(b"two")
    assert await heard.get() == b"two"
    await guarded.control.clients.revoke("eye")
    lines.put_nowait(b"three")
    assert await heard.get() == b""
    await asyncio.wait_for(task, 10)


async def test_a_stream_that_anybody_had_ends_with_the_first_client(guard, settings):
    guarded = await guard(settings)
    lines, heard, task = follow(guarded, settings)
    assert await heard.get() is None
    lines.put_nowait(b"one")
    assert await heard.get() == b"one"
    await guarded.add("boss", "main", "admin")
    lines.put_nowait(b"two")
    assert await heard.get() == b""
    await asyncio.wait_for(task, 10)
