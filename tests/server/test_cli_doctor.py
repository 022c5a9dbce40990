"""``lwm2m doctor``."""

from __future__ import annotations

import pytest
from aiocoap import oscore
from click.testing import CliRunner

from lwm2m_engine.errors import SettingsError
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap.dtls import psk
from lwm2m_server.coap.dtls.openssl import OpensslEngine


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
