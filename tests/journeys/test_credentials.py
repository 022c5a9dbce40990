"""Who has credentials registers with them and in no other way; what is secret is seen nowhere."""

from __future__ import annotations

import base64

import pytest
from click.testing import CliRunner

from lwm2m_engine.coap import Code
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.simulator.device import RegistrationRefused


@pytest.fixture
def run(server):
    def run(*words):
        result = CliRunner().invoke(lwm2m, [*words, "--url", server.http])
        assert result.exit_code == 0, result.output
        return result.output

    return run


async def test_who_has_a_key_does_not_register_without(server, api, device, run):
    one = await device(server, "one", live=False)
    await one.register()
    assert (await api.get("one")).json()["node"]["labels"]
    run("credentials", "generate", "one")
    # The registration has ended with what it rested on, and cannot begin anew like that.
    assert (await one.update()).code == Code.NOT_FOUND
    with pytest.raises(RegistrationRefused, match="pre-shared key"):
        await one.register()
    assert "registration refused" in server.errors()
    assert "has a pre-shared key and has to use it" in server.errors()
    run("credentials", "add", "one", "--mode", "nosec")
    await one.register()
    run("credentials", "remove", "one")
    assert (await one.update()).code == Code.NOT_FOUND


KEY = b"a key that nobody may see"
TEXT = base64.b64encode(KEY).decode()


async def test_no_secret_is_seen_anywhere(serve, connect, device, tmp_path):
    """Everything that can be asked for, all files and all logs of a talkative server, searched."""
    (tmp_path / "lwm2m.toml").write_text('[log]\nlevel = "debug"\n')
    server = serve("--unknown-devices", "create", "--config", str(tmp_path / "lwm2m.toml"))
    api = connect(server)
    one = await device(server, "one", live=False, version="1.1")
    await one.register()
    trace = f"{server.http}/api/v1/devices/one/trace"
    assert (await api.client.put(trace)).is_success
    side = "/api/v1/devices/one/credentials/bootstrap"
    psk = {"mode": "psk", "identity": "id-1", "key": TEXT}
    oscore = {"mode": "oscore", "recipientId": "aa", "senderId": "bb", "masterSecret": KEY.hex()}
    texts = [(await api.put(side, document)).text for document in (psk, oscore, psk)]
    texts.append((await api.put(side, {**psk, "key": KEY.decode()})).text)
    texts.append((await api.put(side, {**oscore, "masterSecret": TEXT})).text)
    texts.append((await api.put("one/credentials", {"m2m:crds": {"crid": "id-2", "crse": TEXT}})).text)
    texts.append((await api.put("one/credentials", {"m2m:crds": {"crse": TEXT * 9}})).text)
    await one.update()
    with pytest.raises(RegistrationRefused):
        await one.register()
    paths = [
        "/api/v1/devices",
        "/api/v1/devices/one",
        "/api/v1/devices/one/credentials",
        "/api/v1/credentials",
        "?rcn=4&lvl=3",
        "one?rcn=4&lvl=2",
        f"one?rcn=8&crse={TEXT}",
    ]
    texts += [(await api.get(path)).text for path in paths]
    texts.append((await api.client.get(trace)).text)
    server.close()
    texts.append(server.errors())
    assert "id-1" in "".join(texts)
    files = b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file())
    assert b"id-1" in files
    for secret in (KEY.decode(), TEXT, KEY.hex()):
        assert secret not in "".join(texts)
        assert secret.encode() not in files
