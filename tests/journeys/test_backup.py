"""A server started from a backup has everything; without the key files it opens no secret."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile

import pytest

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

COMMAND = [sys.executable, "-m", "lwm2m_server.launcher", "backup"]
OUTGOING = "device-communication/meter/outgoing-msg"


async def test_a_server_from_a_backup_has_everything(serve, connect, device, eventually, tmp_path):
    server = serve("--unknown-devices", "create")
    api = connect(server)
    node = {"m2m:nod": {"rn": "meter", "ni": "urn:dev:meter", "lbl": ["hall:3"]}}
    assert (await api.post("", 14, node)).status_code == 201
    secret = {"m2m:crds": {"dc": "c", "mgd": 1029, "rn": "credentials", "crid": "a", "crse": "dGVzdA=="}}
    await api.delete("meter/credentials")
    assert (await api.post("meter", 13, secret)).status_code == 201
    waiting = await api.wish("meter", "GET /3/0/9")
    application = {"m2m:ae": {"rn": "billing", "api": "NBilling", "rr": False, "srv": ["3"]}}
    assert (await api.post("", 2, application)).status_code == 201
    registered = await device(server, "device001")

    async def read_at_register() -> bool:
        return {one["resourcePath"] for one in await api.messages("device001")} == {"3/0", "6/0"}

    await eventually(read_at_register)
    await registered.stop()
    seen = await api.get("device001?rcn=8")

    file = tmp_path / "backup.tar"
    done = subprocess.run(  # noqa: ASYNC221 - the server is another process
        [*COMMAND, file, "--data", server.data], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "key files: none" in done.stderr
    # What comes later is not in it.
    await api.wish("meter", "GET /3/0/10")
    keys = server.data / "credentials.key"
    shutil.copy(keys, tmp_path / "credentials.key")
    server.kill()
    assert b"dGVzdA" not in file.read_bytes()

    restored = tmp_path / "restored"
    restored.mkdir(mode=0o700)
    with tarfile.open(file) as archive:
        archive.extractall(restored)
    shutil.copy(tmp_path / "credentials.key", restored)
    shutil.rmtree(server.data)
    restored.rename(server.data)
    server.restart()
    (message,) = (await api.get(f"{OUTGOING}?rcn=8")).json()["container"]["contentInstance"]
    assert message["resourceID"] == waiting["resourceID"]
    assert (await api.get("billing")).status_code == 200
    again = await api.get("device001?rcn=8")
    assert again.json() == seen.json()
    shown = (await api.client.get(f"{server.http}/api/v1/devices/meter/credentials")).json()
    assert shown["management"]["keySet"] is True


async def test_without_its_key_it_does_not_start(serve, connect, tmp_path):
    server = serve()
    api = connect(server)
    node = {"m2m:nod": {"rn": "meter", "ni": "urn:dev:meter"}}
    assert (await api.post("", 14, node)).status_code == 201
    psk = {"mode": "psk", "identity": "a", "key": "dGVzdA=="}
    url = f"{server.http}/api/v1/devices/meter/credentials/management"
    assert (await api.client.put(url, json=psk)).status_code == 200
    file = tmp_path / "backup.tar"
    subprocess.run([*COMMAND, file, "--data", server.data], check=True)  # noqa: ASYNC221
    server.kill()
    shutil.rmtree(server.data)
    server.data.mkdir(mode=0o700)
    with tarfile.open(file) as archive:
        archive.extractall(server.data)
    with pytest.raises(RuntimeError, match=r"credentials\.key is missing"):
        server.start()
