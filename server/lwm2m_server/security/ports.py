"""What makes a port a DTLS port: an engine that knows the credentials of devices, and limits."""

from __future__ import annotations

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.identities import Identities
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.coap.dtls.secure import Security
from lwm2m_server.settings import DtlsSettings


def secured(settings: DtlsSettings, identities: Identities) -> Security:
    """Raises ``SettingsError`` if DTLS cannot be had here, or a file cannot be used."""
    engine = OpensslEngine(
        identities, suites=settings.suites, mtu=settings.mtu, certificates=_certificates(settings)
    )
    limits = Limits(
        sessions=settings.sessions,
        handshakes=settings.handshakes,
        handshakes_per_address=settings.handshakes_per_address,
        handshake_timeout=settings.handshake_timeout,
        idle=settings.idle,
    )
    return Security(engine, limits)


def _certificates(settings: DtlsSettings) -> Certificates | None:
    certificate, key = settings.certificate, settings.certificate_key_file
    if certificate is not None and key is not None:
        return Certificates(certificate, key, settings.trust, settings.revoked)
    given = {
        "certificate": certificate,
        "certificate_key_file": key,
        "trust": settings.trust,
        "revoked": settings.revoked,
    }
    alone = [f"dtls.{name}" for name, file in given.items() if file is not None]
    if alone:
        raise SettingsError(
            f"{' and '.join(alone)} need dtls.certificate and dtls.certificate_key_file beside them"
        )
    return None
