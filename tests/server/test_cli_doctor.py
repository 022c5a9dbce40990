"""``lwm2m doctor``."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
from types import SimpleNamespace

import pytest
from aiocoap import oscore
from click.testing import CliRunner

from lwm2m_engine.errors import SettingsError
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap.dtls import psk
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory
from lwm2m_server.store.schema import STEPS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Where no server runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("COAP", "HTTP"):
        monkeypatch.setenv(f"LWM2M_{name}", "127.0.0.1:0")


class WithoutKeys:
    """A cryptography that has lost its private functions."""

    def __init__(self, lib: object) -> None:
        self._lib = lib

    def __getattr__(self, name: str) -> object:
        if "psk" in name:
            raise AttributeError(name)
        return getattr(self._lib, name)


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psk, "_lib", WithoutKeys(psk._lib))


def test_all_is_well() -> None:
    result = CliRunner().invoke(lwm2m, ["doctor"])
    assert result.exit_code == 0
    assert "ok   DTLS by OpenSSL" in result.output
    assert "ok   OSCORE by aiocoap" in result.output
    assert "not over TCP" in result.output


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda *_: b"no request", "a protected request is not what it has to be"),
        (None, "this aiocoap has another OSCORE (TypeError"),
    ],
)
def test_another_oscore_is_told_with_what_to_do(monkeypatch, broken, words) -> None:
    monkeypatch.setattr(oscore.AES_CCM_16_64_128, "encrypt", broken)
    result = CliRunner().invoke(lwm2m, ["doctor"])
    assert result.exit_code == 1
    assert "BAD  OSCORE by aiocoap" in result.output
    assert words in result.output
    assert "install the version of aiocoap" in result.output


@pytest.mark.usefixtures("no_keys")
def test_pre_shared_keys_that_are_gone_are_told_with_what_to_do() -> None:
    result = CliRunner().invoke(lwm2m, ["doctor"])
    assert result.exit_code == 1
    assert "BAD  DTLS by OpenSSL" in result.output
    assert "SSL_CTX_set_psk_server_callback" in result.output
    assert "install the versions of pyOpenSSL and cryptography" in result.output


@pytest.mark.usefixtures("no_keys")
def test_a_server_that_needs_them_does_not_start() -> None:
    with pytest.raises(SettingsError, match="install the versions of pyOpenSSL and cryptography"):
        OpensslEngine(None, suites=["TLS_PSK_WITH_AES_128_CCM_8"], mtu=1232)


# --- where a server is to run ---------------------------------------------------------------------------


def _lines(*flags: str) -> tuple[int, dict[str, str]]:
    """Exit code, and what is said of each subject, with its mark."""
    result = CliRunner().invoke(lwm2m, ["doctor", *flags])
    lines = [line.split(None, 1) for line in result.output.splitlines()]
    found = {}
    for mark, rest in lines:
        subject, _, text = rest.partition("  ")
        found[subject] = f"{mark} {text.strip()}"
    return result.exit_code, found


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    SqliteLedger(folder / "ledger.db").close()
    return folder


def test_a_folder_that_is_still_to_be_made():
    code, found = _lines()
    assert code == 0
    assert found["data folder"].startswith("ok ")
    assert found["data folder"].endswith("lwm2m-data is made at the first start")
    assert found["ports"] == "ok free"
    assert found["event loop"].startswith(("ok", "--"))
    assert "GiB are free" in found["disk space"]


def test_a_data_folder(data):
    code, found = _lines("--data", str(data))
    assert code == 0
    assert found["data folder"] == f"ok {data}, no server uses it"
    assert found["ledger"] == f"ok schema version {len(STEPS)}"
    with DataDirectory(data):
        assert _lines("--data", str(data))[1]["data folder"] == f"ok {data}, in use by a server"


def test_others_may_read_nothing(data):
    key = data / "credentials.key"
    key.write_text("secret")
    key.chmod(0o644)
    code, found = _lines("--data", str(data))
    assert code == 1
    assert found["key file credentials.key"] == f"BAD {key} can be read by others; 'chmod 600' it"
    key.chmod(0o600)
    data.chmod(0o755)
    code, found = _lines("--data", str(data))
    assert code == 1
    assert found["key file credentials.key"].startswith("ok")
    assert found["data folder"] == f"BAD {data} is open to others; 'chmod 700' it"


def test_a_ledger_of_a_newer_program(data):
    with contextlib.closing(sqlite3.connect(data / "ledger.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    code, found = _lines("--data", str(data))
    assert code == 1
    assert "schema version 99" in found["ledger"]


def test_a_clock_that_went_back(data):
    later = time.time() + 3600
    os.utime(data / "ledger.db", (later, later))
    code, found = _lines("--data", str(data))
    assert code == 1
    assert "s before the ledger was last written" in found["clock"]


def test_little_space(data, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=500 << 20))
    code, found = _lines("--data", str(data))
    assert code == 0
    assert found["disk space"].startswith("-- 0.5 GiB")


@pytest.mark.parametrize(("days", "mark", "code"), [(400, "ok until", 0), (10, "--", 0), (-1, "BAD", 1)])
def test_certificates_end(data, authority, monkeypatch, days, mark, code):
    chain, key = authority.issue("server", days=days)
    monkeypatch.setenv("LWM2M_DTLS_CERTIFICATE", str(chain))
    monkeypatch.setenv("LWM2M_DTLS_CERTIFICATE_KEY_FILE", str(key))
    key.chmod(0o600)
    exit_code, found = _lines("--data", str(data))
    assert found["certificate dtls.certificate"].startswith(mark)
    assert exit_code == code


def test_a_port_that_somebody_has(data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        code, found = _lines("--data", str(data), "--coap", f"127.0.0.1:{port}")
    assert code == 1
    assert found["ports"] == f"BAD taken by another program: coap 127.0.0.1:{port}"
