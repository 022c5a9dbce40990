"""``serverload.py`` works: a moment of each kind of load, and nothing goes wrong. No figure is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("serverload.py")
MOMENT = ["--seconds=0.2", "--warm-up=0", "--rounds=1", "--clients=10", "--soak=1", "--json"]
SMALL = [
    "--many=20",
    "--containers=10",
    "--messages=3",
    "--unanswered=5",
    "--http-rate=100",
    "--webhook-rate=200",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="serverload.py needs Linux"),
]


def run(*cases, **environ):
    command = [sys.executable, SCRIPT, *cases, *MOMENT, *SMALL]
    environ = {**os.environ, **environ}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert tuple(results) == cases
    return results


def went_well(results):
    for figures in results.values():
        assert figures["done"] > 0
        assert figures["errors"] == 0
        assert 0 < figures["p50_us"] <= figures["p99_us"]


def test_devices():
    results = run("register-read", "update-power-safe", "notify-mapped")
    went_well(results)
    assert results["register-read"]["reads"] > 0
    assert results["notify-mapped"]["reads"] == 0


@pytest.mark.skipif(not Path("/usr/include/openssl/ssl.h").exists(), reason="needs OpenSSL's headers")
def test_secure_devices():
    went_well(run("update-dtls", "handshake"))


def test_without_a_compiler():
    results = run("register-read", "notify", "read-unanswered", CC="no-compiler")
    went_well(results)
    assert results["register-read"]["reads"] > 0


def test_reads():
    went_well(run("read-unanswered", "http-read"))


def test_fleets():
    results = run("memory", "restart")
    assert results["memory"]["bytes"] > 0
    assert 0 < results["restart"]["seconds"] < 60


def test_soak():
    results = run("soak")
    went_well(results)
    assert results["soak"]["growth"] >= 0


def test_webhooks():
    results = run("webhook", "webhook-one")
    went_well(results)
    assert results["webhook"]["subscriptions"] == 16


def test_bootstrap():
    results = run("bootstrap")
    went_well(results)
    assert results["bootstrap"]["done"] == 10


def test_stock_aiocoap():
    went_well(run("aiocoap-update", "aiocoap-notify"))


def test_applications():
    went_well(run("http-create", "http-create-full", "http-list", "http-latest"))


def test_an_unknown_case_is_refused():
    done = subprocess.run([sys.executable, SCRIPT, "updaet"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "updaet" in done.stderr


def test_set_up():
    results = run("set-up")
    went_well(results)
    assert results["set-up"]["in_flight"] == 1
    assert results["set-up"]["exchanges"] == 10 * 21
