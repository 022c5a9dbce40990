"""Servers that start in a third of the time, for tests that start hundreds."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TypeAlias

PROGRAM = Path(__file__).with_name("zygote.py")


class ForkedProcess:
    """What ``subprocess.Popen`` would be for it, as far as tests need that."""

    def __init__(self, stdout: BinaryIO, told: BinaryIO) -> None:
        self.stdout, self._told = stdout, told
        self.pid = int(told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises ``subprocess.TimeoutExpired``."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("lwm2m", timeout or 0)
        self._told.close()
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        """Its exit code once it has ended; negative if a signal ended it."""
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            line = self._told.readline()
            if not line:
                raise RuntimeError("what forks servers is gone")
            self.returncode = int(line)
        return self.returncode


class Zygote:
    """The program that forks them, from the first one on; ``close`` kills all there are."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._program = subprocess.Popen([sys.executable, PROGRAM], stdin=theirs, start_new_session=True)

    def start(
        self, arguments: Sequence[str | Path], errors: BinaryIO, cwd: Path, env: Mapping[str, str]
    ) -> ForkedProcess:
        """Run ``lwm2m`` with ``arguments``."""
        request = {"arguments": [str(one) for one in arguments], "cwd": str(cwd), "env": dict(env)}
        with ExitStack() as stack:
            (stdout, out), (told, tells) = os.pipe(), os.pipe()
            stack.callback(os.close, out)
            stack.callback(os.close, tells)
            files = [out, errors.fileno(), tells]
            socket.send_fds(self._requests, [json.dumps(request).encode()], files)
        return ForkedProcess(open(stdout, "rb"), open(told, "rb", buffering=0))

    def close(self) -> None:
        self._requests.close()
        self._program.wait(30)


class Launcher:
    """Each imports for itself, on systems without what that takes."""

    def start(
        self, arguments: Sequence[str | Path], errors: BinaryIO, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lwm2m_server.launcher", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=cwd, env=env)

    def close(self) -> None:
        """Who started them has ended them."""


Starter: TypeAlias = Zygote | Launcher


def starter() -> Starter:
    return Zygote() if hasattr(os, "pidfd_open") else Launcher()
