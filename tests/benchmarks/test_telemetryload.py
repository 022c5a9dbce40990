"""The benchmark of telemetry runs, with little; what it must reach at least holds on any machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("telemetryload.py")


def test_values_go_in_and_come_out_fast_enough() -> None:
    words = ["--devices", "50", "--values", "144000", "--seconds", "1", "--json"]
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["insert"]["values_per_second"] > 2_000
    assert found["range"]["values"] == 144_000
    assert found["range"]["range_median_ms"] < 50
