from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from lwm2m_server.logs import Ration

PROGRAM = """
import logging, sys
import structlog
from lwm2m_server.logs import configure
from lwm2m_server.settings import LogSettings

configure(LogSettings(format=sys.argv[1], level="info"))

def handle(crse):
    raise ValueError("refused")

log = structlog.get_logger("server")
log.debug("not worth telling")
log.info("registered", endpoint="device001")
logging.getLogger("aiocoap").warning("from the standard library")
try:
    handle("a-very-secret-key")
except ValueError:
    log.exception("failed")
"""


@cache
def logged(form: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_console_lines_are_for_people() -> None:
    text = logged("console")
    first, second, *_ = text.splitlines()
    assert "[info" in first
    assert "registered" in first
    assert "endpoint=device001" in first
    assert "from the standard library" in second
    assert "ValueError: refused" in text
    assert "not worth telling" not in text


def test_json_lines_are_for_machines() -> None:
    records = [json.loads(line) for line in logged("json").splitlines()]
    assert [record["event"] for record in records] == ["registered", "from the standard library", "failed"]
    assert (records[0]["endpoint"], records[0]["level"], records[0]["logger"]) == (
        "device001",
        "info",
        "server",
    )
    assert records[1]["logger"] == "aiocoap"
    assert "ValueError: refused" in records[2]["exception"]


def test_tracebacks_show_no_values_of_variables() -> None:
    source_line = 'handle("a-very-secret-key")'
    for form in ("console", "json"):
        assert "a-very-secret-key" not in logged(form).replace(source_line, "")


def test_what_strangers_cause_is_told_so_often_and_no_more():
    ration = Ration(lines=2, seconds=60)
    assert [ration.take(now) for now in (0, 1, 2, 59)] == [0, 0, None, None]
    assert [ration.take(now) for now in (60, 61, 62)] == [2, 0, None]
    # A clock that was set back does not silence it.
    assert ration.take(-5) == 1
