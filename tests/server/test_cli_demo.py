"""``lwm2m demo`` as a newcomer meets it: a process, what it prints, and every command it suggests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import attrs
import httpx
import pytest

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
PATIENCE = 30.0


@attrs.define
class Demo:
    """A running demo; its standard error is collected as it comes."""

    process: subprocess.Popen[str]
    folder: Path
    addresses: dict[str, str] = attrs.field(factory=dict)
    told: list[str] = attrs.field(factory=list)

    def collect(self) -> None:
        assert self.process.stderr is not None
        self.told.extend(iter(self.process.stderr.readline, ""))

    def wait_for(self, text: str) -> str:
        """The first line that contains a text."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in tuple(self.told):
                if text in line:
                    return line.rstrip("\n")
            time.sleep(0.05)
        raise AssertionError(f"{text!r} was not told in {PATIENCE} s:\n{''.join(self.told)}")

    def run(self, command: str, code: int = 0) -> str:
        """A shell line in a second terminal."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def lwm2m(self, arguments: str, code: int = 0) -> str:
        return self.run(f"lwm2m {arguments} --url {self.addresses['http']}", code)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LWM2M_")}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    command = ["lwm2m", "demo", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    running = Demo(process, folder)
    reader = Thread(target=running.collect)
    reader.start()
    assert process.stdout is not None
    running.addresses = json.loads(process.stdout.readline() or "{}")
    yield running
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    reader.join()
    assert "Traceback" not in "".join(running.told)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    data = next(line for line in running.told if "data " in line).split("data ")[1].split()[0]
    assert not Path(data).exists(), "the temporary folder is gone"


def test_it_introduces_itself(demo: Demo) -> None:
    first = demo.wait_for("devices -> ")
    assert f"coap://{demo.addresses['coap']}" in first
    console, api = f"{demo.addresses['http']}/console/", demo.addresses["http"]
    assert f"console -> {console}    API -> {api}    tenant demo" in first
    assert httpx.get(console).status_code == 200
    assert "drop XML into ./models/xml      plugins onem2m_device and 6 more;" in demo.wait_for("models ")


@pytest.mark.parametrize(
    "line",
    [
        "device001 registered   LwM2M 1.0, lifetime 300 s, objects 1 3 5 6",
        'device001 GET /3/0 -> 2.05  16 values: Manufacturer "My Demo Device", Battery Level 72 %',
        'deviceName "My Demo Device" <- /3/0/0 · fwVersion "1.0.0" <- /3/0/3',
        "location geo:52.5,13.4 <- /6/0/0 /6/0/1",
        "device002 asleep (queue mode); messages to it wait for its next Update",
    ],
)
def test_it_tells_what_happens(demo: Demo, line: str) -> None:
    demo.wait_for(line)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the suggested commands use curl")
def test_every_suggested_command_works_as_printed(demo: Demo) -> None:
    demo.wait_for("your own client")
    commands = [line.strip() for line in demo.told if line.startswith(("  curl", "  lwm2m"))]
    assert len(commands) == 4
    node, created, received, sent = (demo.run(command) for command in commands)

    assert json.loads(node)["node"]["deviceInfo"][0]["deviceName"] == "My Demo Device"
    assert json.loads(created)["contentInstance"]["content"] == "GET /3\n"
    assert json.loads(received)["contentInstance"]["content"]["nodeResourceName"] == "device001"
    assert sent == "3/0/9 = 72   Battery Level, %\n"


def test_devices_list_shows_who_sleeps(demo: Demo) -> None:
    demo.wait_for("device002 asleep")
    rows = {line.split()[0]: line for line in demo.lwm2m("devices list").splitlines()}
    assert "registered" in rows["device001"]
    assert "asleep" in rows["device002"] or "awake" in rows["device002"]


def test_a_tenant_can_be_named(demo: Demo) -> None:
    demo.wait_for("device001 GET /6")
    assert "device001" in demo.lwm2m("devices list --tenant demo")
    assert demo.lwm2m("send device001 'GET /3/0/9' --tenant demo") == "3/0/9 = 72   Battery Level, %\n"
    assert "nobody" in demo.lwm2m("devices list --tenant nobody", code=2)
    assert demo.lwm2m("send device001 'GET /3' --tenant nobody", code=2)


def test_devices_show_answers_what_it_supports_and_what_may_be_done(demo: Demo) -> None:
    demo.wait_for("device001 registered")
    shown = demo.lwm2m("devices show device001")
    assert "LwM2M 1.0, lifetime 300 s, no queue mode: always awake" in shown
    assert "/3 Device, version 1.0; instances 0" in shown
    words = {" ".join(line.split()) for line in shown.splitlines()}
    assert {"9 Battery Level R Integer %", "14 UTC Offset RW String", "4 Reboot E"} <= words


def test_send_writes_executes_and_says_what_is_wrong(demo: Demo) -> None:
    demo.wait_for("device001 GET /6")
    assert demo.lwm2m("send device001 'PUT /3/0/14 +02:00'") == "write /3/0/14 -> 2.04\n"
    assert demo.lwm2m("send device001 'GET /3/0/14'") == "3/0/14 = +02:00   UTC Offset\n"
    links = demo.lwm2m("send device001 'DISCOVER /3'").splitlines()
    assert "</3/0/9>" in links
    refused = demo.lwm2m("send device001 'GET /3/0/99'", code=2)
    assert "/3/0/99" in refused
    assert "no-such" in demo.lwm2m("send no-such 'GET /3'", code=2)


def test_send_waits_for_every_answer_of_a_series(demo: Demo) -> None:
    demo.wait_for("device001 GET /6")
    lines = demo.lwm2m("send device001 'GET /'").splitlines()
    assert {line.split("/")[0] for line in lines} == {"1", "3", "5", "6"}


def test_a_message_to_a_sleeper_waits(demo: Demo) -> None:
    demo.wait_for("device002 asleep")
    demo.lwm2m("send device002 'GET /3/0/9' --no-wait")
    shown = demo.lwm2m("devices show device002")
    assert "waiting" in shown or "awake" in shown


def test_devices_are_added_with_labels_and_key_and_removed(demo: Demo) -> None:
    (demo.folder / "key").write_text("00112233\n")
    demo.lwm2m("devices add meter-17 --id urn:x:17 --label floor:3 --psk-id meter --psk-file key")
    shown = json.loads(demo.lwm2m("devices show meter-17 --json"))
    assert (shown["nodeId"], shown["labels"], shown["identity"]) == ("urn:x:17", ["floor:3"], "meter")
    assert "not registered" in demo.lwm2m("devices show meter-17")

    assert "is taken" in demo.lwm2m("devices add other --psk-id meter --psk-file key", code=1)
    assert "other" in demo.lwm2m("devices show other", code=2), "all or nothing"
    demo.lwm2m("devices remove meter-17")
    assert "meter-17" in demo.lwm2m("devices remove meter-17", code=2)
