"""The benchmark of the console runs, with little; what it must reach at least holds on any machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("consoleload.py")


@pytest.mark.skipif(
    not (os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")),
    reason="needs Chromium",
)
def test_pages_come_soon_and_keep_up() -> None:
    pytest.importorskip("playwright", reason="needs playwright (PyPI)")
    words = ["--devices", "200", "--seconds", "5", "--rate", "200", "--json"]
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(figures["median_ms"] < 500 for figures in found["list"].values())
    live = found["live"]
    assert live["changes_per_second"] == pytest.approx(200, rel=0.1)
    assert live["delay_median_ms"] < 2_000
    assert live["last_shown_at_s"] > 4
    assert live["nodes_late"] < live["nodes_early"] * 1.2
