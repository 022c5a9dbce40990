"""What a server proves and asks with GnuTLS: suites, pre-shared keys, certificates, a raw public key."""

from __future__ import annotations

from pathlib import Path

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.gnutls_library import C, GnutlsError, check, datum, ffi, library
from lwm2m_server.coap.dtls.gnutls_wire import FIND_KEY, VERIFY

BASE = (
    "NONE:+VERS-DTLS1.2:+AES-128-CCM-8:+AES-128-CCM:+AES-128-GCM:+AES-128-CBC:+AEAD:+SHA256:+COMP-NULL"
    ":+GROUP-SECP256R1:+SIGN-ECDSA-SHA256:+PSK"
)
X509 = ":+ECDHE-ECDSA:+CTYPE-CLI-X509:+CTYPE-SRV-X509"
RAW = ":+ECDHE-ECDSA:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK"
PEM = 1
CERTIFICATE, PSK, REQUIRE = 1, 4, 2


@attrs.frozen
class Credentials:
    """Shared by all handshakes from the time they were loaded."""

    priority: C
    keys: C
    proofs: C | None
    """``None`` if there are only pre-shared keys."""

    @classmethod
    def load(cls, certificates: Certificates | None, raw_key: Path | None) -> Credentials:
        """Raises ``SettingsError`` that names the file."""
        kinds = (X509 if certificates else "") + (RAW if raw_key else "")
        proofs = _proofs(certificates, raw_key) if kinds else None
        return cls(_priority(BASE + kinds), _keys(), proofs)

    def use(self, session: C) -> None:
        """For the handshake of a session."""
        check(library().gnutls_priority_set(session, self.priority))
        check(library().gnutls_credentials_set(session, PSK, self.keys))
        if self.proofs is not None:
            check(library().gnutls_credentials_set(session, CERTIFICATE, self.proofs))
            library().gnutls_certificate_server_set_request(session, REQUIRE)


def _priority(wanted: str) -> C:
    priority = ffi.new("priority_t *")
    check(library().gnutls_priority_init(priority, wanted.encode(), ffi.NULL))
    return ffi.gc(priority[0], library().gnutls_priority_deinit)


def _keys() -> C:
    keys = ffi.new("credentials_t *")
    check(library().gnutls_psk_allocate_server_credentials(keys))
    library().gnutls_psk_set_server_credentials_function2(keys[0], FIND_KEY)
    return ffi.gc(keys[0], library().gnutls_psk_free_server_credentials)


def _proofs(certificates: Certificates | None, raw_key: Path | None) -> C:
    made = ffi.new("credentials_t *")
    check(library().gnutls_certificate_allocate_credentials(made))
    proofs = ffi.gc(made[0], library().gnutls_certificate_free_credentials)
    if certificates is not None:
        _load_certificates(proofs, certificates)
    if raw_key is not None:
        _load_raw_key(proofs, raw_key)
    library().gnutls_certificate_set_verify_function(proofs, VERIFY)
    return proofs


def _load_certificates(proofs: C, files: Certificates) -> None:
    chain, key = datum(_read(files.certificate)), datum(_read(files.key))
    code = library().gnutls_certificate_set_x509_key_mem(proofs, chain, key, PEM)
    _usable(code, f"{files.certificate} with {files.key}")
    if files.trust is not None:
        code = library().gnutls_certificate_set_x509_trust_mem(proofs, datum(_read(files.trust)), PEM)
        _usable(code, str(files.trust))
    if files.revoked is not None:
        code = library().gnutls_certificate_set_x509_crl_mem(proofs, datum(_read(files.revoked)), PEM)
        _usable(code, str(files.revoked))


def _load_raw_key(proofs: C, file: Path) -> None:
    private = _read(file)
    try:
        public = load_pem_private_key(private, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"dtls: {file}: {error}") from error
    spki = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    code = library().gnutls_certificate_set_rawpk_key_mem(
        proofs, datum(spki), datum(private), PEM, ffi.NULL, 0, ffi.NULL, 0, 0
    )
    _usable(code, str(file))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"dtls: {file}: {error.strerror}") from error


def _usable(code: int, what: str) -> None:
    try:
        check(code)
    except GnutlsError as error:
        raise SettingsError(f"dtls: {what}: {error}") from error
