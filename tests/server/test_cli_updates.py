"""``lwm2m packages`` and ``lwm2m updates`` against a real server and a simulated device."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import UpdateOptions

IMAGE = make_image("firmware", "2.0", bytes(3000))
QUICK = UpdateOptions(install=0.01, reboot=0.01)

Run = Callable[..., Awaitable[str]]


@pytest.fixture
def run(lasting: Any) -> Run:
    async def run(*words: str, code: int = 0) -> str:
        arguments = [*words, "--url", lasting.http]
        result = await asyncio.to_thread(CliRunner().invoke, lwm2m, arguments)
        assert result.exit_code == code, result.output
        return result.output

    return run


async def test_from_a_file_to_a_device(run: Run, tmp_path: Path, lasting: Any, device: Any) -> None:
    file, copy = tmp_path / "fw.bin", tmp_path / "copy.bin"
    file.write_bytes(IMAGE)
    brought = ("packages", "upload", str(file), "--title", "firmware", "--version", "2.0")
    assert "firmware-2.0" in await run(*brought, "--model", "LWM2M", "--tag", "spring")
    assert "already" in await run(*brought, "--name", "again", code=1)
    (shown,) = json.loads(await run("packages", "list", "--json"))
    assert (shown["fileName"], shown["size"], shown["fits"]) == ("fw.bin", len(IMAGE), {"model": "LWM2M"})
    assert "fw.bin" in await run("packages", "show", "firmware-2.0")
    await run("packages", "download", "firmware-2.0", str(copy))
    assert copy.read_bytes() == IMAGE
    assert "exists already" in await run("packages", "download", "firmware-2.0", str(copy), code=2)

    simulated = await device(lasting, "cli-1", version="1.1", updating=QUICK)
    model = str(simulated.get("/3/0/1").content)
    refused = await run("updates", "begin", "cli-1", "firmware-2.0", "--watch", code=1)
    assert f"failed: the package is for devices with model 'LWM2M', and this one has {model!r}" in refused
    await run("packages", "remove", "firmware-2.0")
    await run(*brought)
    begun = json.loads(await run("updates", "begin", "cli-1", "firmware-2.0", "--approval", "--json"))
    id = str(begun["id"])
    while "awaiting-approval" not in await run("updates", "list", "cli-1"):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    used = await run("packages", "remove", "firmware-2.0", code=1)
    assert "firmware-2.0 is used by an update under way" in used
    assert f"update {id} of cli-1 is succeeded" in await run("updates", "approve", "cli-1", id, "--watch")
    told = await run("updates", "show", "cli-1", id)
    assert "awaiting-approval" in told
    assert "succeeded" in told
    assert simulated.get("/3/0/3").content == "2.0"
    assert "the update is over" in await run("updates", "cancel", "cli-1", id, code=1)
    assert "is succeeded; one that failed" in await run("updates", "retry", "cli-1", id, code=1)
    (found,) = json.loads(await run("updates", "list", "--state", "succeeded", "--json"))
    assert found["id"] == int(id)
    assert "firmware-2.0 removed" in await run("packages", "remove", "firmware-2.0")


async def test_a_package_elsewhere(run: Run) -> None:
    words = ("packages", "refer", "https://files.example/app.bin", "--title", "app", "--version", "1")
    made = json.loads(await run(*words, "--type", "software", "--size", "7", "--profile", "tank", "--json"))
    assert (made["name"], made["url"], made["size"]) == ("app-1", "https://files.example/app.bin", 7)
    assert made["fits"] == {"profile": "tank"}
    assert "is to be a URI" in await run(
        "packages", "refer", "files/app.bin", *words[3:], "--name", "x", code=2
    )
