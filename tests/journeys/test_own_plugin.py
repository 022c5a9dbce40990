"""A person's own plugin, from ``lwm2m plugins new`` to an attribute of a node."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.native_stack("plugins are far from CoAP")

LWM2M = [sys.executable, "-m", "lwm2m_server.launcher"]


@pytest.fixture
def plugins(tmp_path):
    """A folder with one new plugin: beside the working directory of the server, not in it."""
    file = tmp_path / "mine" / "bat.py"
    for command in ("new", "check"):
        subprocess.run([*LWM2M, "plugins", command, file], check=True, capture_output=True, timeout=30)
    return file.parent


async def test_a_new_plugin_puts_the_battery_into_the_node(plugins, serve, connect, device, eventually):
    server = serve("--unknown-devices", "create", "--plugins-dir", str(plugins))
    api = connect(server)
    one = await device(server, live=False, version="1.1")
    await one.register()

    async def battery():
        node = (await api.get("device001?ty=13&rcn=8")).json()["node"]
        return node.get("battery")

    (found,) = await eventually(battery)
    assert (found["resourceName"], found["resourceType"], found["mgmtDefinition"]) == ("battery", 13, 1006)
    assert (found["batteryLevel"], found["batteryStatus"]) == (72, 4)
    await api.ask("device001", "OBSERVE /3/0/9")
    one.set("/3/0/9", 41)

    async def lower():
        return [one for one in await battery() if one["batteryLevel"] == 41]

    await eventually(lower)


async def test_a_typo_is_told_at_the_start_and_harms_nothing_else(
    plugins, serve, connect, device, eventually
):
    file = plugins / "bat.py"
    file.write_text(file.read_text().replace("/3/0/battery_level", "/3/0/batery_level"))
    server = serve("--unknown-devices", "create", "--plugins-dir", str(plugins))
    for part in (str(file), "rule batteryLevel <- /3/0/batery_level", "did you mean 'battery_level'?"):
        assert part in server.errors()
    api = connect(server)
    one = await device(server, live=False, version="1.1")
    await one.register()

    async def named():
        node = (await api.get("device001?ty=13&rcn=8")).json()["node"]
        return node if "deviceName" in node["deviceInfo"][0] else None

    assert "battery" not in await eventually(named)


def test_strict_refuses_to_start_with_it(plugins, tmp_path):
    file = plugins / "bat.py"
    file.write_text(file.read_text().replace("/3/0/battery_level", "/3/0/batery_level"))
    flags = ["--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", tmp_path / "data", "--strict"]
    command = [*LWM2M, "serve", *flags, "--plugins-dir", plugins]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert str(file) in done.stderr
    assert "did you mean 'battery_level'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_lies_in_plugins_is_mentioned_and_not_run(plugins, serve, tmp_path):
    work = tmp_path / "work"
    (work / "plugins").mkdir(parents=True)
    (work / "plugins" / "tempting.py").write_text("open('ran', 'w')")
    server = serve()
    assert "plugins" in server.errors()
    assert "--plugins-dir" in server.errors()
    assert not (work / "ran").exists()
