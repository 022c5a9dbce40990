"""Servers and load generators as processes of their own. For ``serverload.py``."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FLAGS = ("--unknown-devices", "create", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", "data")
READY_WITHIN = 120.0

Figures = dict[str, float]


class Peer:
    """A CoAP server that prints its address when it is there. ``command`` is Python's."""

    def __init__(
        self, directory: Path, *command: str | Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={**os.environ, "XDG_CONFIG_HOME": str(directory), **(environ or {})},
                text=True,
            )
        self.addresses = self._answer()
        self.coap_port = int(self.addresses["coap"].rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def resident(self) -> int:
        """Bytes of it that lie in memory (proc(5), VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def cpu(self) -> float:
        """Seconds all its threads have run (proc(5), /proc/PID/stat, fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=60)

    def _answer(self) -> dict[str, Any]:
        """The next line on its standard output."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a server ended: {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class StockAiocoap(Peer):
    """``peers/stock_aiocoap.py``."""

    def __init__(self, directory: Path, *flags: str) -> None:
        super().__init__(directory, HERE / "peers" / "stock_aiocoap.py", *flags)


class Server(Peer):
    """``lwm2m serve`` that lets every device in; ready when made."""

    COMMAND: tuple[str | Path, ...] = ("-m", "lwm2m_server.launcher", "serve")

    def __init__(self, directory: Path, **settings: object) -> None:
        environ = {f"LWM2M_{name.upper()}": str(value).lower() for name, value in settings.items()}
        super().__init__(directory, *self.COMMAND, *FLAGS, environ=environ)
        self.http_port = int(self.addresses["http"].rpartition(":")[2])
        self._http = http.client.HTTPConnection("127.0.0.1", self.http_port)
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while self.ask("GET", "/readyz") != 200:
            if time.monotonic() > deadline:
                raise SystemExit(f"the server is not ready: {self.log}")
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None, ty: int = 0, origin: str = "CLoad") -> int:
        """The status code of one HTTP request."""
        headers = {"X-M2M-Origin": origin, "X-M2M-RI": "1"}
        if body is not None:
            headers["Content-Type"] = f"application/json;ty={ty}"
        self._http.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._http.getresponse()
        answer.read()
        return answer.status

    def create(self, path: str, ty: int, body: object, origin: str = "CLoad") -> None:
        status = self.ask("POST", path, body, ty, origin)
        if status != 201:
            raise SystemExit(f"POST {path} is answered {status}: {self.log}")

    def let_in(self, keys: Mapping[str, bytes]) -> None:
        """With a pre-shared key each; the identity is the name."""
        lines = ["device,for,mode,identity,key_hex"]
        lines += [f"{name},management,psk,{name},{key.hex()}" for name, key in keys.items()]
        url = f"http://127.0.0.1:{self.http_port}"
        command = ["-m", "lwm2m_server.launcher", "credentials", "import", "-", "--url", url]
        subprocess.run([sys.executable, *command], input="\n".join(lines), text=True, check=True, stdout=2)
        self._http.close()

    def stop(self) -> None:
        self._http.close()
        super().stop()


class Hosted(Server):
    """``hosted.py``: the same with somebody inside."""

    COMMAND = (HERE / "hosted.py",)

    def do(self, command: str, **arguments: object) -> Figures:
        """Returns when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()


class Generator:
    """A load generator; its last line are the figures."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def expect(self, line: str) -> None:
        assert self._process.stdout is not None
        found = self._process.stdout.readline().rstrip("\n")
        if found != line:
            raise SystemExit(f"the generator says {found!r} instead of {line!r}")

    def figures(self) -> Figures:
        output, _ = self._process.communicate()
        if self._process.returncode != 0 or not output:
            raise SystemExit(f"the generator failed: exit code {self._process.returncode}")
        figures: Figures = json.loads(output.splitlines()[-1])
        return figures


@contextmanager
def generator(*command: str | Path) -> Iterator[Generator]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Generator(process)
        finally:
            process.kill()
