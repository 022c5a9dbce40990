"""What an idle DTLS session may take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lwm2m_server.coap.dtls import gnutls_library

SCRIPT = Path(__file__).with_name("dtlsmemory.py")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="dtlsmemory.py needs Linux")


def bytes_of(kind: str, sessions: int) -> int:
    done = subprocess.run(
        [sys.executable, SCRIPT, kind, str(sessions)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_sessions_without_their_library():
    assert 1000 < bytes_of("planted", 50_000) <= 4096
    assert 1000 < bytes_of("shaken", 1000) <= 4096


def test_sessions_in_gnutls():
    try:
        gnutls_library.library()
    except gnutls_library.LibraryMissing as missing:
        pytest.skip(str(missing))
    assert 1000 < bytes_of("gnutls", 1000) <= 25_000
