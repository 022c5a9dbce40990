"""Where DTLS sessions are while the server is down."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from lwm2m_server.coap.dtls.suspension import Suspended
from lwm2m_server.security.identities import Known, KnownIdentities
from lwm2m_server.security.shelf import SessionShelf
from lwm2m_server.security.vault import Vault

ONE = Suspended("urn:dev:1", "192.0.2.1", 5684, b"state with keys in clear")
TWO = Suspended("urn:dev:2", "2001:db8::1", 5684, b"")


@pytest.fixture
def identities() -> KnownIdentities:
    known = KnownIdentities(lambda _: None, lambda _: ())
    for node, session in enumerate((ONE, TWO)):
        known.put(Known(node, "psk", session.endpoint, session.endpoint.encode(), b"sealed"))
    return known


def shelf(folder: Path, identities: KnownIdentities, key: bytes = b"k" * 32) -> SessionShelf:
    return SessionShelf(folder, Vault(key), identities)


def test_what_is_kept_is_taken_once(tmp_path: Path, identities: KnownIdentities) -> None:
    shelf(tmp_path, identities).keep("coaps", (ONE, TWO))
    assert shelf(tmp_path, identities).take("coaps-1") == ()
    assert shelf(tmp_path, identities).take("coaps") == (ONE, TWO)
    assert list(tmp_path.iterdir()) == []
    assert shelf(tmp_path, identities).take("coaps") == ()


def test_it_is_sealed_and_nobody_elses_to_read(tmp_path: Path, identities: KnownIdentities) -> None:
    shelf(tmp_path, identities).keep("coaps", (ONE,))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    for clear in (ONE.endpoint.encode(), ONE.state):
        assert clear not in file.read_bytes()


def test_with_another_key_sessions_are_lost_and_that_is_said(
    tmp_path: Path, identities: KnownIdentities
) -> None:
    shelf(tmp_path, identities).keep("coaps", (ONE,))
    with structlog.testing.capture_logs() as logs:
        assert shelf(tmp_path, identities, b"x" * 32).take("coaps") == ()
    assert "lost" in logs[0]["event"]
    assert list(tmp_path.iterdir()) == [], "nor is it tried again"


def test_a_session_ends_with_the_credentials_it_was_begun_with(
    tmp_path: Path, identities: KnownIdentities
) -> None:
    shelf(tmp_path, identities).keep("coaps", (ONE, TWO))
    identities.put(Known(0, "psk", ONE.endpoint, b"urn:dev:1", b"sealed anew"))
    assert shelf(tmp_path, identities).take("coaps") == (TWO,)


def test_nobodys_session_is_not_taken(tmp_path: Path, identities: KnownIdentities) -> None:
    identities.drop(0)
    shelf(tmp_path, identities).keep("coaps", (ONE, TWO))
    assert shelf(tmp_path, identities).take("coaps") == (TWO,)
