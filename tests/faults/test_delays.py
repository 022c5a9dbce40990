"""Everything takes seconds on its way; ``delayed.py`` is the command for 10 s each way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

DELAYED = Path(__file__).parent / "delayed.py"


def test_what_is_said_several_times_for_the_delay_happens_once(tmp_path):
    """With the protocol's own times: 3.2 s there and back are longer than any first ACK_TIMEOUT."""
    command = [sys.executable, DELAYED, "--delay", "1.6", "--wishes", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["datagrams_up"] > figures["requests_up"] + figures["requests_down"]
    assert figures["datagrams_down"] > figures["requests_up"] + figures["requests_down"]
    once = ("registered", "updated", "executed", "answered", "sends")
    assert [figures[name] for name in once] == [1] * len(once)
    assert figures["sent"] == ["POST /1/0/8"]
    assert (figures["errors"], figures["tracebacks"]) == (0, 0)
