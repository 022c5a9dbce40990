"""What makes a port a secure one: certificates, who knows the credentials of devices, and limits."""

from __future__ import annotations

from pathlib import Path

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.choosing import ChoosingEngine
from lwm2m_server.coap.dtls.cid import CidEngine
from lwm2m_server.coap.dtls.compacting import CompactingEngine
from lwm2m_server.coap.dtls.engine import DtlsEngine
from lwm2m_server.coap.dtls.identities import Identities
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.coap.dtls.secure import Security
from lwm2m_server.coap.dtls.suspension import Shelf
from lwm2m_server.coap.tls import Tls, server_contexts
from lwm2m_server.settings import DtlsSettings


def secured(settings: DtlsSettings, identities: Identities, shelf: Shelf | None = None) -> Security:
    """``shelf`` is where sessions survive a restart, if they may.

    Raises ``SettingsError`` if DTLS cannot be had here, or a file cannot be used.
    """
    engine = _engine(settings, identities, _certificates(settings))
    limits = Limits(
        sessions=settings.sessions,
        handshakes=settings.handshakes,
        handshakes_per_address=settings.handshakes_per_address,
        handshake_timeout=settings.handshake_timeout,
        idle=settings.idle,
    )
    return Security(engine, limits, settings.connection_id, shelf if settings.survive_restart else None)


def _engine(settings: DtlsSettings, identities: Identities, certificates: Certificates | None) -> DtlsEngine:
    engine = _usual(settings, identities, certificates)
    if settings.raw_public_key_file is not None:
        raw = _gnutls(settings, identities, certificates, settings.raw_public_key_file)
        engine = ChoosingEngine(engine, raw)
    return CompactingEngine(engine, settings.mtu) if settings.compact else engine


def _usual(settings: DtlsSettings, identities: Identities, certificates: Certificates | None) -> DtlsEngine:
    """For those who do not ask for Raw Public Keys."""
    if settings.connection_id and not (settings.compact and settings.engine == "openssl"):
        raise SettingsError('dtls.connection_id needs dtls.compact, and "openssl" as dtls.engine')
    if settings.engine == "gnutls":
        return _gnutls(settings, identities, certificates)
    engine = CidEngine if settings.connection_id else OpensslEngine
    return engine(identities, suites=settings.suites, mtu=settings.mtu, certificates=certificates)


def _gnutls(
    settings: DtlsSettings,
    identities: Identities,
    certificates: Certificates | None,
    raw_key: Path | None = None,
) -> DtlsEngine:
    # The C declarations are parsed when it is imported, which the other servers need not wait for.
    from lwm2m_server.coap.dtls.gnutls import GnutlsEngine

    return GnutlsEngine(identities, mtu=settings.mtu, certificates=certificates, raw_key=raw_key)


def tls(settings: DtlsSettings, identities: Identities) -> Tls:
    """For CoAP over TLS, with the files of DTLS; raises ``SettingsError``."""
    files = _certificates(settings)
    if files is None or files.trust is None:
        raise SettingsError("coaps_tcp needs dtls.certificate, dtls.certificate_key_file and dtls.trust")
    return Tls(server_contexts(files), identities.certificate)


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
