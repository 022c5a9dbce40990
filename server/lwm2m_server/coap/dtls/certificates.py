"""``Certificates``: the files that X.509 needs, and how they get into a context of OpenSSL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509StoreFlags

from lwm2m_engine.errors import SettingsError

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


@attrs.frozen
class Certificates:
    """All are files in PEM."""

    certificate: Path
    """The server's certificate, followed by those between it and the root."""
    key: Path
    trust: Path | None = None
    """Authorities that issue certificates of devices."""
    revoked: Path | None = None
    """Revocation lists of the authorities in ``trust``: one of each whose certificates devices have."""

    @property
    def files(self) -> tuple[Path | None, ...]:
        return self.certificate, self.key, self.trust, self.revoked

    def load(self, context: SSL.Context) -> None:
        """Raises ``SettingsError`` that names the file."""
        with _naming(self.certificate, "certificate"):
            context.use_certificate_chain_file(self.certificate)
        with _naming(self.key, "private key of the server's certificate"):
            context.use_privatekey_file(self.key)
            context.check_privatekey()
        if self.trust is not None:
            with _naming(self.trust, "certificate"):
                context.load_verify_locations(str(self.trust))
        if self.revoked is not None:
            with _naming(self.revoked, "revocation list"):
                _revoke(context, self.revoked.read_bytes())


def _revoke(context: SSL.Context, pem: bytes) -> None:
    lists, store = _LIST.findall(pem), context.get_cert_store()
    if not lists or store is None:
        raise ValueError("there is none in it")
    for one in lists:
        store.add_crl(x509.load_pem_x509_crl(one))
    store.set_flags(X509StoreFlags.CRL_CHECK)


@contextmanager
def _naming(file: Path, what: str) -> Iterator[None]:
    try:
        file.read_bytes()
        yield
    except (OSError, ValueError, SSL.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else _reason(error)
        raise SettingsError(f"dtls: {file} cannot be used as {what}: {reason}") from error


def _reason(error: Exception) -> str:
    """What OpenSSL says, or whoever else."""
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return str(error.args[0][-1][-1])
    return str(error)
