"""Forks servers that have imported everything already: that costs a second of CPU, a fork some milliseconds.

Each runs ``lwm2m`` in a process of its own, with its own arguments, environment, folder and files, as after
``exec``. Standard input is a socket: a request is JSON with three descriptors, of standard output, standard
error, and a pipe that is told the process id at once and the exit code at the end, a line each. All servers
are killed when the socket is closed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import lwm2m_server.app
import lwm2m_server.cli.demo
import lwm2m_server.cli.serve  # noqa: F401
from lwm2m_server.cli.main import main

LONGEST = 1 << 18
"""Bytes of a request."""


class Servers:
    """The running ones: by descriptor of the process, its id and the pipe of who asked for it."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._running: dict[int, tuple[int, int]] = {}

    def run(self) -> dict[str, Any] | None:
        """Returns what to be, in a new process; ``None`` in this one, at the end."""
        while True:
            for ready in select.select([self._requests, *self._running], [], [])[0]:
                if ready is not self._requests:
                    self._ended(ready)
                    continue
                text, files, *_ = socket.recv_fds(self._requests, LONGEST, 3)
                if not text:
                    self._kill()
                    return None
                if self._fork(*files):
                    return json.loads(text)

    def _fork(self, out: int, errors: int, told: int) -> bool:
        """True in the new process."""
        pid = os.fork()
        if pid == 0:
            self._requests.close()
            for file, (_, pipe) in self._running.items():
                os.close(file)
                os.close(pipe)
            os.close(told)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out, 1)
            os.dup2(errors, 2)
        else:
            self._running[os.pidfd_open(pid)] = pid, told
            os.write(told, b"%d\n" % pid)
        os.close(out)
        os.close(errors)
        return pid == 0

    def _ended(self, file: int) -> None:
        pid, pipe = self._running.pop(file)
        _, status = os.waitpid(pid, 0)
        os.close(file)
        with suppress(BrokenPipeError):
            os.write(pipe, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(pipe)

    def _kill(self) -> None:
        for pid, _ in self._running.values():
            os.kill(pid, signal.SIGKILL)


def become(request: dict[str, Any]) -> None:
    """What a new program finds when it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.path[0] = request["cwd"]
    sys.argv[1:] = request["arguments"]


if __name__ == "__main__":
    # Ctrl-C is for the tests; they close the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    if (request := Servers(socket.socket(fileno=0)).run()) is not None:
        become(request)
        main()
