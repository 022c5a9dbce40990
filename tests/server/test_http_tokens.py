"""``POST /auth/token``: OAuth 2.0 client credentials, as the D2C documents print them."""

import base64

import jwt
import pytest

from lwm2m_server.access.clients import MAX_WAITING

FORM = {"grant_type": "client_credentials"}


@pytest.fixture
async def secret(guard, settings):
    guarded = await guard(settings)
    return guarded, await guarded.add("my-app", "main", "admin")


async def test_basic_credentials(secret):
    guarded, password = secret
    answer = await guarded.client.post("/auth/token", data=FORM, auth=("my-app", password))
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    granted = answer.json()
    token = granted.pop("access_token")
    assert granted == {
        "expires_in": 300,
        "refresh_expires_in": 0,
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": "client-origin profile email",
    }
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["typ"], claims["clientId"], claims["azp"]) == ("Bearer", "my-app", "my-app")
    assert claims["tenants"] == ["main"]


async def test_credentials_in_the_form_and_a_scope(secret):
    guarded, password = secret
    form = {**FORM, "client_id": "my-app", "client_secret": password, "scope": "openid"}
    answer = await guarded.client.post("/auth/token", data=form)
    assert answer.status_code == 200
    assert answer.json()["scope"] == "openid"


@pytest.mark.parametrize("id", ["my-app", "nobody", "", "my-app\x00", "é" * 50])
async def test_wrong_credentials(secret, id):
    guarded, _ = secret
    answer = await guarded.client.post("/auth/token", data=FORM, auth=(id, "wrong"))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        ({"grant_type": "password"}, {}, 400, "unsupported_grant_type"),
        ({}, {}, 400, "invalid_request"),
        (FORM, {}, 401, "invalid_client"),
        (FORM, {"Authorization": "Bearer x"}, 401, "invalid_client"),
        (FORM, {"Authorization": "Basic !!!"}, 401, "invalid_client"),
        (FORM, {"Authorization": "Basic /w=="}, 401, "invalid_client"),
        ({**FORM, "client_secret": "x"}, {"Authorization": "Basic YTpi"}, 400, "invalid_request"),
        ({"grant_type": ["client_credentials"] * 2}, {}, 400, "invalid_request"),
        ({**FORM, "client_id": "x" * 5000}, {}, 400, "invalid_request"),
        ({str(number): "" for number in range(50)}, {}, 400, "invalid_request"),
    ],
)
async def test_what_is_no_request_for_a_token(secret, form, headers, status, error):
    guarded, _ = secret
    answer = await guarded.client.post("/auth/token", data=form, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_json_is_no_form(secret):
    guarded, _ = secret
    answer = await guarded.client.post("/auth/token", json=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_secret_is_stored_as_a_hash(secret, tmp_path):
    _, password = secret
    stored = (tmp_path / "inventory.json").read_text()
    assert "scrypt$" in stored
    assert password not in stored
    assert base64.b64encode(password.encode()).decode() not in stored


async def test_guessing_is_slowed_down(secret):
    guarded, password = secret
    statuses = []
    for number in range(25):
        answer = await guarded.client.post("/auth/token", data=FORM, auth=("my-app", f"guess{number}"))
        statuses.append(answer.status_code)
    assert statuses[:20] == [401] * 20
    assert statuses[-1] == 429
    answer = await guarded.client.post("/auth/token", data=FORM, auth=("my-app", password))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    # Others are not held up by it.
    other = await guarded.add("other", "main", "read")
    answer = await guarded.client.post("/auth/token", data=FORM, auth=("other", other))
    assert answer.status_code == 200


async def test_too_many_at_once_are_asked_to_come_again(secret):
    guarded, password = secret
    guarded.control.clients._waiting = MAX_WAITING
    answer = await guarded.client.post("/auth/token", data=FORM, auth=("my-app", password))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_without_clients_everybody_gets_one(guard, settings):
    guarded = await guard(settings)
    token = await guarded.token("any", "thing")
    headers = {"Authorization": f"Bearer {token}"}
    answer = await guarded.call("GET", "main", headers=headers)
    assert answer.status_code == 200
    await guarded.add("boss", "main", "admin")
    # It was nobody's: now that there are clients it is good for nothing.
    assert (await guarded.call("GET", "main", headers=headers)).status_code == 401
