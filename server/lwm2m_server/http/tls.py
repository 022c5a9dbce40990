"""The certificate of the HTTP server: read, checked, and whether a listener shows it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import attrs

from lwm2m_engine.errors import SettingsError


@attrs.frozen
class Certificate:
    """What two PEM files hold: the certificate with those above it, and its private key."""

    chain: Path
    key: Path
    der: bytes
    """Of the certificate itself."""
    _content: tuple[bytes, bytes] = attrs.field(repr=False)

    @classmethod
    def load(cls, chain: Path, key: Path) -> Certificate:
        """Raises ``SettingsError`` for files that cannot be used, or do not belong together."""
        try:
            content = chain.read_bytes(), key.read_bytes()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key, password=_no_password)
            first = _first(content[0].decode("ascii"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise SettingsError(f"http_cert, http_key_file: {chain}, {key}: {reason}") from error
        except ValueError as error:
            raise SettingsError(f"http_cert, http_key_file: {chain}, {key}: {error}") from error
        return cls(chain, key, ssl.PEM_cert_to_DER_cert(first), content)

    async def is_shown(self, host: str, port: int) -> bool:
        """Whether who connects now gets this certificate. Raises ``OSError``."""
        # Nobody is believed here: what is shown is compared.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()
        return bool(shown == self.der)


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    return pem[begin : pem.index(end, begin) + len(end)]


def _no_password() -> str:
    raise ValueError("the private key is encrypted")
