"""Credentials below ``/api/v1``: written, and seen only as far as they are no secret."""

import base64

import pytest

KEY = b"a key nobody may"
TEXT = base64.b64encode(KEY).decode()
PSK = {"mode": "psk", "identity": "id-1", "key": TEXT}


async def ask(api, method, path, body=None):
    return await api.call(method, path, body=body, base="/api/v1")


async def test_what_was_set_is_shown_without_its_secret(api):
    await api.add_device("one")
    path = "/devices/one/credentials"
    assert (await ask(api, "GET", path)).json() == {
        "management": {"mode": "nosec"},
        "bootstrap": {"mode": "none"},
    }
    answer = await ask(api, "PUT", f"{path}/management", PSK)
    shown = {"mode": "psk", "endpoint": "one", "identity": "id-1", "keySet": True}
    assert (answer.status_code, answer.json()) == (200, shown)
    oscore = {"mode": "oscore", "recipientId": "fedc", "senderId": "01", "masterSecret": KEY.hex()}
    answer = await ask(api, "PUT", f"{path}/bootstrap", {**oscore, "endpoint": "urn:own"})
    assert answer.json() == {
        "mode": "oscore",
        "endpoint": "urn:own",
        "recipientId": "fedc",
        "senderId": "01",
        "idContext": None,
        "aeadAlgorithm": 10,
        "hmacAlgorithm": -10,
        "masterSecretSet": True,
    }
    assert (await ask(api, "GET", path)).json() == {"management": shown, "bootstrap": answer.json()}
    details = (await ask(api, "GET", "/devices/one")).json()
    assert (details["security"], details["identity"]) == ("psk", "id-1")
    # One record: what the oneM2M tree shows is the same.
    assert (await api.get("/one/credentials")).json()["credentials"]["credentialID"] == "id-1"
    assert api.credentials.identities("management").psk(b"id-1").key == KEY


async def test_the_registration_ends_with_management_credentials_only(api):
    await api.add_device("one")
    await ask(api, "PUT", "/devices/one/credentials/bootstrap", PSK)
    assert api.devices.ended == []
    await ask(api, "PUT", "/devices/one/credentials/management", PSK)
    assert (await ask(api, "DELETE", "/devices/one/credentials/management")).status_code == 204
    assert api.devices.ended == ["one", "one"]
    shown = (await ask(api, "GET", "/devices/one/credentials")).json()
    assert (shown["management"]["mode"], shown["bootstrap"]["mode"]) == ("none", "psk")


async def test_a_removed_device_takes_its_credentials_along(api):
    await api.add_device("one")
    await ask(api, "PUT", "/devices/one/credentials/management", PSK)
    await api.delete("/one")
    assert api.credentials.identities("management").psk(b"id-1") is None
    await api.add_device("two")
    assert (await ask(api, "PUT", "/devices/two/credentials/management", PSK)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/devices/nobody/credentials", None, 404, "no device"),
        ("PUT", "/devices/nobody/credentials/management", PSK, 404, "no device"),
        ("PUT", "/devices/one/credentials/other", PSK, 404, "management or bootstrap"),
        ("PUT", "/devices/one/credentials/management", {"mode": "psk"}, 400, "identity"),
        ("PUT", "/devices/one/credentials/management", {**PSK, "key": KEY.decode()}, 400, "base64"),
        ("PUT", "/devices/one/credentials/management", PSK, 409, "security identity is taken"),
        ("PUT", "/devices/one/credentials/management", {"mode": "x509", "endpoint": "two"}, 409, "endpoint"),
        ("GET", "/credentials?after=x", None, 400, "after=x"),
        ("GET", "/credentials?after=1000000000000000000", None, 400, "is not what was given"),
        ("GET", "/credentials?tenant=nobody", None, 404, "no tenant"),
    ],
)
async def test_what_is_refused(api, method, path, body, status, words):
    await api.add_device("one")
    await api.add_device("two")
    await ask(api, "PUT", "/devices/two/credentials/management", PSK)
    answer = await ask(api, method, path, body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert KEY.decode() not in answer.text
    assert TEXT not in answer.text


async def test_lists_go_on_where_they_ended(api):
    for name in ("one", "two", "three"):
        await api.add_device(name)
        await ask(api, "PUT", f"/devices/{name}/credentials/management", {"mode": "x509"})
        await ask(api, "PUT", f"/devices/{name}/credentials/bootstrap", {**PSK, "identity": name})
    found, after = [], 0
    while after is not None:
        page = (await ask(api, "GET", f"/credentials?limit=1&after={after}")).json()
        found += [(row["device"], row["side"], row["mode"]) for row in page["credentials"]]
        after = page.get("next")
    sides = (("bootstrap", "psk"), ("management", "x509"))
    assert found == [(name, *side) for name in ("one", "two", "three") for side in sides]


async def test_no_answer_has_a_secret(api):
    await api.add_device("one")
    texts = [
        (await ask(api, "PUT", f"/devices/one/credentials/{side}", PSK)).text
        for side in ("management", "bootstrap")
    ]
    operators = ("/devices", "/devices/one", "/devices/one/credentials", "/credentials")
    texts += [(await ask(api, "GET", path)).text for path in operators]
    tree = ("/one/credentials", "/one?rcn=4", "/one?rcn=8", "?rcn=4&lvl=3")
    texts += [(await api.get(path)).text for path in tree]
    for secret in (TEXT, KEY.decode(), KEY.hex()):
        assert secret not in "".join(texts)
        assert secret not in repr(api.credentials.find(0, "management"))
