"""``lwm2m serve`` as a process: what scripts rely on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.error import HTTPError
from urllib.request import urlopen

import httpx
import pytest

pytestmark = pytest.mark.slow

LWM2M = Path(sys.executable).with_name("lwm2m")
Start: TypeAlias = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers in the test's folder; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*flags: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(LWM2M), "serve", *flags],
            cwd=tmp_path,
            env=environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def environment(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LWM2M_")} | variables


FREE = ("--coap", "127.0.0.1:0", "--http", "127.0.0.1:0")


def addresses(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    found: dict[str, object] = json.loads(line)
    return found


def refusal(process: subprocess.Popen[str]) -> str:
    """What a server says that does not start."""
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, ""), err
    assert "Traceback" not in err
    return err


def ends_cleanly(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, ""), err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_line_tells_the_ports_and_a_signal_ends_it(start: Start, number: signal.Signals) -> None:
    process = start(*FREE)
    told = addresses(process)
    assert set(told) == {"coap", "http"}
    host, _, port = str(told["coap"]).rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    with urlopen(f"{told['http']}/readyz") as answer:
        assert answer.status == 200
    ends_cleanly(process, number)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to read CPU time")
def test_it_is_ready_within_two_seconds_with_the_whole_registry(start: Start) -> None:
    """Measured in CPU time, which other tests on the same machine do not stretch."""
    process = start(*FREE)
    told = addresses(process)
    with urlopen(f"{told['http']}/readyz") as answer:
        assert answer.status == 200
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    ends_cleanly(process)
    assert (int(user) + int(system)) / os.sysconf("SC_CLK_TCK") < 2.0


def test_every_listener_is_told(start: Start) -> None:
    process = start("--coap", "127.0.0.1:0", "--coap", "[::1]:0", "--http", "[::1]:0")
    told = addresses(process)
    listeners = told["coap"]
    assert isinstance(listeners, list)
    assert [listener.rpartition(":")[0] for listener in listeners] == ["127.0.0.1", "[::1]"]
    assert str(told["http"]).startswith("http://[::1]:")
    ends_cleanly(process)


def test_a_taken_port_is_named(start: Start) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as coap,
        socket.create_server(("127.0.0.1", 0)) as http,
    ):
        coap.bind(("127.0.0.1", 0))
        taken = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in (coap, http)]
        said = refusal(start("--coap", taken[0], "--http", taken[1]))
    assert f"coap {taken[0]} is taken; http {taken[1]} is taken" in said


def test_a_second_server_on_one_folder_is_refused(start: Start) -> None:
    first = start(*FREE, "--data", "shared")
    addresses(first)
    assert "shared is in use" in refusal(start(*FREE, "--data", "shared"))
    ends_cleanly(first)


def test_other_machines_are_not_let_in_without_clients(start: Start) -> None:
    assert "no API clients are configured" in refusal(start("--coap", "127.0.0.1:0", "--http", "0.0.0.0:0"))


def test_mistakes_in_settings_are_named(start: Start, tmp_path: Path) -> None:
    assert "did you mean LWM2M_TENANT" in refusal(start(*FREE, LWM2M_TENNANT="x"))
    (tmp_path / "lwm2m.toml").write_text("[devices]\nunkown = 'create'\n")
    assert "lwm2m.toml: unknown setting 'devices.unkown'" in refusal(start(*FREE))


def test_tls_needs_certificates(start: Start) -> None:
    said = refusal(start(*FREE, "--coaps-tcp", "127.0.0.1:0"))
    assert "coaps_tcp needs dtls.certificate, dtls.certificate_key_file and dtls.trust" in said


def test_settings_come_from_file_and_environment(start: Start, tmp_path: Path) -> None:
    (tmp_path / "lwm2m.toml").write_text(
        'tenant = "acme"\ndata = "state"\n[log]\nformat = "json"\nlevel = "debug"\n'
    )
    process = start(LWM2M_COAP="127.0.0.1:0", LWM2M_HTTP="127.0.0.1:0")
    told = addresses(process)
    with urlopen(f"{told['http']}/api/v1/devices") as answer:
        assert json.load(answer)["tenant"] == "acme"
    logged = ends_cleanly(process)
    assert all("event" in json.loads(line) for line in logged.splitlines())
    assert (tmp_path / "state").is_dir()


def test_client_commands_say_how_to_start_a_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for command in (["devices", "list"], ["send", "x", "GET /3"]):
        done = subprocess.run(
            [str(LWM2M), *command, "--url", url], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 1
        assert f"no server answers at {url}" in done.stderr
        assert "lwm2m serve" in done.stderr


def test_http_errors_do_not_stop_the_server(start: Start) -> None:
    process = start(*FREE)
    told = addresses(process)
    for path in ("/api/v1/devices/none", "/no/such/thing", "/api/v1/devices?limit=x"):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{told['http']}{path}")
        assert 400 <= refused.value.code < 500
        refused.value.close()
    ends_cleanly(process)


@pytest.mark.parametrize("http2", [False, True])
def test_web_pages_under_other_names_are_not_answered(start: Start, http2: bool) -> None:
    """A name of theirs may lead here (DNS rebinding)."""
    process = start(*FREE, LWM2M_HTTP_HOSTS="d2c.example")
    port = int(str(addresses(process)["http"]).rpartition(":")[2])
    with httpx.Client(http1=not http2, http2=http2) as client:
        for host, status in [("localhost", 200), ("d2c.example", 200), ("attacker.example", 421)]:
            answer = client.get(f"http://127.0.0.1:{port}/readyz", headers={"Host": f"{host}:{port}"})
            assert answer.status_code == status
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    ends_cleanly(process)
