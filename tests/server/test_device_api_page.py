"""Every answer that ``docs/reference/lwm2m-device-api.md`` names, asked for at a real server."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lwm2m_engine.coap import Code, dotted
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.wire import BINDINGS
from lwm2m_server.coap import options, wire

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/lwm2m-device-api.md"
LWM2M = Path(sys.executable).with_name("lwm2m")


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = load("device_cases")
ALL = [*cases.REGISTER, *cases.UPDATE, *cases.SEND, *cases.BOOTSTRAP, *cases.ANYWHERE]
numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, int]]]:
    """Where its listeners are. Default settings and a bootstrap server; it knows the endpoint ``known``."""
    command = [LWM2M, "serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path_factory.mktemp("server"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "LWM2M_BOOTSTRAP_COAP": "127.0.0.1:0"},
    )
    assert process.stdout is not None
    addresses = json.loads(process.stdout.readline())
    url = ("--url", addresses["http"])
    subprocess.run([LWM2M, "devices", "add", "known", *url], check=True)
    for name, config in cases.BOOTSTRAP_CONFIGS.items():
        command = [LWM2M, "bootstrap", "put", name, "-", *url]
        subprocess.run(command, check=True, input=json.dumps(config), text=True)
    yield {name: place(addresses[name]) for name in ("coap", "bootstrap_coap")}
    process.terminate()
    process.wait(20)
    process.stdout.close()


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


class Device:
    """One socket: requests out, answers in."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.connect(server)
        self.location = ""

    def ask(self, example: Any) -> wire.Message:
        number = next(numbers)
        token = number.to_bytes(4, "big")
        message = wire.Message(
            wire.CON if example.confirmable else wire.NON,
            example.method,
            number & 0xFFFF,
            token,
            self._options(example),
            example.payload,
        )
        self.socket.send(wire.encode(message))
        while True:
            reply = wire.decode(self.socket.recv(65535))
            if reply.is_response and reply.token == token:
                break
        for option, value in reply.options:
            if option == options.LOCATION_PATH:
                self.location = value.decode()
        return reply

    def _options(self, example: Any) -> tuple[tuple[int, bytes], ...]:
        path = [(options.URI_PATH, text.format(location=self.location).encode()) for text in example.path]
        query = [(options.URI_QUERY, text.encode()) for text in example.query]
        number = example.content_format
        format_ = [] if number is None else [(options.CONTENT_FORMAT, options.uint(number))]
        return tuple(sorted([*path, *query, *format_, *example.options], key=lambda option: option[0]))


@pytest.fixture
def device(server: dict[str, tuple[str, int]], request: pytest.FixtureRequest) -> Iterator[Device]:
    case = request.node.callspec.params["case"] if hasattr(request.node, "callspec") else None
    device = Device(server[case.listener if case is not None else "coap"])
    yield device
    device.socket.close()


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{dotted(case.code)} {case.cause}")
def test_each_answer_can_be_had(case: Any, device: Device) -> None:
    # Cases that belong together have one request each, or lead up to the last.
    replies = [device.ask(example) for example in case.examples]
    assert dotted(replies[-1].code) == dotted(case.code)
    if case.code == Code.BAD_REQUEST and len(case.examples) == 1:
        assert replies[-1].payload, "the diagnostic says what is wrong"


def test_the_examples_that_must_fail_differ_from_one_that_is_taken_in_one_thing(device: Device) -> None:
    assert device.ask(cases.register()).code == Code.CREATED


def test_no_answer_is_missing_on_the_page() -> None:
    """All response codes the server's sources name for what devices ask."""
    named = {case.code for case in ALL} | set(cases.UNPROVOKED)
    sources = [
        *(ROOT / "server/lwm2m_server/coap").glob("*.py"),
        ROOT / "server/lwm2m_server/hub.py",
        ROOT / "server/lwm2m_server/outcomes.py",
        ROOT / "lwm2m_engine/messages/wire.py",
        ROOT / "lwm2m_engine/messages/bootstrap.py",
        *(ROOT / "lwm2m_engine/engine").glob("*.py"),
        *(ROOT / "lwm2m_engine/bootstrap").glob("*.py"),
    ]
    text = "".join(source.read_text() for source in sources)
    used = {
        code
        for code in Code
        if code >= Code.CREATED
        and any(f"{how}(Code.{code.name}" in text for how in ("RequestError", "CoapReply"))
    }
    assert used - named - OTHERS == set()
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"| {dotted(code)} |" in page for code in named)


OTHERS = {Code.VALID}


def test_the_page_names_every_format_version_and_critical_option() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"| {known.value} | `{known.label}` |" in page for known in ContentFormat)
    assert all(f"| {version} |" in page for version in BINDINGS)
    table = page.split("## Options of requests")[1].split("##")[0]
    assert all(f"| {number} |" in table for number in options.UNDERSTOOD)
